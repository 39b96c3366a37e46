"""The newest revision in PostgreSQL, asked for as seldom as correctness allows.

A caller may share only a question that was put after it asked: then everything that was committed before it asked is in
the answer. So those who arrive while a question is under way share the next one.
"""

from __future__ import annotations

import asyncio
import time

import psycopg

from moorage.store.contracts import Unavailable
from moorage.store.database import Database, abandon, limited
from moorage.store.epochs import Seen
from moorage.store.pipe import Pipe

STATEMENT = b"moorage_latest"
PREPARE = """
PREPARE moorage_latest AS
SELECT c.epoch, c.horizon, greatest(c.base_revision, (SELECT max(last_revision) FROM batches)) FROM cluster c
"""


class Probe:
    """One connection that answers one question. ``horizon`` is the one that the last answer carried."""

    def __init__(self, database: Database, seen: Seen) -> None:
        self.horizon = 0
        self._database = database
        self._seen = seen
        self._pipe: Pipe | None = None
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
        if self._pipe is not None:
            await self._pipe.close()

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
        pipe = self._pipe
        if pipe is None or not pipe.open:
            pipe = self._pipe = await self._connect(deadline)
        try:
            with limited(pipe.connection, self._database.settings.read_deadline):
                result = await pipe.execute(STATEMENT, ())
        except psycopg.OperationalError as error:
            self._pipe = None
            await pipe.close()
            raise Unavailable(f"PostgreSQL went away: {error}") from error
        epoch, self.horizon, revision = (int.from_bytes(result.get_value(0, n) or b"", "big") for n in range(3))
        if epoch != self._seen.epoch:
            # Opening a connection compares histories; the caches are dropped there.
            await pipe.close()
            self._pipe = await self._connect(deadline)
        return revision

    async def _connect(self, deadline: float) -> Pipe:
        connection = await self._database.connect_within(deadline)
        try:
            await connection.execute(PREPARE)
        except psycopg.OperationalError as error:
            await abandon(connection)
            raise Unavailable(f"PostgreSQL went away: {error}") from error
        except BaseException:
            await abandon(connection)
            raise
        return Pipe(connection, lost=lambda: None)
