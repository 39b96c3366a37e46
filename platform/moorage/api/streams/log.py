"""Logs over a WebSocket: each piece of a log is a message. Source: Kubernetes' ``wsstream.Reader``."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator

from moorage.api.streams.socket import Socket
from moorage.client.tunnel import Stream, TunnelError

PROTOCOLS = ("", "binary.k8s.io", "base64.binary.k8s.io")
FIRST_SECONDS = 1.0
"""How long a node may take to say no before the client is told yes."""


async def run(socket: Socket, protocol: str, stream: Stream | None) -> None:
    """Send the log until it ends or the client goes; ``None`` is an empty one. Raises TunnelError for a refusal."""
    chunks = aiter(stream) if stream is not None else _nothing()
    first = asyncio.ensure_future(anext(chunks, None))
    try:
        await asyncio.wait((first,), timeout=FIRST_SECONDS)
        if first.done():
            first.result()
        await socket.accept(protocol)
        writer = asyncio.create_task(_send(socket, protocol, first, chunks), name="stream: log")
        reader = asyncio.create_task(_drain(socket), name="stream: client's end")
        try:
            await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
        if not writer.cancelled():
            await socket.close()
    finally:
        first.cancel()


async def _send(
    socket: Socket, protocol: str, first: asyncio.Future[bytes | None], chunks: AsyncIterator[bytes]
) -> None:
    encoded = protocol.startswith("base64")
    with contextlib.suppress(TunnelError):  # the log ends where the node does
        chunk = await first
        while chunk is not None:
            await socket.send(base64.b64encode(chunk).decode("ascii") if encoded else chunk)
            chunk = await anext(chunks, None)


async def _drain(socket: Socket) -> None:
    async for _ in socket.messages():
        continue


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
