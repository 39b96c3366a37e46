"""The cache of one resource: its current objects in order, its recent changes, its watchers.

Everything here runs between two awaits of the event loop's one thread, so a commit is applied in one step: no reader sees
half of it. The feed calls ``apply`` for each row of a commit and ``publish`` once after the last.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from moorage.resources.kind import ResourceKey
from moorage.store.contracts import EventType, Expired, Subscription
from moorage.store.entry import StoredChange, StoredEntry
from moorage.store.rows import Row
from moorage.store.settings import StoreSettings
from moorage.store.subscription import CacheSubscription

if TYPE_CHECKING:
    from moorage.store.feed import Feed


class Source(Protocol):
    """Where a cache gets what it does not hold."""

    async def load(self, cache: ResourceCache) -> None:
        """Read the current objects and hand them to ``cache.fill``. Raises Unavailable, SealBroken."""
        ...

    async def replay(self, resource: ResourceKey, after: int, until: int) -> tuple[Sequence[StoredChange], int]:
        """Changes after ``after`` from the change log, and the revision up to which they are complete. Raises Expired."""
        ...


SNAPSHOTS = 4
"""Lists of old revisions that a cache keeps for the next pages."""


class _Namespace:
    """Objects of one namespace; names are kept sorted, the snapshot is made when somebody lists."""

    __slots__ = ("entries", "names", "snapshot")

    def __init__(self) -> None:
        self.entries: dict[str, StoredEntry] = {}
        self.names: list[str] = []
        self.snapshot: tuple[StoredEntry, ...] | None = ()

    def put(self, name: str, entry: StoredEntry) -> None:
        if name not in self.entries:
            insort(self.names, name)
        self.entries[name] = entry
        self.snapshot = None

    def remove(self, name: str) -> None:
        if self.entries.pop(name, None) is not None:
            del self.names[bisect_left(self.names, name)]
            self.snapshot = None

    def listed(self) -> tuple[StoredEntry, ...]:
        if self.snapshot is None:
            self.snapshot = tuple(map(self.entries.__getitem__, self.names))
        return self.snapshot


class ResourceCache:
    """Implements ``contracts.Cache``. It begins unfilled: ``ready()`` fills it, and so does every ``wait()``."""

    def __init__(self, resource: ResourceKey, feed: Feed, source: Source, settings: StoreSettings) -> None:
        self.resource = resource
        self.settings = settings
        self._snapshots: OrderedDict[int, tuple[float, tuple[StoredEntry, ...]]] = OrderedDict()
        self._feed = feed
        self._source = source
        self._held: list[Row] | None = []
        self._filling: asyncio.Task[None] | None = None
        self._namespaces: dict[str, _Namespace] = {}
        self._all: tuple[StoredEntry, ...] | None = ()
        self._ring: deque[StoredChange] = deque()
        self._ring_bytes = 0
        self._ring_start = 0
        self._pending: list[StoredChange] = []
        self._subscriptions: set[CacheSubscription] = set()

    @property
    def revision(self) -> int:
        """Every commit up to here is applied."""
        return self._feed.revision

    @property
    def ring_start(self) -> int:
        """The ring holds every change after this revision."""
        return self._ring_start

    def get(self, namespace: str, name: str) -> StoredEntry | None:
        """The object as of ``revision``."""
        space = self._namespaces.get(namespace)
        return None if space is None else space.entries.get(name)

    def entries(self, namespace: str | None = None) -> Sequence[StoredEntry]:
        """Objects ordered by (namespace, name); of one namespace, or of all where None."""
        if namespace is not None:
            space = self._namespaces.get(namespace)
            return () if space is None else space.listed()
        if self._all is None:
            parts = (self._namespaces[name].listed() for name in sorted(self._namespaces))
            self._all = tuple(entry for part in parts for entry in part)
        return self._all

    async def wait(self, revision: int) -> None:
        """Return once ``revision`` is applied. Raises Unavailable, SealBroken."""
        if self._feed.revision < revision:
            await self._feed.wait(revision)
        if self._held is not None:
            await self.ready()

    async def ready(self) -> None:
        """Return once the cache is filled; all that wait share one reading. Raises Unavailable, SealBroken."""
        while self._held is not None:
            if self._filling is None or self._filling.done():
                self._filling = asyncio.create_task(self._source.load(self), name=f"fill {self.resource.resource}")
                self._filling.add_done_callback(_look_at)
            filling = self._filling
            await asyncio.wait((filling,))
            # One that was cancelled was overtaken by another history: the next round fills anew.
            if not filling.cancelled():
                filling.result()

    def subscribe(self, since: int) -> Subscription:
        """Every change after ``since``, without gap or repetition. Raises Expired where the history does not reach back."""
        if since < self._feed.horizon:
            raise Expired(f"revision {since} is older than the history kept, which begins at {self._feed.horizon}")
        in_ring = since >= self._ring_start
        subscription = CacheSubscription(self, since, None if in_ring else self._feed.revision)
        if in_ring:
            missed = self.changes_after(since)
            if missed:
                subscription.push(missed)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: CacheSubscription) -> None:
        """Forget a subscription; one that is not known is ignored."""
        self._subscriptions.discard(subscription)

    async def replay(self, after: int, until: int) -> tuple[Sequence[StoredChange], int]:
        """Changes after ``after`` from the change log, and the revision they reach. Raises Expired."""
        return await self._source.replay(self.resource, after, until)

    def changes_after(self, since: int) -> list[StoredChange]:
        """Those of the ring, oldest first; complete where ``since`` >= ``ring_start``."""
        found: list[StoredChange] = []
        for change in reversed(self._ring):
            if change.revision <= since:
                break
            found.append(change)
        found.reverse()
        return found

    def snapshot(self, revision: int) -> tuple[StoredEntry, ...] | None:
        """The list as of an old revision, where somebody asked for it lately: the next page of a list mostly does."""
        found = self._snapshots.get(revision)
        return None if found is None else found[1]

    def keep_snapshot(self, revision: int, entries: tuple[StoredEntry, ...]) -> None:
        """Remember the list as of an old revision for the next pages."""
        self._snapshots[revision] = (time.monotonic(), entries)
        while len(self._snapshots) > SNAPSHOTS:
            self._snapshots.popitem(last=False)

    def forget_snapshots(self, age: float) -> None:
        """Let go of lists older than ``age`` seconds: they hold old states in memory."""
        limit = time.monotonic() - age
        while self._snapshots and next(iter(self._snapshots.values()))[0] <= limit:
            self._snapshots.popitem(last=False)

    def begin(self) -> None:
        """Objects are about to be read: keep the rows that arrive meanwhile."""
        self._held = []

    def fill(self, entries: Sequence[StoredEntry], revision: int) -> None:
        """Hold these objects (ordered by namespace and name, as of ``revision``) and what was committed since."""
        assert self._held is not None
        assert self._feed.revision >= revision
        self._namespaces = {}
        for entry in entries:
            space = self._namespaces.setdefault(entry.key.namespace, _Namespace())
            space.entries[entry.key.name] = entry
            space.names.append(entry.key.name)
            space.snapshot = None
        self._all = None
        self._ring.clear()
        self._ring_bytes = 0
        self._ring_start = revision
        held, self._held = self._held, None
        for row in held:
            if row.revision > revision:
                self.apply(row)
        self.publish()

    def apply(self, row: Row) -> None:
        """Take over one row of a commit."""
        if self._held is not None:
            self._held.append(row)
            return
        if row.error is not None:
            # Who watches lists again, and the list says what is wrong.
            self.invalidate(Expired(str(row.error)))
            return
        key = row.key
        space = self._namespaces.get(key.namespace)
        previous = None if space is None else space.entries.get(key.name)
        if row.body is not None:
            entry = StoredEntry(key, row.uid, row.revision, row.body, row.offset)
        else:
            assert previous is not None
            entry = previous.at(row.revision)
        if row.type is EventType.DELETED:
            if space is not None:
                space.remove(key.name)
                if not space.entries:
                    del self._namespaces[key.namespace]
        else:
            if space is None:
                space = self._namespaces[key.namespace] = _Namespace()
            space.put(key.name, entry)
        self._all = None
        self._pending.append(StoredChange(row.type, entry, previous, row.last_of_commit))

    def publish(self) -> None:
        """Give the commit's changes to ring and watchers."""
        changes, self._pending = self._pending, []
        for change in changes:
            self._ring.append(change)
            self._ring_bytes += change.size
        self._trim()
        for subscription in tuple(self._subscriptions):
            subscription.push(changes)

    def invalidate(self, error: Exception) -> None:
        """What is held is of no use any more: end all watches with ``error``, fill anew before the next wait returns."""
        self._held = []
        if self._filling is not None:
            self._filling.cancel()
            self._filling = None
        self._snapshots.clear()
        self._pending.clear()
        for subscription in tuple(self._subscriptions):
            subscription.fail(error)

    async def close(self) -> None:
        """End all watches, and a filling that is under way."""
        filling = self._filling
        self.invalidate(Expired("the server is stopping"))
        if filling is not None:
            await asyncio.gather(filling, return_exceptions=True)

    def _trim(self) -> None:
        settings = self.settings
        while self._ring and (len(self._ring) > settings.ring_changes or self._ring_bytes > settings.ring_bytes):
            gone = self._ring.popleft()
            self._ring_bytes -= gone.size
            self._ring_start = gone.revision


def _look_at(filling: asyncio.Task[None]) -> None:
    """Whoever waited for it may have gone; its failure is told to the next one that asks."""
    if not filling.cancelled():
        filling.exception()
