"""Real PostgreSQL for tests: one cluster a session, one migrated template, one clone of it a test.

``MOORAGE_TEST_POSTGRES`` names another PostgreSQL (``/usr/lib/postgresql/15``, which holds ``bin``) to be used in place of the
embedded one: the store must work on 15 and every later release.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO

import psycopg
import pytest

import moorage_migrations
from moorage.supervisor.postgres import SUPERUSER, Postgres

TEMPLATE = "moorage_template"
SPARE = 2
"""Databases that are made ahead."""
_numbers = itertools.count(1)

UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "100"}
"""Fast, and lost with the machine; tests that crash PostgreSQL itself run a cluster of their own without these."""


PROGRAMS = os.environ.get("MOORAGE_TEST_POSTGRES", "")
NEWER = ("--locale-provider=", "--builtin-locale=")
"""Options of initdb that PostgreSQL before 17 does not know, and does without."""


class OtherPostgres(Postgres):
    """A cluster of the PostgreSQL in ``PROGRAMS``."""

    def __init__(self, directory: Path, *, log: int | IO[bytes] | None, settings: Mapping[str, str]) -> None:
        super().__init__(directory, log=log, settings=settings)
        self.place = replace(self.place, programs=Path(PROGRAMS))
        # Of 18.
        self._settings.pop("io_method", None)

    def _run(self, program: str, *arguments: str, script: str = "") -> None:
        super()._run(program, *(each for each in arguments if not each.startswith(NEWER)), script=script)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Postgres]:
    """The session's cluster, with a database ``moorage_template`` at the newest schema."""
    with tempfile.TemporaryDirectory(prefix="moorage-test-") as name:
        directory = Path(name)
        # pytest's own temporary directories are private to us, and PostgreSQL may run as another user.
        directory.chmod(0o755)
        with (directory / "postgres.log").open("wb") as log:
            cluster = (OtherPostgres if PROGRAMS else Postgres)(directory, log=log, settings=UNSAFE)
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


class Databases:
    """Clones of the template, made and dropped in the background: each costs some tenths of a second that no test waits for."""

    def __init__(self, cluster: Postgres) -> None:
        self._cluster = cluster
        self._ready: queue.Queue[str | Exception] = queue.Queue(SPARE)
        self._old: queue.Queue[str] = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="databases", daemon=True)
        self._thread.start()

    def take(self) -> str:
        """The name of a fresh one. Raises what kept it from being made."""
        made = self._ready.get(timeout=60)
        if isinstance(made, Exception):
            raise made
        return made

    def give_back(self, name: str) -> None:
        """Drop it some time."""
        self._old.put(name)

    def close(self) -> None:
        """Stop; what is left goes with the cluster."""
        self._stop.set()
        while self._thread.is_alive():
            with contextlib.suppress(queue.Empty):
                self._ready.get_nowait()
            self._thread.join(0.05)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._ready.put(create_database(self._cluster, TEMPLATE))
                while not self._old.empty():
                    drop_database(self._cluster, self._old.get())
            except psycopg.Error as error:
                self._ready.put(error)


@pytest.fixture(scope="session")
def databases(postgres_cluster: Postgres) -> Iterator[Databases]:
    """Fresh databases for whoever needs one."""
    made = Databases(postgres_cluster)
    yield made
    made.close()


@pytest.fixture
def database_url(postgres_cluster: Postgres, databases: Databases) -> Iterator[str]:
    """The URL of a fresh, migrated database."""
    name = databases.take()
    yield postgres_cluster.url_for(name)
    databases.give_back(name)


@pytest.fixture(scope="module")
def module_database_url(postgres_cluster: Postgres, databases: Databases) -> Iterator[str]:
    """The URL of a migrated database that a module's tests share; they must not meet each other's objects in it."""
    name = databases.take()
    yield postgres_cluster.url_for(name)
    databases.give_back(name)


@pytest.fixture
def empty_database_url(postgres_cluster: Postgres) -> Iterator[str]:
    """The URL of a fresh database without any schema."""
    name = create_database(postgres_cluster, "template0")
    yield postgres_cluster.url_for(name)
    drop_database(postgres_cluster, name)
