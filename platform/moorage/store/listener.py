"""Brings other processes' commits in: when one is heard of, and once a second in case a notification was missed."""

from __future__ import annotations

import asyncio
import logging

from moorage.store.contracts import Unavailable
from moorage.store.database import FIRST_PAUSE, LONGEST_PAUSE
from moorage.store.feed import Feed
from moorage.store.probe import Probe

SNAPSHOT_AGE = 60.0
"""Seconds for which a list of an old revision is kept for whoever pages through it; a later page builds it anew."""

log = logging.getLogger("moorage.store.listener")


class Listener:
    """Keeps the feed up to date with the log. ``poll`` is in seconds."""

    def __init__(self, feed: Feed, probe: Probe, poll: float) -> None:
        self._feed = feed
        self._probe = probe
        self._poll = poll
        self._newest = 0
        self._told = asyncio.Event()

    def heard(self, revision: int) -> None:
        """Another process committed up to ``revision``."""
        if revision > self._newest:
            self._newest = revision
            self._told.set()

    async def run(self) -> None:
        """Work until cancelled."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._step()
                pause = FIRST_PAUSE
            except Unavailable as error:
                log.warning("the change log cannot be read: %s", error, extra={"action": "listen", "retry_in": pause})
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _step(self) -> None:
        try:
            async with asyncio.timeout(self._poll):
                await self._told.wait()
        except TimeoutError:
            for cache in self._feed.caches.values():
                cache.forget_snapshots(SNAPSHOT_AGE)
            newest = await self._probe.latest()
            self._feed.horizon = max(self._feed.horizon, self._probe.horizon)
            await self._feed.wait_own()
        else:
            self._told.clear()
            newest = self._newest
        await self._feed.catch_up(newest)
