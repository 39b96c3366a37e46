"""Real PostgreSQL for tests: one cluster a session, one migrated template, one clone of it a test."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import moorage_migrations
from moorage.supervisor.postgres import SUPERUSER, Postgres

TEMPLATE = "moorage_template"
_numbers = itertools.count(1)

UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "100"}
"""Fast, and lost with the machine; tests that crash PostgreSQL itself run a cluster of their own without these."""


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Postgres]:
    """The session's cluster, with a database ``moorage_template`` at the newest schema."""
    with tempfile.TemporaryDirectory(prefix="moorage-test-") as name:
        directory = Path(name)
        # pytest's own temporary directories are private to us, and PostgreSQL may run as another user.
        directory.chmod(0o755)
        with (directory / "postgres.log").open("wb") as log:
            cluster = Postgres(directory, log=log, settings=UNSAFE)
            try:
                cluster.start()
                with psycopg.connect(cluster.url_for("postgres", SUPERUSER), autocommit=True) as connection:
                    connection.execute(f"CREATE DATABASE {TEMPLATE} OWNER moorage")
                moorage_migrations.upgrade(cluster.url_for(TEMPLATE))
                yield cluster
            finally:
                cluster.remove()


def create_database(cluster: Postgres, template: str) -> str:
    """A new database's name."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(cluster.url_for("postgres", SUPERUSER), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER moorage")
    return name


def drop_database(cluster: Postgres, name: str) -> None:
    """Drop it, whoever is still connected."""
    with psycopg.connect(cluster.url_for("postgres", SUPERUSER), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(postgres_cluster: Postgres) -> Iterator[str]:
    """The URL of a fresh, migrated database."""
    name = create_database(postgres_cluster, TEMPLATE)
    yield postgres_cluster.url_for(name)
    drop_database(postgres_cluster, name)


@pytest.fixture(scope="module")
def module_database_url(postgres_cluster: Postgres) -> Iterator[str]:
    """The URL of a migrated database that a module's tests share; they must not meet each other's objects in it."""
    name = create_database(postgres_cluster, TEMPLATE)
    yield postgres_cluster.url_for(name)
    drop_database(postgres_cluster, name)


@pytest.fixture
def empty_database_url(postgres_cluster: Postgres) -> Iterator[str]:
    """The URL of a fresh database without any schema."""
    name = create_database(postgres_cluster, "template0")
    yield postgres_cluster.url_for(name)
    drop_database(postgres_cluster, name)
