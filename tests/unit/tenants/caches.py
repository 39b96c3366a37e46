"""A cache of objects in memory, with the shape of the store's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from moorage.store.contracts import Change, Entry, EventType, Key, Subscription, TooSlow


@dataclass
class MemoryEntry:
    key: Key
    uid: str
    revision: int
    data: bytes

    @property
    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.document()["metadata"].get("labels", {})
        return labels

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads(self.data)
        return document


@dataclass
class MemoryChange:
    type: EventType
    entry: Entry
    previous: Entry | None
    revision: int
    last_of_commit: bool = True

    def encoded(self, type_: EventType) -> bytes:
        return orjson.dumps({"type": type_})


class MemorySubscription:
    def __init__(self, cache: MemoryCache) -> None:
        self._cache = cache
        self._queue: asyncio.Queue[Sequence[Change] | None] = asyncio.Queue()
        self._given = cache.revision

    @property
    def revision(self) -> int:
        return self._cache.revision if self._queue.empty() else self._given

    @revision.setter
    def revision(self, value: int) -> None:
        self._given = value

    def put(self, changes: Sequence[Change] | None) -> None:
        self._queue.put_nowait(changes)

    def poll(self) -> Sequence[Change]:
        changes: list[Change] = []
        while not self._queue.empty():
            batch = self._queue.get_nowait()
            if batch is None:
                raise TooSlow
            changes.extend(batch)
        return changes

    async def __aiter__(self) -> AsyncIterator[Sequence[Change]]:
        while True:
            changes = await self._queue.get()
            if changes is None:
                raise TooSlow
            self._given = changes[-1].revision
            yield changes

    def close(self) -> None:
        if self in self._cache.subscriptions:
            self._cache.subscriptions.remove(self)


@dataclass
class MemoryCache:
    """Objects by (namespace, name). ``put`` and ``drop`` are the writes."""

    resource: str
    revision: int = 1
    objects: dict[tuple[str, str], MemoryEntry] = field(default_factory=dict)
    subscriptions: list[MemorySubscription] = field(default_factory=list)

    def get(self, namespace: str, name: str) -> MemoryEntry | None:
        return self.objects.get((namespace, name))

    def entries(self, namespace: str | None = None) -> Sequence[MemoryEntry]:
        return [entry for (at, _), entry in sorted(self.objects.items()) if namespace in (None, at)]

    async def wait(self, revision: int) -> None:
        assert self.revision >= revision

    def subscribe(self, since: int) -> Subscription:
        assert since == self.revision
        subscription = MemorySubscription(self)
        self.subscriptions.append(subscription)
        return subscription

    def put(self, namespace: str, name: str, **document: Any) -> None:
        self.revision += 1
        metadata = {"namespace": namespace, "name": name, **document.pop("metadata", {})}
        data = orjson.dumps({"metadata": metadata, **document})
        entry = MemoryEntry(Key("", self.resource, namespace, name), name, self.revision, data)
        before = self.objects.get((namespace, name))
        self.objects[namespace, name] = entry
        self._tell(MemoryChange(EventType.MODIFIED if before else EventType.ADDED, entry, before, self.revision))

    def drop(self, namespace: str, name: str) -> None:
        self.revision += 1
        entry = self.objects.pop((namespace, name))
        self._tell(MemoryChange(EventType.DELETED, entry, entry, self.revision))

    def _tell(self, change: Change) -> None:
        for subscription in self.subscriptions:
            subscription.put([change])
