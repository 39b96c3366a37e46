"""Docker's attached streams: output of containers and commands, framed or raw.

A frame is ``stream:u8 0 0 0 size:u32 (big endian) payload`` (Docker Engine API, "Attach to a container", stream format).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

HEADER = 8


async def frames(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Payloads of both streams in order. A frame torn by the end of the stream is passed on as far as it came."""
    async for _, payload in framed(chunks):
        yield payload


async def framed(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """(stream, payload) in order; 1 is standard output, 2 standard error."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        position = 0
        while len(buffer) - position >= HEADER:
            size = int.from_bytes(buffer[position + 4 : position + HEADER], "big")
            end = position + HEADER + size
            if len(buffer) < end:
                break
            yield buffer[position], bytes(buffer[position + HEADER : end])
            position = end
        del buffer[:position]
    if len(buffer) > HEADER:
        yield buffer[0], bytes(buffer[HEADER:])


async def head(chunks: AsyncIterator[bytes], most: int) -> bytes:
    """The first ``most`` bytes; the rest is read and dropped, so that its writer does not block."""
    kept = bytearray()
    async for chunk in chunks:
        kept += chunk[: most - len(kept)]
    return bytes(kept)
