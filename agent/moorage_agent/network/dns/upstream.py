"""The machine's own resolvers: questions go on as they came, in turn to each server until one answers."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

RESOLV_CONF = Path("/etc/resolv.conf")
SECONDS, TRIES = 2.0, 2
PORT = 53


class UpstreamError(Exception):
    """Nobody answered."""


def servers(text: str, own: Iterable[str] = ()) -> list[str]:
    """Addresses after ``nameserver`` in a ``resolv.conf`` (resolv.conf(5)), our own left out."""
    found = [line.split()[1] for line in text.splitlines() if line.startswith("nameserver") and len(line.split()) > 1]
    return [each for each in dict.fromkeys(found) if each not in set(own)]


class Upstream:
    """``find`` names the servers each time, for they change while the agent runs."""

    def __init__(self, find: Callable[[], Sequence[str]]) -> None:
        self._find = find

    async def ask(self, query: bytes, *, stream: bool) -> bytes:
        """The answer to a question in wire form. Raises UpstreamError."""
        reason = "the machine's resolv.conf names no server"
        for _ in range(TRIES):
            for server in self._find():
                try:
                    async with asyncio.timeout(SECONDS):
                        return await (_over_tcp if stream else _over_udp)(server, query)
                except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                    reason = f"{server}: {str(error) or type(error).__name__}"
        raise UpstreamError(reason)


class _Asked(asyncio.DatagramProtocol):
    def __init__(self, number: bytes) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._number = number

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Called by asyncio; another question's answer, and what is no answer, is ignored."""
        if data[:2] == self._number and data[2:3] >= b"\x80" and not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """Called by asyncio."""
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _over_udp(server: str, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: _Asked(query[:2]), remote_addr=(server, PORT))
    try:
        transport.sendto(query)
        return await protocol.answer
    finally:
        transport.close()


async def _over_tcp(server: str, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(server, PORT)
    try:
        writer.write(struct.pack(">H", len(query)) + query)
        await writer.drain()
        (size,) = struct.unpack(">H", await reader.readexactly(2))
        return await reader.readexactly(size)
    finally:
        writer.close()
