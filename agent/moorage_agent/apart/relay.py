"""From a loopback address of a node apart to the same address of its machine, byte by byte: what listens there has no other.

Only what the node itself needs is relayed: the API server, and resolvers such as systemd's at 127.0.0.53.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from moorage_agent.visiting import network

SIZE = 64 * 1024
FLOW_SECONDS = 10.0
"""How long an answer to a datagram is waited for."""
FLOWS = 1024


class Address(NamedTuple):
    """``kind`` is ``tcp`` or ``udp``."""

    host: str
    port: int
    kind: str = "tcp"


@contextlib.asynccontextmanager
async def relays(there: int, addresses: Sequence[Address]) -> AsyncIterator[None]:
    """Listen at ``addresses`` in the network ``there``, for as long as the context lasts. Raises OSError."""
    async with contextlib.AsyncExitStack() as stack:
        for address in addresses:
            listening = await asyncio.to_thread(_listening, there, address)
            if address.kind == "udp":
                serving = asyncio.create_task(_datagrams(listening, address), name=f"relay {address.host}")
                stack.push_async_callback(_ended, serving, listening)
            else:
                server = await asyncio.start_server(_Streams(address).serve, sock=listening)
                stack.push_async_callback(_closed, server)
        yield


def _listening(there: int, address: Address) -> socket.socket:
    with network(there):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if address.kind == "udp" else socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setblocking(False)
    made.bind((address.host, address.port))
    return made


async def _closed(server: asyncio.Server) -> None:
    server.close()


async def _ended(serving: asyncio.Task[None], listening: socket.socket) -> None:
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    listening.close()


class _Streams:
    def __init__(self, address: Address) -> None:
        self._address = address

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways, until both sides have ended theirs or one is broken."""
        ours: asyncio.StreamWriter | None = None
        ways: list[asyncio.Task[None]] = []
        try:
            theirs, ours = await asyncio.open_connection(self._address.host, self._address.port)
            loop = asyncio.get_running_loop()
            ways = [loop.create_task(_copy(reader, ours)), loop.create_task(_copy(theirs, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        except OSError:
            return  # nobody listens there: the connection is closed, as if nobody had listened here
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            if ours is not None:
                ours.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(SIZE):
        target.write(data)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()


async def _datagrams(listening: socket.socket, address: Address) -> None:
    """Each datagram is a question of its own, with one answer."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        flows: set[asyncio.Task[None]] = set()
        while True:
            try:
                data, peer = await loop.sock_recvfrom(listening, SIZE)
            except OSError:
                continue  # what an earlier answer met (ICMP); the socket goes on
            if len(flows) < FLOWS:
                task = group.create_task(_asked(listening, data, peer, address))
                flows.add(task)
                task.add_done_callback(flows.discard)


async def _asked(listening: socket.socket, data: bytes, peer: tuple[str, int], address: Address) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, TimeoutError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        asking.connect((address.host, address.port))
        async with asyncio.timeout(FLOW_SECONDS):
            await loop.sock_sendall(asking, data)
            answer = await loop.sock_recv(asking, SIZE)
            await loop.sock_sendto(listening, answer, peer)
