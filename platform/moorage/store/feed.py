"""What brings commits into the caches, in revision order: our own with the bytes at hand, those of others from the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from moorage.resources.kind import ResourceKey
from moorage.store.cache import ResourceCache
from moorage.store.contracts import Expired
from moorage.store.rows import Row

log = logging.getLogger("moorage.store.feed")


PATIENCE = 0.25
"""Seconds; a commit takes a few milliseconds where nothing is wrong."""


class Log(Protocol):
    """Reads the change log."""

    async def read(self, after: int, until: int, resources: frozenset[ResourceKey]) -> tuple[Sequence[Row], int]:
        """Rows of the given resources in whole commits after ``after`` and not beyond ``until``, and the revision up to
        which they are complete (``after`` where there is nothing). Raises Unavailable.
        """
        ...


class Feed:
    """All caches of one process. ``revision``: every commit up to here is applied in all of them."""

    def __init__(self, change_log: Log) -> None:
        self.revision = 0
        self.horizon = 0
        self.caches: dict[ResourceKey, ResourceCache] = {}
        self.own_commit: asyncio.Future[None] | None = None
        """Done when the commit that this process has under way is applied, or failed."""
        self._log = change_log
        self._reading = asyncio.Lock()
        self._waiting: dict[asyncio.Future[None], int] = {}

    async def wait(self, revision: int) -> None:
        """Return once ``revision`` is applied. Raises Unavailable."""
        await self.wait_own()
        if self.revision < revision:
            await self.catch_up(revision)
        if self.revision < revision:
            future = asyncio.get_running_loop().create_future()
            self._waiting[future] = revision
            try:
                await future
            finally:
                self._waiting.pop(future, None)

    async def wait_own(self) -> None:
        """Let a commit of this process that is under way arrive first, if it does so soon: reading it back from the log
        would be waste.
        """
        if self.own_commit is not None:
            await asyncio.wait((self.own_commit,), timeout=PATIENCE)

    async def catch_up(self, target: int) -> None:
        """Read the log until ``target`` is applied or the log ends. Raises Unavailable."""
        async with self._reading:
            while self.revision < target:
                before = self.revision
                rows, reached = await self._log.read(before, target, frozenset(self.caches))
                self.apply(rows, reached)
                if self.revision <= before:
                    return

    async def own(self, rows: Sequence[Row], first: int, last: int) -> None:
        """Apply a commit of this process, after whatever others committed before it. Raises Unavailable."""
        if self.revision < first - 1:
            await self.catch_up(first - 1)
        if self.revision == first - 1:
            self.apply(rows, last)

    def apply(self, rows: Sequence[Row], reached: int) -> None:
        """Apply whole commits that end at ``reached``. What is applied already is skipped."""
        if reached <= self.revision:
            return
        touched: dict[ResourceKey, ResourceCache] = {}
        for row in rows:
            cache = self.caches.get(row.key.resource_key)
            if cache is not None and row.revision > self.revision:
                _apply(cache, row)
                touched[cache.resource] = cache
        self.revision = reached
        for cache in touched.values():
            cache.publish()
        for future, revision in list(self._waiting.items()):
            if revision <= reached and not future.done():
                future.set_result(None)

    def reset(self, revision: int, horizon: int, reason: str) -> None:
        """Go on at ``revision``, which does not follow from what the caches hold: each is filled anew, every watch ends."""
        log.warning("caches dropped", extra={"action": "reset", "revision": revision, "reason": reason})
        for cache in self.caches.values():
            cache.invalidate(Expired(reason))
        self.horizon = horizon
        self.revision = min(self.revision, revision)
        self.apply((), revision)

    async def close(self) -> None:
        """End every wait and every watch."""
        for future in tuple(self._waiting):
            future.cancel()
        for cache in self.caches.values():
            await cache.close()


def _apply(cache: ResourceCache, row: Row) -> None:
    try:
        cache.apply(row)
    except Exception:
        # Whatever it is, a row that one cache cannot take must not leave the others half applied.
        log.exception("a cache is filled anew", extra={"action": "refill", "resource": cache.resource.resource})
        cache.invalidate(Expired("the changes after this one could not be read"))
