"""Before a server opens the store: wait for PostgreSQL, and bring its schema up to date where it is behind."""

from __future__ import annotations

import importlib.util
import logging
import re
import time
from pathlib import Path

import psycopg

from moorage.server_config import ConfigError

log = logging.getLogger(__name__)

WAIT_SECONDS = 60.0
OLDEST = 150000
"""PostgreSQL 15, as ``server_version_num`` says it."""
_REFUSALS = ("28", "3D", "3F")
"""SQLSTATE classes that no waiting mends: wrong user or password, no such database."""
_MIGRATION = re.compile(r"v(\d{4})_\w+\.py")


def prepare(url: str, password: str) -> str:
    """Return ``url`` once its database answers and has this program's schema. Raises ConfigError; blocks."""
    with _connect(url, password) as connection:
        if connection.info.server_version < OLDEST:
            raise ConfigError(
                f"the database is PostgreSQL {connection.info.server_version // 10000}; Moorage needs 15 or newer"
            )
        found = _version(connection)
    newest = newest_migration()
    if found > newest:
        raise ConfigError(
            f"the database was migrated by a newer Moorage (schema {found}, this one knows {newest}); run that version"
        )
    if found < newest:
        log.info("migrating the database from schema %s to %s", found or "none", newest)
        # Not imported before: what migrates is needed once, and would stay in memory for good.
        from moorage_migrations import upgrade

        upgrade(url, password or None)
    return url


def newest_migration() -> str:
    """The number of the newest migration that this program carries."""
    spec = importlib.util.find_spec("moorage_migrations")
    assert spec is not None
    assert spec.origin is not None
    names = (_MIGRATION.fullmatch(path.name) for path in Path(spec.origin).with_name("versions").iterdir())
    return max(match[1] for match in names if match)


def _connect(url: str, password: str) -> psycopg.Connection[tuple[object, ...]]:
    end = time.monotonic() + WAIT_SECONDS
    said = False
    while True:
        try:
            return psycopg.connect(url, password=password or None, autocommit=True, connect_timeout=5)
        except psycopg.OperationalError as error:
            text = str(error).strip().replace("\n", " ")
            if (error.sqlstate or "")[:2] in _REFUSALS or _is_refusal(text):
                raise ConfigError(f"the database refuses us: {text}") from None
            if time.monotonic() > end:
                raise ConfigError(f"the database did not answer within {WAIT_SECONDS:.0f} s: {text}") from None
            if not said and time.monotonic() > end - WAIT_SECONDS + 3:
                log.warning("waiting for the database: %s", text)
                said = True
        time.sleep(0.05)


def _is_refusal(text: str) -> bool:
    """libpq gives no SQLSTATE for what fails while it connects."""
    return any(word in text for word in ("password authentication failed", "does not exist", "no pg_hba.conf entry"))


def _version(connection: psycopg.Connection[tuple[object, ...]]) -> str:
    row = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return ""
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else ""
