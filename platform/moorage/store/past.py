"""Objects as they were: what changed since a revision is undone, starting from what is current.

The first change of an object after the revision carries what was before it, so only the log after the revision is needed:
the ring in memory as a rule, the change log in PostgreSQL for older ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from moorage.store.cache import ResourceCache
from moorage.store.contracts import Expired
from moorage.store.entry import StoredChange, StoredEntry
from moorage.store.feed import Feed


async def entries_at(cache: ResourceCache, feed: Feed, revision: int) -> Sequence[StoredEntry]:
    """All objects of the resource at ``revision``, ordered by (namespace, name). Raises Expired, Unavailable."""
    await cache.wait(revision)
    if revision < feed.horizon:
        raise Expired(f"revision {revision} is older than the history kept, which begins at {feed.horizon}")
    if revision == feed.revision:
        return cache.entries()
    known = cache.snapshot(revision)
    if known is not None:
        return known
    changes, reached = await _older(cache, feed, revision)
    # No await from here on: ring, entries and feed belong together.
    changes += cache.changes_after(reached)
    found = undo(cache.entries(), changes)
    cache.keep_snapshot(revision, found)
    return found


async def _older(cache: ResourceCache, feed: Feed, revision: int) -> tuple[list[StoredChange], int]:
    """Changes after ``revision`` from the log, until the ring goes on, and the revision reached."""
    changes: list[StoredChange] = []
    reached = revision
    while reached < cache.ring_start:
        more, reached = await cache.replay(reached, feed.revision)
        changes += more
    return changes, reached


def undo(entries: Sequence[StoredEntry], changes: Sequence[StoredChange]) -> tuple[StoredEntry, ...]:
    """``entries`` as they were before ``changes`` (oldest first); both orders stay by (namespace, name)."""
    before: dict[tuple[str, str], StoredEntry | None] = {}
    for change in changes:
        before.setdefault(change.entry.key[2:], change.previous)
    untouched = [entry for entry in entries if entry.key[2:] not in before]
    restored = [entry for entry in before.values() if entry is not None]
    return tuple(sorted(untouched + restored, key=_position))


def _position(entry: StoredEntry) -> tuple[str, str]:
    return entry.key.namespace, entry.key.name
