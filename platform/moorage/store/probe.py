"""The newest revision in PostgreSQL, asked for as seldom as correctness allows.

A caller may share only a question that was put after it asked: then everything that was committed before it asked is in
the answer. So those who arrive while a question is under way share the next one.
"""

from __future__ import annotations

import asyncio
import time

import psycopg

from moorage.store.contracts import Unavailable
from moorage.store.database import Connection, Database, abandon, limited
from moorage.store.epochs import Seen

LATEST = b"""
SELECT c.epoch, c.horizon, greatest(c.base_revision, (SELECT max(last_revision) FROM batches)) FROM cluster c
"""


class Probe:
    """One connection that answers one question. ``horizon`` is the one that the last answer carried."""

    def __init__(self, database: Database, seen: Seen) -> None:
        self.horizon = 0
        self._database = database
        self._seen = seen
        self._connection: Connection | None = None
        self._following: asyncio.Future[int] | None = None
        self._asking: asyncio.Task[None] | None = None

    async def latest(self) -> int:
        """The newest revision, read after this call began. Raises Unavailable."""
        if self._following is None:
            self._following = asyncio.get_running_loop().create_future()
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask(), name="probe")
        return await asyncio.shield(self._following)

    async def close(self) -> None:
        """Stop; those that wait are told."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        if self._connection is not None:
            await abandon(self._connection)

    async def _ask(self) -> None:
        while self._following is not None:
            answer, self._following = self._following, None
            try:
                revision = await self._read()
            except Unavailable as error:
                answer.set_exception(error)
                # Whoever waited may have gone away; that is no error.
                answer.exception()
            except BaseException:
                answer.cancel()
                raise
            else:
                answer.set_result(revision)

    async def _read(self) -> int:
        """Twice: a connection that was lost while it lay idle says nothing about the database."""
        deadline = time.monotonic() + self._database.settings.read_deadline
        for last_attempt in (False, True):
            try:
                return await self._read_once(deadline)
            except Unavailable:
                if last_attempt:
                    raise
        raise AssertionError("not reached")

    async def _read_once(self, deadline: float) -> int:
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._connection = await self._database.connect_within(deadline)
        try:
            with limited(connection, self._database.settings.read_deadline):
                cursor = connection.cursor(binary=True)
                await cursor.execute(LATEST)
                row = await cursor.fetchone()
        except (psycopg.OperationalError, OSError) as error:
            self._connection = None
            await abandon(connection)
            raise Unavailable(f"PostgreSQL went away: {error}") from error
        assert row is not None
        epoch, self.horizon, revision = row
        if epoch != self._seen.epoch:
            # Opening a connection compares histories; the caches are dropped there.
            self._connection = None
            await abandon(connection)
            self._connection = await self._database.connect_within(deadline)
        return int(revision)
