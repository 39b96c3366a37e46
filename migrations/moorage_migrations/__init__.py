"""Alembic migrations of the store's schema: expand first, contract a release later."""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

LOCK = "SELECT pg_advisory_lock(hashtextextended('moorage migrations', 0))"


def upgrade(url: str, password: str | None = None, *, revision: str = "head") -> None:
    """Bring the database at ``url`` (libpq URL) to this program's schema, or to an earlier ``revision`` of it. Blocks; safe
    to call from many servers at once, the others wait. Raises ``sqlalchemy.exc.DBAPIError`` or ``psycopg.OperationalError``.
    """
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url, password=password), poolclass=NullPool
    )
    with engine.connect() as lock, engine.connect() as connection:
        # Held by a session of its own: each migration commits by itself on the other.
        lock.execute(text(LOCK))
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        lock.rollback()
