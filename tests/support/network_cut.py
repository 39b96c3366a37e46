"""A network that can be cut: a port before a server, whose packets the kernel then drops, in both directions, without a word."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from os import geteuid
from urllib.parse import urlsplit

PIECE = 64 * 1024


def obstacle() -> str:
    """Why a network cannot be cut here; "" where it can."""
    if geteuid() != 0:
        return "only root may have the kernel drop packets"
    if shutil.which("iptables") is None:
        return "there is no iptables"
    probe = subprocess.run(["iptables", "--wait", "-S", "INPUT"], capture_output=True, text=True, check=False)
    return probe.stderr.strip()


class Line:
    """The way to a server on 127.0.0.1. ``url`` is what to use in place of the server's own."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url).port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = 0
        self._cut = False

    @property
    def url(self) -> str:
        """Over this line."""
        return f"https://127.0.0.1:{self._port}"

    async def open(self) -> None:
        """Have it there."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """From now on nothing gets through."""
        self._rules("-I")
        self._cut = True

    def heal(self) -> None:
        """As before."""
        if self._cut:
            self._cut = False
            self._rules("-D")

    async def close(self) -> None:
        """Take it away."""
        self.heal()
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _rules(self, action: str) -> None:
        for end in ("--dport", "--sport"):
            rule = ["INPUT", "-i", "lo", "-p", "tcp", end, str(self._port), "-j", "DROP"]
            subprocess.run(["iptables", "--wait", action, *rule], check=True, capture_output=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            async with contextlib.AsyncExitStack() as stack:
                stack.callback(writer.close)
                stack.callback(back.close)
                copies = [asyncio.ensure_future(_copy(reader, back)), asyncio.ensure_future(_copy(there, writer))]
                try:
                    await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for copy in copies:
                        copy.cancel()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(PIECE):
            sink.write(data)
            await sink.drain()


@contextlib.asynccontextmanager
async def line(url: str) -> AsyncIterator[Line]:
    """A line to the server at ``url``, whole again and gone at the end."""
    made = Line(url)
    await made.open()
    try:
        yield made
    finally:
        await made.close()
