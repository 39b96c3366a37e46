"""The schema as this program needs it, declared. Migrations bring a database here; a test compares the two.

Queries are written in SQL beside the code that runs them; this declaration is what new migrations are checked against.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.types import TypeEngine

metadata = MetaData()

KEY = Text(collation="C")
"""Sorted by bytes, on every machine."""
TIME = DateTime(timezone=True)


def _needed(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]]) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _identity() -> tuple[Column[Any], ...]:
    return tuple(_needed(name, KEY) for name in ("storage_group", "resource", "namespace", "name", "uid"))


def _stored() -> tuple[Column[Any], ...]:
    """What is kept of a document, in objects and revisions alike."""
    return (
        _needed("storage_version", KEY),
        _needed("tenant", KEY),
        Column("charge", JSONB),
        Column("document", JSON),
        Column("sealed", LargeBinary),
        _needed("revision_offset", Integer),
    )


store_lock = Table("store_lock", metadata, Column("id", SmallInteger, CheckConstraint("id = 1"), primary_key=True))

cluster = Table(
    "cluster",
    metadata,
    Column("id", SmallInteger, CheckConstraint("id = 1"), primary_key=True),
    _needed("uid", KEY),
    _needed("epoch", BigInteger),
    _needed("base_revision", BigInteger),
    _needed("horizon", BigInteger),
    _needed("system_identifier", KEY),
    _needed("timeline", BigInteger),
    _needed("created_at", TIME),
)

jumps = Table(
    "jumps",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    _needed("from_revision", BigInteger),
    _needed("to_revision", BigInteger),
    _needed("reason", Text),
    _needed("server", Text),
    _needed("at", TIME),
)

writers = Table(
    "writers",
    metadata,
    Column("writer", KEY, primary_key=True),
    _needed("epoch", BigInteger),
    _needed("server", Text),
    _needed("changed_at", TIME),
)

batches = Table(
    "batches",
    metadata,
    Column("last_revision", BigInteger, primary_key=True, autoincrement=False),
    _needed("first_revision", BigInteger),
    _needed("id", Uuid),
    _needed("writer", KEY),
    _needed("committed_at", TIME),
)

objects = Table(
    "objects",
    metadata,
    *_identity(),
    _needed("revision", BigInteger),
    *_stored(),
    Column("expires_at", TIME),
    Column("digest", LargeBinary),
    PrimaryKeyConstraint("storage_group", "resource", "namespace", "name"),
    CheckConstraint("(document IS NULL) <> (sealed IS NULL)", name="objects_document_or_sealed"),
    Index("objects_expires_at", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
    Index("objects_namespace", "namespace", postgresql_where=text("charge IS NOT NULL")),
    Index("objects_tenant", "tenant", "name", postgresql_where=text("resource = 'namespaces'")),
)

revisions = Table(
    "revisions",
    metadata,
    _needed("revision", BigInteger),
    *_identity(),
    _needed("change", SmallInteger),
    *_stored(),
    Column("previous_revision", BigInteger),
    Column("previous_uid", KEY),
    Column("previous_document", JSON),
    Column("previous_sealed", LargeBinary),
    Column("previous_offset", Integer),
    _needed("batch", Uuid),
    _needed("member", Integer),
    _needed("actor", Text),
    _needed("request_id", Text),
    _needed("field_manager", Text),
    _needed("source_commit", KEY),
    PrimaryKeyConstraint("revision"),
    postgresql_partition_by="RANGE (revision)",
)

quotas = Table(
    "quotas",
    metadata,
    _needed("scope", KEY),
    _needed("resource", KEY),
    _needed("hard", BigInteger),
    _needed("used", BigInteger),
    Column("subject", KEY, nullable=False, server_default=""),
    Column("matcher", JSONB),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("scope", "resource"),
    Index("quotas_subject", "subject"),
)

data_keys = Table(
    "data_keys",
    metadata,
    _needed("namespace", KEY),
    _needed("key_id", KEY),
    _needed("generation", Integer),
    Column("serial", BigInteger, Identity(always=True), nullable=False),
    _needed("wrapped", LargeBinary),
    _needed("created_at", TIME),
    PrimaryKeyConstraint("namespace", "key_id"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("sha256", KEY, primary_key=True),
    _needed("username", Text),
    _needed("groups", ARRAY(Text)),
    Column("expires_at", TIME),
    _needed("created_at", TIME),
    _needed("description", Text),
    Column("name", Text, nullable=False, server_default=""),
    Column("kind", KEY, nullable=False, server_default="personal"),
    Column("scopes", ARRAY(Text), nullable=False, server_default="{}"),
    Column("created_by", Text, nullable=False, server_default=""),
    Column("last_used_at", TIME),
    Column("used_at", TIME),
    Column("revoked_at", TIME),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    _needed("purpose", KEY),
    _needed("key_id", KEY),
    Column("serial", BigInteger, Identity(always=True), nullable=False),
    _needed("sealed", LargeBinary),
    _needed("public", LargeBinary),
    _needed("created_at", TIME),
    Column("retired_at", TIME),
    PrimaryKeyConstraint("purpose", "key_id"),
)

secret_versions = Table(
    "secret_versions",
    metadata,
    _needed("namespace", KEY),
    _needed("name", KEY),
    _needed("version", BigInteger),
    _needed("uid", KEY),
    _needed("revision", BigInteger),
    _needed("sealed", LargeBinary),
    _needed("revision_offset", Integer),
    _needed("actor", Text),
    _needed("source_commit", KEY),
    _needed("at", TIME),
    Column("deleted_at", TIME),
    PrimaryKeyConstraint("namespace", "name", "version"),
    Index("secret_versions_deleted", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
)

rotations = Table(
    "rotations",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _needed("kind", KEY),
    _needed("scope", KEY),
    _needed("started_by", Text),
    _needed("total", BigInteger),
    _needed("done", BigInteger),
    _needed("message", Text),
    _needed("started_at", TIME),
    _needed("changed_at", TIME),
    Column("finished_at", TIME),
    Index("rotations_running", "kind", "scope", unique=True, postgresql_where=text("finished_at IS NULL")),
)

audit = Table(
    "audit",
    metadata,
    _needed("at", TIME),
    _needed("chain", KEY),
    _needed("seq", BigInteger),
    _needed("server", KEY),
    _needed("request_id", KEY),
    _needed("actor", Text),
    _needed("verb", KEY),
    _needed("storage_group", KEY),
    _needed("resource", KEY),
    _needed("subresource", KEY),
    _needed("namespace", KEY),
    _needed("name", KEY),
    _needed("source_commit", KEY),
    _needed("allowed", Boolean),
    _needed("code", Integer),
    _needed("revision", BigInteger),
    Column("old_digest", LargeBinary),
    Column("new_digest", LargeBinary),
    _needed("detail", JSON),
    _needed("hash", LargeBinary),
    PrimaryKeyConstraint("at", "chain", "seq"),
    postgresql_partition_by="RANGE (at)",
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _needed("hash", LargeBinary),
)

audit_floors = Table(
    "audit_floors",
    metadata,
    Column("chain", KEY, primary_key=True),
    _needed("seq", BigInteger),
    _needed("hash", LargeBinary),
    _needed("at", TIME),
)

git_refs = Table(
    "git_refs",
    metadata,
    _needed("repository", KEY),
    _needed("ref", KEY),
    _needed("object_id", KEY),
    _needed("changed_at", TIME),
    PrimaryKeyConstraint("repository", "ref"),
)

git_pushes = Table(
    "git_pushes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _needed("repository", KEY),
    _needed("ref", KEY),
    _needed("old_id", KEY),
    _needed("new_id", KEY),
    _needed("result", JSON),
    _needed("actor", Text),
    _needed("batch", Uuid),
    _needed("revision", BigInteger),
    _needed("at", TIME),
    Index("git_pushes_ref", "repository", "ref", "id"),
)

node_tunnels = Table(
    "node_tunnels",
    metadata,
    Column("node", KEY, primary_key=True),
    _needed("server", KEY),
    _needed("address", Text),
    _needed("expires_at", TIME),
)
