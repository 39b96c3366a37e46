"""A watcher that dials again after every kill and must see each change once, in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from tests.chaos.writers import LOST


class Watcher:
    """Follows one collection; ``values`` is the state that its events add up to."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._revision = ""
        self.values: dict[str, int] = {}
        self.events = 0
        self.connections = 0

    async def run(self, stopped: Callable[[], bool]) -> None:
        """Watch until ``stopped``; raises AssertionError for an event that is out of order, doubled or does not fit the state."""
        while not stopped():
            try:
                if not self._revision:
                    await self._list()
                await self._watch()
            except LOST:
                await asyncio.sleep(0.1)

    async def catch_up(self) -> None:
        """Watch once more, for what came after the last event."""
        await self._watch(seconds=1)

    async def _list(self) -> None:
        async with self._session.get(self._url) as response:
            if response.status != 200:
                raise TimeoutError
            listed = await response.json()
        self.values = {item["metadata"]["name"]: int(item["data"]["value"]) for item in listed["items"]}
        self._revision = listed["metadata"]["resourceVersion"]

    async def _watch(self, seconds: int = 5) -> None:
        parameters = {"watch": "1", "resourceVersion": self._revision, "timeoutSeconds": str(seconds)}
        async with self._session.get(self._url, params=parameters) as response:
            if response.status != 200:
                raise TimeoutError
            self.connections += 1
            async for line in response.content:
                if not line.endswith(b"\n"):
                    raise TimeoutError  # cut in the middle of an event by a kill: it comes again
                self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        metadata, data = event["object"]["metadata"], event["object"].get("data", {})
        name, revision = metadata["name"], metadata["resourceVersion"]
        assert int(revision) > int(self._revision), f"{name}: revision {revision} came after {self._revision}"
        assert data["value"] == data["twin"], f"{name} is half written: {data}"
        known = name in self.values
        expected = {"ADDED": False, "MODIFIED": True, "DELETED": True}[event["type"]]
        assert known == expected, f"{event['type']} of {name} at {revision}, which was {'' if known else 'not '}there"
        if event["type"] == "DELETED":
            del self.values[name]
        else:
            self.values[name] = int(data["value"])
        self._revision = revision
        self.events += 1
