"""Following a cache step by step: what changed since the last look, without waiting and without a task.

A decision looks before it decides, so what this process has committed counts from the very next decision on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from moorage.store.contracts import Cache, Entry, EventType, Expired, Subscription, TooSlow

log = logging.getLogger(__name__)


class Followed:
    """One cache. ``put`` gets each object that is there or changed, ``drop`` each that went, ``clear`` comes before all are
    put again.
    """

    def __init__(
        self, cache: Cache, put: Callable[[Entry], None], drop: Callable[[Entry], None], clear: Callable[[], None]
    ) -> None:
        self._cache = cache
        self._put = put
        self._drop = drop
        self._clear = clear
        self._seen = -1
        self._subscription: Subscription | None = None

    @property
    def broken(self) -> bool:
        """Whether ``fill`` is due."""
        return self._subscription is None

    @property
    def behind(self) -> bool:
        """Whether a look is due: something was committed since the last one, to whatever resource."""
        return self._cache.revision != self._seen or self._subscription is None

    def look(self) -> None:
        """Take over what changed. Where the stream broke, this is ``broken`` afterwards."""
        if self._subscription is None:
            return
        self._seen = self._cache.revision
        try:
            changes = self._subscription.poll()
        except (Expired, TooSlow) as error:
            log.warning("rights are read anew: %s", str(error) or type(error).__name__)
            self.close()
            return
        for change in changes:
            if change.type is EventType.DELETED:
                self._drop(change.entry)
            else:
                self._put(change.entry)

    async def fill(self) -> None:
        """Read all objects, and follow from there. Raises Unavailable."""
        self.close()
        # A cache that is being filled itself shows what is of no use any more.
        await self._cache.wait(self._cache.revision)
        # No await between the two: nothing is lost.
        self._seen = self._cache.revision
        self._subscription = self._cache.subscribe(self._seen)
        self._clear()
        for entry in self._cache.entries():
            self._put(entry)

    async def refresh(self, revision: int) -> None:
        """Return once the cache has what was committed at ``revision``. Raises Unavailable."""
        await self._cache.wait(revision)

    def close(self) -> None:
        """Stop following."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
