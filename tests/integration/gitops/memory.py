"""A store in memory behind the store's contract, with faults to inject: what a push does when the database goes away.

The API's own transaction engine runs on it unchanged, so manifests are checked by the real rules.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

from moorage.resources.kind import ResourceKey
from moorage.store.contracts import (
    Change,
    EventType,
    Key,
    Op,
    Origin,
    Outcome,
    OutcomeUnknown,
    Precondition,
    RefUpdate,
    Unavailable,
    Verdict,
    Write,
)
from moorage.store.entry import StoredChange, StoredEntry


class MemorySubscription:
    """Changes of one cache, as they come."""

    def __init__(self, cache: MemoryCache, since: int) -> None:
        self._cache = cache
        self.revision = since
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[Sequence[Change]]:
        while not self._closed:
            if fresh := self.poll():
                yield fresh
            else:
                await self._cache.store.changed()

    def poll(self) -> Sequence[Change]:
        fresh = [change for change in self._cache.changes if change.revision > self.revision]
        if fresh:
            self.revision = fresh[-1].revision
        return fresh

    def close(self) -> None:
        self._closed = True


class MemoryCache:
    """One resource."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.objects: dict[tuple[str, str], StoredEntry] = {}
        self.changes: list[StoredChange] = []
        self.subscribed = 0

    @property
    def revision(self) -> int:
        return self.store.revision

    def get(self, namespace: str, name: str) -> StoredEntry | None:
        return self.objects.get((namespace, name))

    def entries(self, namespace: str | None = None) -> Sequence[StoredEntry]:
        return [self.objects[key] for key in sorted(self.objects) if namespace in (None, key[0])]

    async def wait(self, revision: int) -> None:
        assert revision <= self.store.revision

    def subscribe(self, since: int) -> MemorySubscription:
        self.subscribed += 1
        return MemorySubscription(self, since)


class MemoryStore:
    """Implements ``moorage.store.contracts.Store``.

    ``fault`` is raised by the next commits with refs: ``before`` it is written, or ``after``, so that the answer is lost.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.rows: dict[tuple[str, str], str] = {}
        self.results: list[RefUpdate] = []
        self.commits: list[list[Verdict]] = []
        self.fault = ""
        self.down = False
        self._caches: dict[ResourceKey, MemoryCache] = {}
        self._condition = asyncio.Condition()

    async def changed(self) -> None:
        """Return after the next commit, or after a moment."""
        async with self._condition:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._condition.wait(), 0.2)

    def cache_of(self, resource: ResourceKey) -> MemoryCache:
        return self._caches.setdefault(resource, MemoryCache(self))

    async def cache(self, resource: ResourceKey) -> MemoryCache:
        return self.cache_of(resource)

    async def latest(self) -> int:
        self._check()
        return self.revision

    async def list_at(
        self,
        resource: ResourceKey,
        revision: int,
        *,
        namespace: str | None = None,
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> Sequence[StoredEntry]:
        entries = [e for e in self.cache_of(resource).entries(namespace) if after is None or e.key[2:] > after]
        return entries[:limit]

    async def ref(self, repository: str, ref: str) -> str:
        self._check()
        return self.rows.get((repository, ref), "")

    async def refs(self, repository: str) -> Mapping[str, str]:
        self._check()
        return {ref: oid for (owner, ref), oid in self.rows.items() if owner == repository}

    async def commit(
        self,
        writes: Sequence[Write],
        origin: Origin,
        *,
        atomic: bool = False,
        preconditions: Sequence[Precondition] = (),
        refs: Sequence[RefUpdate] = (),
    ) -> Sequence[Verdict]:
        self._check()
        if refs and self.fault == "before":
            self.fault = ""
            raise OutcomeUnknown("injected before the commit")
        verdicts = self._decide(writes, refs, atomic)
        async with self._condition:
            self._condition.notify_all()
        self.commits.append(verdicts)
        if refs and self.fault == "after":
            self.fault = ""
            raise OutcomeUnknown("injected after the commit")
        return verdicts or [Verdict(Outcome.WRITTEN, self.revision)]

    def _check(self) -> None:
        if self.down:
            raise Unavailable("injected")

    def _decide(self, writes: Sequence[Write], refs: Sequence[RefUpdate], atomic: bool) -> list[Verdict]:
        for ref in refs:
            if self.rows.get((ref.repository, ref.ref), "") != ref.old:
                return [Verdict(Outcome.PRECONDITION, 0, f"ref {ref.ref}") for _ in range(max(len(writes), 1))]
        outcomes = [self._outcome(write) for write in writes]
        if atomic and any(outcome is not Outcome.WRITTEN for outcome in outcomes):
            return [Verdict(Outcome.ABORTED if o is Outcome.WRITTEN else o, 0) for o in outcomes]
        verdicts = [
            self._write(write) if outcome is Outcome.WRITTEN else Verdict(outcome, 0)
            for write, outcome in zip(writes, outcomes, strict=True)
        ]
        for ref in refs:
            self.results.append(ref)
            if ref.new:
                self.rows[ref.repository, ref.ref] = ref.new
            else:
                self.rows.pop((ref.repository, ref.ref), None)
        return verdicts

    def _outcome(self, write: Write) -> Outcome:
        entry = self._entry(write.key)
        if write.op is Op.CREATE:
            return Outcome.EXISTS if entry else Outcome.WRITTEN
        if entry is None:
            return Outcome.NOT_FOUND
        if write.expect_revision not in (None, entry.revision):
            return Outcome.CONFLICT
        return Outcome.WRITTEN if write.expect_uid in (None, entry.uid) else Outcome.UID_MISMATCH

    def _entry(self, key: Key) -> StoredEntry | None:
        return self.cache_of(key.resource_key).get(key.namespace, key.name)

    def _write(self, write: Write) -> Verdict:
        self.revision += 1
        cache = self.cache_of(write.key.resource_key)
        place = (write.key.namespace, write.key.name)
        previous = cache.objects.get(place)
        if write.op is Op.DELETE:
            gone = cache.objects.pop(place)
            cache.changes.append(StoredChange(EventType.DELETED, gone.at(self.revision), gone, True))
        else:
            assert write.encoded is not None
            entry = StoredEntry(write.key, write.uid, self.revision, write.encoded.body, write.encoded.offset)
            cache.objects[place] = entry
            kind = EventType.MODIFIED if previous else EventType.ADDED
            cache.changes.append(StoredChange(kind, entry, previous, True))
        return Verdict(Outcome.WRITTEN, self.revision)
