"""Connections: how one is opened, what makes it usable, and how the driver's errors are told apart."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg.abc import AdaptContext
from psycopg.conninfo import make_conninfo

from moorage.store.contracts import Unavailable
from moorage.store.errors import SchemaMissing, StaleHistory, StaleWriter
from moorage.store.settings import StoreSettings
from moorage.store.wire import adapters

log = logging.getLogger("moorage.store")

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
OnConnect: TypeAlias = Callable[[Connection], Awaitable[None]]

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0

# A database that acknowledges before it has written would break every promise made above; stronger settings stay.
SESSION = """
SELECT set_config('statement_timeout', %s, false),
       set_config('idle_in_transaction_session_timeout', '60s', false),
       set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
       set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
                  THEN 'on' ELSE current_setting('synchronous_commit') END, false),
       to_regclass('cluster') IS NOT NULL
"""


class Adapters:
    """The context from which connections take their adapters."""

    def __init__(self) -> None:
        self.adapters = adapters()
        self.connection = None


def is_lost(error: BaseException, connection: Connection) -> bool:
    """Whether the connection is gone, so that what was under way may or may not have happened."""
    if connection.closed or not isinstance(error, psycopg.Error):
        return True
    # FATAL ends the session, whatever the driver has noticed of that so far.
    return (
        connection.broken
        or error.diag.severity_nonlocalized in ("FATAL", "PANIC")
        or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None)
    )


def sever(connection: Connection) -> None:
    """Cut a connection that does not answer. What waits for it fails at once; cancelling would wait for the server."""
    try:
        descriptor = os.dup(connection.pgconn.socket)
    except (psycopg.Error, OSError):
        return
    with socket.socket(fileno=descriptor) as peer:
        try:
            peer.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


@contextmanager
def limited(connection: Connection, seconds: float) -> Iterator[None]:
    """Sever the connection where the body takes longer than ``seconds``."""
    handle = asyncio.get_running_loop().call_later(seconds, sever, connection)
    try:
        yield
    finally:
        handle.cancel()


def translate(error: psycopg.Error) -> Exception:
    """Our own errors for our own SQLSTATEs; others as they are."""
    if error.sqlstate == "MG001":
        return StaleWriter(str(error))
    if error.sqlstate == "MG002":
        return StaleHistory(str(error))
    return error


class Database:
    """The way to one database. ``on_connect`` runs on each new connection before anybody uses it."""

    def __init__(self, url: str, *, password: str | None, server_name: str, settings: StoreSettings) -> None:
        self.settings = settings
        self.server_name = server_name
        self.on_connect: OnConnect | None = None
        # A peer that vanished without a word is noticed within half a minute.
        self._conninfo = make_conninfo(
            url,
            application_name=f"moorage {server_name}",
            connect_timeout=max(2, round(settings.connect_timeout)),
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=30_000,
            target_session_attrs="read-write",
        )
        self._password = password
        self._context: AdaptContext = Adapters()

    async def connect(self, *, timeout: float | None = None) -> Connection:
        """A new connection in autocommit mode that prepares every statement. Raises Unavailable, SchemaMissing."""
        timeout = self.settings.connect_timeout if timeout is None else timeout
        limit = self.settings.attempt_timeout
        try:
            async with asyncio.timeout(timeout):
                connection = await psycopg.AsyncConnection.connect(
                    self._conninfo, password=self._password, autocommit=True, prepare_threshold=0, context=self._context
                )
        except (psycopg.OperationalError, TimeoutError, OSError) as error:
            raise Unavailable(f"PostgreSQL cannot be reached: {_one_line(error)}") from error
        try:
            with limited(connection, limit):
                await self._prepare(connection)
        except (psycopg.OperationalError, TimeoutError, OSError) as error:
            await abandon(connection)
            raise Unavailable(f"PostgreSQL went away: {_one_line(error)}") from error
        except BaseException:
            await abandon(connection)
            raise
        return connection

    async def connect_within(self, deadline: float) -> Connection:
        """Try again, with growing pauses, until ``deadline`` (``time.monotonic()``). Raises Unavailable."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await self.connect(
                    timeout=max(0.1, min(self.settings.connect_timeout, deadline - time.monotonic()))
                )
            except Unavailable:
                if time.monotonic() + pause > deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _prepare(self, connection: Connection) -> None:
        limit = f"{round(self.settings.attempt_timeout * 1000)}ms"
        cursor = await connection.execute(SESSION, (limit,))
        row = await cursor.fetchone()
        if row is None or not row[5]:
            raise SchemaMissing(
                "the database holds no schema of this program: migrate it first (moorage_migrations.upgrade)"
            )
        if self.on_connect is not None:
            await self.on_connect(connection)


async def abandon(connection: Connection) -> None:
    """Close without waiting for anything that is under way."""
    try:
        await connection.close()
    except psycopg.Error as error:
        log.debug("closing a connection failed", extra={"action": "close", "error": str(error)})


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or "no answer"


def _has_news(connection: Connection) -> bool:
    """Whether the server has said something to an idle connection; that is its farewell."""
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


class Readers:
    """A few connections for reads and small writes, opened as needed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._idle: list[Connection] = []
        self._slots = asyncio.Semaphore(database.settings.readers)
        self._closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for one piece of work. Raises Unavailable, also for a connection that is lost in the middle."""
        async with self._slots:
            connection = await self._take()
            try:
                yield connection
            except (psycopg.OperationalError, OSError) as error:
                raise Unavailable(f"PostgreSQL went away: {error}") from error
            finally:
                await self._give_back(connection)

    async def fetch(self, query: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a read, in binary. A lost connection is replaced once: reads can be repeated. Raises Unavailable."""
        for attempt in (1, 2):
            try:
                async with self.connection() as connection:
                    cursor = connection.cursor(binary=True)
                    with limited(connection, self._database.settings.read_deadline):
                        await cursor.execute(query.encode(), parameters)
                        return await cursor.fetchall()
            except Unavailable:
                if attempt == 2 or self._closed:
                    raise
                await self._forget_idle()
        raise AssertionError("not reached")

    async def fetch_once(self, query: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows that a write returns which must not be repeated. Raises Unavailable, also where it may have happened."""
        async with self.connection() as connection:
            cursor = connection.cursor(binary=True)
            with limited(connection, self._database.settings.read_deadline):
                await cursor.execute(query.encode(), parameters)
                return await cursor.fetchall()

    async def execute(self, query: str, parameters: tuple[object, ...] = ()) -> int:
        """Run a write that may be repeated without harm; how many rows it touched. Raises Unavailable."""
        async with self.connection() as connection:
            with limited(connection, self._database.settings.read_deadline):
                cursor = await connection.execute(query.encode(), parameters)
            return cursor.rowcount

    async def close(self) -> None:
        """Close all idle connections; those in use are closed when they come back."""
        self._closed = True
        await self._forget_idle()

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and not _has_news(connection):
                return connection
            await abandon(connection)
        return await self._database.connect_within(time.monotonic() + self._database.settings.read_deadline)

    async def _give_back(self, connection: Connection) -> None:
        status = connection.info.transaction_status if not connection.closed else None
        if self._closed or status is not psycopg.pq.TransactionStatus.IDLE:
            await abandon(connection)
        else:
            self._idle.append(connection)

    async def _forget_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await abandon(connection)
