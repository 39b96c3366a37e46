"""Writers that never stop: they create, change and delete configmaps of their own, and remember every answer."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

import aiohttp

from tests.chaos.model import ABSENT, Name

LOST = (aiohttp.ClientError, OSError, TimeoutError)
"""What a client sees when the answer to a request is lost."""


class Writer:
    """Writes to the names ``PREFIX-0`` to ``PREFIX-4``, checking before each write that the store holds what it may hold."""

    def __init__(self, session: aiohttp.ClientSession, url: str, prefix: str, seed: int) -> None:
        self._session = session
        self._url = url
        self._random = random.Random(seed)
        self.names = {f"{prefix}-{number}": Name() for number in range(5)}
        self.acknowledged = 0
        self.lost = 0
        self._value = 0

    async def run(self, stopped: Callable[[], bool]) -> None:
        """Write until ``stopped``; raises AssertionError as soon as an acknowledged write is missing."""
        while not stopped():
            name = self._random.choice(list(self.names))
            if not await self._settle(name):
                await asyncio.sleep(0.1)
                continue
            await self._write(name, self.names[name])

    async def check(self) -> None:
        """At the end, when the API answers: every name holds what was acknowledged or may have happened."""
        for name in self.names:
            assert await self._settle(name), f"the API did not answer for {name} although all parts are ready"

    async def _settle(self, name: str) -> bool:
        """Read the object. False where the API does not answer; AssertionError where it holds what it may not."""
        try:
            async with self._session.get(f"{self._url}/{name}") as response:
                if response.status not in (200, 404):
                    return False
                document = await response.json()
        except LOST:
            return False
        value = int(document["data"]["value"]) if response.status == 200 else ABSENT
        model = self.names[name]
        assert model.allows(value), (
            f"{name} holds {value}; acknowledged was {model.acknowledged}, possible {model.possible}"
        )
        model.learn(value, time.monotonic())
        return True

    async def _write(self, name: str, model: Name) -> None:
        self._value += 1
        delete = model.acknowledged != ABSENT and self._random.random() < 0.2
        value = ABSENT if delete else self._value
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name},
            "data": {"value": str(value), "twin": str(value)},
        }
        if delete:
            request = self._session.delete(f"{self._url}/{name}")
        elif model.acknowledged == ABSENT:
            request = self._session.post(self._url, json=body)
        else:
            request = self._session.put(f"{self._url}/{name}", json=body)
        try:
            async with request as response:
                await response.read()
        except LOST:
            self._lose(model, value)
            return
        if response.status in (200, 201):
            model.answer(value)
            self.acknowledged += 1
        elif response.status in (500, 503, 504):
            self._lose(model, value)  # 504 says that the outcome is unknown; the others promise less than they may

    def _lose(self, model: Name, value: int) -> None:
        self.lost += 1
        model.lose(value, time.monotonic())
