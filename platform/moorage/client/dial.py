"""The node's end of its tunnel: dial the API server, serve the streams that it opens, dial again when the connection breaks."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import aiohttp

from moorage.client.tunnel import Handler, Mux

log = logging.getLogger(__name__)

Connect = Callable[[], AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]]

FIRST_DELAY = 0.2
LAST_DELAY = 15.0
"""Seconds between attempts: doubled from the first to the last, with jitter so that nodes do not return as one herd."""


def tunnel_path(node: str) -> str:
    """Where a node's tunnel is opened."""
    return f"/apis/moorage.io/v1/nodes/{node}/tunnel"


async def serve_tunnel(connect: Connect, handler: Handler) -> None:
    """Keep a tunnel open until cancelled. ``connect`` opens the WebSocket; ``handler`` serves one stream."""
    delay = FIRST_DELAY
    while True:
        try:
            async with connect() as socket:
                delay = FIRST_DELAY
                await _serve(socket, handler)
                log.info("tunnel closed by the server (code %s); dialling again", socket.close_code)
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            log.warning("tunnel: %s; dialling again in %.1f s", error, delay)
        await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
        delay = min(delay * 2, LAST_DELAY)


async def _serve(socket: aiohttp.ClientWebSocketResponse, handler: Handler) -> None:
    mux = Mux(socket.send_bytes, handler)
    try:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                raise ValueError(f"a tunnel carries binary messages, not {message.type.name}")
            await mux.feed(message.data)
    finally:
        await mux.abort("the tunnel to the API server broke")
