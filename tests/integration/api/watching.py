"""Reading watches in tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson


class Watch:
    """The lines of one watch, each with a deadline."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self, timeout: float = 10.0) -> dict[str, Any]:
        """The next event. Raises EOFError at the end."""
        async with asyncio.timeout(timeout):
            line = await self.response.content.readline()
        if not line:
            raise EOFError
        event: dict[str, Any] = orjson.loads(line)
        return event

    async def take(self, count: int) -> list[tuple[str, str]]:
        """(type, name) of the next events."""
        found = []
        for _ in range(count):
            event = await self.next()
            found.append((event["type"], event["object"]["metadata"].get("name", "")))
        return found


@asynccontextmanager
async def watching(client: aiohttp.ClientSession, path: str, **params: str) -> AsyncIterator[Watch]:
    """An open watch; its headers have arrived."""
    options: dict[str, Any] = {"params": {"watch": "1", **params}, "read_bufsize": 2**22}
    async with client.get(path, **options) as response:
        assert response.status == 200, await response.text()
        yield Watch(response)
