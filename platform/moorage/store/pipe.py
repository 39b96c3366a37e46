"""Prepared statements over libpq itself, one at a time, for the two that run thousands of times a second.

The driver's cursors are made for comfort: a statement through them takes some 150 us of this process's one core, most of
it in registering the socket with the event loop and in adapting parameters that are bytes already. Here the socket stays
registered, parameters and results are bytes, and notifications arrive by the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import psycopg
from psycopg.abc import Buffer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

from moorage.store.database import Connection, abandon

Notified = Callable[[int, str], None]
"""Called with the sender's process id and the payload."""


def ignore(_sender: int, _payload: str) -> None:
    """For a session that listens to nothing."""


class Pipe:
    """The hot use of one connection. ``lost`` is called when the connection goes away while nothing is under way."""

    def __init__(self, connection: Connection, *, notified: Notified = ignore, lost: Callable[[], None]) -> None:
        self.connection = connection
        self._pgconn = connection.pgconn
        self._notified = notified
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._socket = -1
        self._answer: asyncio.Future[PGresult] | None = None
        self._result: PGresult | None = None
        self._attach()

    @property
    def open(self) -> bool:
        """Whether the connection is there, as far as is known."""
        return not self.connection.closed

    async def execute(self, statement: bytes, parameters: Sequence[Buffer | None]) -> PGresult:
        """Run a prepared statement; all parameters and results are binary. Raises psycopg.Error."""
        assert self._answer is None, "one statement at a time"
        self._answer = answer = self._loop.create_future()
        self._result = None
        formats = (Format.BINARY,) * len(parameters)
        try:
            self._pgconn.send_query_prepared(statement, parameters, formats, Format.BINARY)
            self._flush()
        except psycopg.OperationalError:
            self._answer = None
            raise
        result: PGresult = await answer
        if result.status != ExecStatus.TUPLES_OK:
            raise error_from_result(result)
        return result

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[Connection]:
        """The connection for a statement through the driver."""
        self._detach()
        try:
            yield self.connection
        finally:
            if self.open:
                self._attach()

    async def close(self) -> None:
        """Close the connection; a statement that is under way fails."""
        self._detach()
        self._fail(psycopg.OperationalError("the connection was closed"))
        await abandon(self.connection)

    def _attach(self) -> None:
        self._socket = self._pgconn.socket
        self._loop.add_reader(self._socket, self._readable)

    def _detach(self) -> None:
        if self._socket >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket = -1

    def _flush(self) -> None:
        if self._pgconn.flush():
            self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        try:
            if self._pgconn.flush() == 0:
                self._loop.remove_writer(self._socket)
        except psycopg.OperationalError as error:
            self._break(error)

    def _readable(self) -> None:
        pgconn = self._pgconn
        try:
            pgconn.consume_input()
            while notification := pgconn.notifies():
                self._notified(notification.be_pid, notification.extra.decode())
            if self._answer is not None:
                self._collect()
            if self._answer is not None:
                # A server that dies with our statement unread leaves its last words and then an error on the socket.
                # libuv tells of that once and watches the socket no more, so what follows must be read at once, too.
                pgconn.consume_input()
                self._collect()
        except psycopg.OperationalError as error:
            self._break(error)

    def _collect(self) -> None:
        """Take results until the statement's end, which is a None."""
        while not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is not None:
                self._result = result
                continue
            answer, self._answer = self._answer, None
            assert self._result is not None
            if answer is not None and not answer.done():
                answer.set_result(self._result)
            return

    def _break(self, error: psycopg.OperationalError) -> None:
        self._detach()
        idle = self._answer is None
        self._fail(error)
        self._pgconn.finish()
        if idle:
            self._lost()

    def _fail(self, error: psycopg.OperationalError) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)
