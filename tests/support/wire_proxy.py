"""A proxy before PostgreSQL that understands where its messages begin and end, and cuts the connection at a chosen one.

Only the session that commits is cut: the one over which ``LISTEN moorage`` went. Message formats: PostgreSQL, "Frontend/
Backend Protocol". Connections go over a unix socket, so there is no TLS to see through.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

SOCKET = ".s.PGSQL.5432"


class Side(Enum):
    """Whose messages are counted."""

    CLIENT = "client"
    SERVER = "server"


class How(Enum):
    """What becomes of the message at which the connection is cut."""

    BEFORE = "before"
    """It is lost."""
    HALF = "half"
    """Half of it arrives."""
    AFTER = "after"
    """It arrives."""
    LATE = "late"
    """The client is cut off; what it had sent reaches the server when ``release`` is called."""


@dataclass(eq=False)
class Session:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    commits: bool = False
    started: bool = False
    held: list[bytes] | None = None


@dataclass
class Plan:
    """Cut at the ``at``-th message of ``side`` counted from now."""

    side: Side
    at: int
    how: How
    counted: int = 0
    done: bool = False


@dataclass
class WireProxy:
    """``directory`` holds the proxy's socket, ``target`` is PostgreSQL's."""

    directory: Path
    target: Path
    plan: Plan | None = None
    _held: list[Session] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def cut(self, side: Side, at: int, how: How) -> Plan:
        """Cut the committing session once, at its ``at``-th message of ``side`` from now on."""
        self.plan = Plan(side, at, how)
        return self.plan

    async def release(self) -> None:
        """Let the server have what clients had sent before they were cut off, and read its answers until it is done."""
        held, self._held = self._held, []
        for session in held:
            assert session.held is not None
            session.server.write(b"".join(session.held))
            with contextlib.suppress(OSError):
                await session.server.drain()
            session.server.write_eof()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry a connection from now on."""
        self._writers.append(writer)
        task = asyncio.create_task(self._carry(reader, writer), name="proxied connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(str(self.target))
        except OSError:
            writer.close()
            return
        self._writers.append(server_writer)
        session = Session(writer, server_writer)
        try:
            await asyncio.gather(
                self._pump(session, Side.CLIENT, reader, server_writer),
                self._pump(session, Side.SERVER, server_reader, writer),
            )
        finally:
            for each in (writer, server_writer):
                each.close()

    async def close(self) -> None:
        """End every connection."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    async def _pump(
        self, session: Session, side: Side, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while True:
                message = await self._read(session, side, reader)
                if side is Side.CLIENT and b"LISTEN moorage" in message:
                    session.commits = True
                if session.held is not None:
                    # Cut off late: the client is gone, and nobody reads the server's answers.
                    if side is Side.CLIENT:
                        session.held.append(message)
                    continue
                if session.commits and self._due(side):
                    await self._cut(session, side, message, writer)
                    if session.held is None:
                        return
                    continue
                writer.write(message)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            if session.held is None:
                for each in (session.client, session.server):
                    each.close()

    def _due(self, side: Side) -> bool:
        plan = self.plan
        if plan is None or plan.done or plan.side is not side:
            return False
        plan.counted += 1
        plan.done = plan.counted == plan.at
        return plan.done

    async def _cut(self, session: Session, side: Side, message: bytes, writer: asyncio.StreamWriter) -> None:
        assert self.plan is not None
        how = self.plan.how
        if how is How.LATE:
            session.held = [message] if side is Side.CLIENT else []
            self._held.append(session)
            session.client.close()
            return
        part = {How.BEFORE: 0, How.HALF: len(message) // 2, How.AFTER: len(message)}[how]
        writer.write(message[:part])
        with contextlib.suppress(OSError):
            await writer.drain()
        for each in (session.client, session.server):
            each.close()

    async def _read(self, session: Session, side: Side, reader: asyncio.StreamReader) -> bytes:
        """One message. The client's first has no type byte."""
        if side is Side.CLIENT and not session.started:
            session.started = True
            head = await reader.readexactly(4)
        else:
            head = await reader.readexactly(5)
        return head + await reader.readexactly(int.from_bytes(head[-4:], "big") - 4)


@asynccontextmanager
async def proxied(url: str, directory: Path) -> AsyncIterator[tuple[WireProxy, str]]:
    """A proxy before the database of ``url``, and the URL through it."""
    parts = urlsplit(url)
    target = Path(parse_qs(parts.query)["host"][0]) / SOCKET
    proxy = WireProxy(directory, target)
    server = await asyncio.start_unix_server(proxy.accept, path=str(directory / SOCKET))
    try:
        yield proxy, urlunsplit(parts._replace(query=f"host={quote(str(directory), safe='')}&port=5432"))
    finally:
        server.close()
        await proxy.close()
