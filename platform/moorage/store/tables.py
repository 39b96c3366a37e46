"""The schema as this program needs it, declared. Migrations bring a database here; a test compares the two.

Queries are written in SQL beside the code that runs them; this declaration is what new migrations are checked against.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
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
    PrimaryKeyConstraint("storage_group", "resource", "namespace", "name"),
    CheckConstraint("(document IS NULL) <> (sealed IS NULL)", name="objects_document_or_sealed"),
    Index("objects_expires_at", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
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
    PrimaryKeyConstraint("scope", "resource"),
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
