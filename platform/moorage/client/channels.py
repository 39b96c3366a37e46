"""Several byte channels in one stream of a node's tunnel: a command's input, output and result, or a forwarded connection.

A message is ``channel:u8 size:u32 (big endian) payload``. The numbers are those of Kubernetes' ``v5.channel.k8s.io``, so that
what comes from a client's WebSocket is passed on as it is.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from enum import IntEnum

from moorage.client.tunnel import Stream

LARGEST = 1024 * 1024
"""Bytes of one message at most: neither end trusts the other with its memory."""
PIECE = 64 * 1024
"""Bytes of one message of a long payload."""

_HEADER = struct.Struct("!BI")


class Channel(IntEnum):
    """What a message is. ``READY`` says that what was asked for has begun; ``CLOSE``'s payload is the channel that ends."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    RESIZE = 4
    READY = 5
    CLOSE = 255


class Channels:
    """Messages over ``stream``. Any number of tasks may send; one reads."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._sending = asyncio.Lock()

    async def send(self, channel: int, data: bytes = b"") -> None:
        """Send ``data`` whole, in several messages where it is long. Raises TunnelError where the other end has closed."""
        async with self._sending:
            for start in range(0, max(len(data), 1), PIECE):
                piece = data[start : start + PIECE]
                await self._stream.write(_HEADER.pack(channel, len(piece)) + piece)

    async def __aiter__(self) -> AsyncIterator[tuple[int, bytes]]:
        """(channel, payload) until the stream ends. Raises TunnelError, and ValueError for a message that is too long."""
        buffer = bytearray()
        async for data in self._stream:
            buffer += data
            position = 0
            while len(buffer) - position >= _HEADER.size:
                channel, size = _HEADER.unpack_from(buffer, position)
                if size > LARGEST:
                    raise ValueError(f"a message of {size} bytes; {LARGEST} are allowed")
                end = position + _HEADER.size + size
                if len(buffer) < end:
                    break
                yield channel, bytes(buffer[position + _HEADER.size : end])
                position = end
            del buffer[:position]
