"""Work that one server of many does for all: partitions ahead, compaction, expiry of objects, sweeping of small tables.

Who holds the advisory lock does it. The lock belongs to a database session, so a server that dies gives it up by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psycopg

from moorage.store.compaction import compact
from moorage.store.contracts import Key, Op, Origin, Outcome, OutcomeUnknown, Unavailable, Verdict, Write
from moorage.store.database import Connection, Database, abandon
from moorage.store.partitions import make_partitions
from moorage.store.retention import sweep

log = logging.getLogger("moorage.store.upkeep")

LEAD = "SELECT pg_try_advisory_lock(hashtextextended('moorage upkeep', 0))"
EXPIRED = """
SELECT storage_group, resource, namespace, name, uid, revision FROM objects
WHERE expires_at <= clock_timestamp() ORDER BY expires_at LIMIT %s
"""
EXPIRY = Origin(actor="system:moorage:expiry")

Commit = Callable[[Sequence[Write], Origin], Awaitable[Sequence[Verdict]]]


class Upkeep:
    """The loop. ``commit`` is the store's own: what expires is seen by watchers like any deletion."""

    def __init__(self, database: Database, commit: Commit) -> None:
        self._database = database
        self._settings = database.settings
        self._commit = commit
        self._compacted = 0.0
        self.leading = False

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            connection: Connection | None = None
            try:
                connection = await self._database.connect()
                await self._serve(connection)
            except (Unavailable, OutcomeUnknown, psycopg.Error, OSError) as error:
                log.warning("upkeep interrupted: %s", error, extra={"action": "upkeep"})
            finally:
                self.leading = False
                if connection is not None:
                    await abandon(connection)
            await asyncio.sleep(self._settings.upkeep_every)

    async def _serve(self, connection: Connection) -> None:
        while True:
            self.leading = self.leading or await self._lead(connection)
            if self.leading:
                await self.work(connection)
            await asyncio.sleep(self._settings.upkeep_every)

    async def _lead(self, connection: Connection) -> bool:
        row = await (await connection.execute(LEAD)).fetchone()
        return row is not None and bool(row[0])

    async def work(self, connection: Connection) -> None:
        """One round."""
        await make_partitions(connection, self._settings)
        await self._expire(connection)
        if time.monotonic() - self._compacted >= self._settings.compact_every:
            self._compacted = time.monotonic()
            await compact(connection, self._settings)
            await sweep(connection, self._settings)

    async def _expire(self, connection: Connection) -> None:
        while True:
            found = await (await connection.execute(EXPIRED, (self._settings.expire_members,))).fetchall()
            if not found:
                return
            # One that was written again meanwhile has another revision, and stays.
            verdicts = await self._commit([_deletion(columns) for columns in found], EXPIRY)
            removed = sum(1 for verdict in verdicts if verdict.outcome is Outcome.WRITTEN)
            log.info("objects expired", extra={"action": "expire", "count": removed})
            if removed == 0:
                return


def _deletion(columns: tuple[Any, ...]) -> Write:
    group, resource, namespace, name, uid, revision = columns
    key = Key(group, resource, namespace, name)
    return Write(Op.DELETE, key, uid, None, expect_revision=revision, expect_uid=uid)
