"""Migrations: an empty database comes to what the code declares, from any number of servers at once."""

from __future__ import annotations

import asyncio

import psycopg

import moorage_migrations


async def test_many_servers_may_migrate_at_once(empty_database_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(moorage_migrations.upgrade, empty_database_url) for _ in range(4)))
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert connection.execute("SELECT count(*) FROM cluster").fetchone() == (1,)
