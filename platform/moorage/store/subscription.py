"""A watch on one cache: queued live changes, after a replay from the change log where the ring does not reach back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from moorage.store.contracts import Change, Expired, TooSlow
from moorage.store.entry import StoredChange

if TYPE_CHECKING:
    from moorage.store.cache import ResourceCache


class CacheSubscription:
    """Implements ``contracts.Subscription``. Live changes queue up from the moment of its making; ``replay_until`` is
    the revision up to which the change log must be read first (None: nothing to read).
    """

    def __init__(self, cache: ResourceCache, since: int, replay_until: int | None) -> None:
        self._cache = cache
        self._given = since
        self._replay_until = replay_until
        self._queue: deque[Sequence[StoredChange]] = deque()
        self._queued = 0
        self._bytes = 0
        self._wake: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._closed = False

    @property
    def revision(self) -> int:
        """The last revision that the subscriber has been given or may skip to (for bookmarks)."""
        if self._queue or self._replay_until is not None or self._error is not None or self._closed:
            return self._given
        return max(self._given, self._cache.revision)

    def push(self, changes: Sequence[StoredChange]) -> None:
        """Queue the changes of one commit; cut the watcher off where it lets too many pile up."""
        if self._error is not None or self._closed:
            return
        settings = self._cache.settings
        self._queue.append(changes)
        self._queued += len(changes)
        self._bytes += sum(change.size for change in changes)
        # One commit may be larger than any limit; only what piles up behind it is the watcher's fault.
        if len(self._queue) > 1 and (self._queued > settings.watcher_changes or self._bytes > settings.watcher_bytes):
            self.fail(TooSlow(f"the watcher let {self._queued} changes pile up"))
            return
        self._notify()

    def fail(self, error: Exception) -> None:
        """End the subscription with ``error``; what is queued is not delivered any more."""
        if self._error is None and not self._closed:
            self._error = error
            self._queue.clear()
            self._cache.unsubscribe(self)
            self._notify()

    def close(self) -> None:
        """Stop; idempotent."""
        if not self._closed:
            self._closed = True
            self._queue.clear()
            self._cache.unsubscribe(self)
            self._notify()

    def poll(self) -> Sequence[Change]:
        """What has arrived by now, without waiting. Raises TooSlow; Expired also where older changes must be read first."""
        if self._error is not None:
            raise self._error
        if self._replay_until is not None:
            raise Expired("the changes asked for are older than those in memory")
        return self._take() if self._queue else ()

    def __aiter__(self) -> AsyncIterator[Sequence[Change]]:
        return self

    async def __anext__(self) -> Sequence[Change]:
        """The next changes, in revision order. Raises TooSlow; Expired where history or epoch ended meanwhile;
        Unavailable where the change log had to be read and PostgreSQL is away.
        """
        while not self._closed:
            if self._error is not None:
                raise self._error
            batch = self._take() if self._replay_until is None else await self._replay(self._replay_until)
            if batch:
                return batch
            if self._replay_until is None:
                await self._sleep()
        raise StopAsyncIteration

    async def _replay(self, until: int) -> Sequence[StoredChange]:
        changes, reached = await self._cache.replay(self._given, until)
        self._given = max(self._given, reached)
        if reached >= until:
            self._replay_until = None
        return changes

    def _take(self) -> list[StoredChange]:
        given = self._given
        batch = [change for changes in self._queue for change in changes if change.revision > given]
        self._queue.clear()
        self._queued = self._bytes = 0
        if batch:
            self._given = batch[-1].revision
        return batch

    async def _sleep(self) -> None:
        self._wake = asyncio.get_running_loop().create_future()
        try:
            if not self._queue and self._error is None and not self._closed:
                await self._wake
        finally:
            self._wake = None

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
