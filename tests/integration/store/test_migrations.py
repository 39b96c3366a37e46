"""Migrations: an empty database comes to what the code declares, from any number of servers at once."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

import moorage_migrations
from moorage.store import SchemaMissing, tables
from tests.support.store import store

COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, collation_name, is_identity
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
ORDER BY table_name, ordinal_position
"""
CONSTRAINTS = """
SELECT conrelid::regclass::text, contype::text, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT IN ('alembic_version') AND contype <> 'n'
ORDER BY 1, 2, 3
"""
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1"


def schema(url: str) -> dict[str, list[tuple[Any, ...]]]:
    with psycopg.connect(url) as connection:
        parts = {"columns": COLUMNS, "constraints": CONSTRAINTS, "indexes": INDEXES}
        return {name: connection.execute(query).fetchall() for name, query in parts.items()}


async def test_many_servers_may_migrate_at_once(empty_database_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(moorage_migrations.upgrade, empty_database_url) for _ in range(4)))
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0002",)]
        assert connection.execute("SELECT count(*) FROM cluster").fetchone() == (1,)


def test_migrations_give_what_the_code_declares(database_url: str, empty_database_url: str) -> None:
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database_url), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []
    declared = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(empty_database_url), poolclass=NullPool
    )
    tables.metadata.create_all(declared)
    # Alembic's comparison sees neither collations nor the order of columns, on which INSERT without names relies.
    assert schema(database_url) == schema(empty_database_url)
    assert "PARTITION BY RANGE (revision)" in str(CreateTable(tables.revisions).compile(engine))
    assert "PARTITION BY RANGE (at)" in str(CreateTable(tables.audit).compile(engine))


async def test_a_database_without_schema_is_refused_with_the_remedy(empty_database_url: str) -> None:
    with pytest.raises(SchemaMissing, match="migrate it first"):
        async with store(empty_database_url):
            raise AssertionError("not reached")
