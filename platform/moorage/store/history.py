"""Reading the change log: whole commits for the feed, replays for watches, old states for lists."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from moorage.resources.kind import ResourceKey
from moorage.store.contracts import Expired, Key
from moorage.store.database import Readers
from moorage.store.entry import StoredChange, StoredEntry
from moorage.store.epochs import Seen
from moorage.store.errors import SealBroken, StaleHistory
from moorage.store.rows import CHANGES, Row, Unsealer
from moorage.store.wire import text_array

READ_MEMBERS = 2000
"""Rows that one read takes into memory, about; a single commit is never split."""

COMMITS = """
SELECT c.epoch, c.horizon, b.first_revision, b.last_revision, b.id
FROM cluster c LEFT JOIN LATERAL (
    SELECT first_revision, last_revision, id FROM batches
    WHERE last_revision > %s AND last_revision <= %s ORDER BY last_revision LIMIT 500
) b ON true
"""

# The horizon is read with the rows: where it has passed the start, some of them may be gone.
ROWS = """
SELECT c.horizon, r.* FROM cluster c LEFT JOIN LATERAL (
    SELECT revision, change, storage_group, resource, namespace, name, uid, document, sealed, revision_offset
    FROM revisions WHERE revision > %s AND revision <= %s
      AND (storage_group, resource) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
    ORDER BY revision
) r ON true ORDER BY r.revision
"""

CHANGE_ROWS = """
SELECT c.horizon, r.* FROM cluster c LEFT JOIN LATERAL (
    SELECT revision, change, namespace, name, uid, document, sealed, revision_offset,
           previous_uid, previous_revision, previous_document, previous_sealed, previous_offset
    FROM revisions WHERE revision > %s AND revision <= %s AND storage_group = %s AND resource = %s
    ORDER BY revision
) r ON true ORDER BY r.revision
"""


class History:
    """The change log as this process reads it."""

    def __init__(self, readers: Readers, unsealer: Unsealer, seen: Seen) -> None:
        self.seen = seen
        self._readers = readers
        self._unsealer = unsealer

    async def read(self, after: int, until: int, resources: frozenset[ResourceKey]) -> tuple[Sequence[Row], int]:
        """Implements ``feed.Log``. Raises StaleHistory where the log does not continue after ``after``."""
        ends = await self._commits(after, until, contiguous=True)
        if not ends:
            return (), after
        groups = text_array(resource.group for resource in resources)
        plurals = text_array(resource.resource for resource in resources)
        found = await self._readers.fetch(ROWS, (after, ends[-1], groups, plurals))
        if found[0][0] > after:
            raise StaleHistory(f"history before {found[0][0]} is gone, and this process had read up to {after} only")
        last = frozenset(ends)
        return [await self._row(columns, last) for columns in found if columns[1] is not None], ends[-1]

    async def replay(self, resource: ResourceKey, after: int, until: int) -> tuple[list[StoredChange], int]:
        """Changes of one resource with what was before them. Raises Expired."""
        ends = await self._commits(after, until, contiguous=False)
        found = await self._readers.fetch(CHANGE_ROWS, (after, ends[-1] if ends else after, *resource))
        if found[0][0] > after:
            raise Expired(f"revision {after} is older than the history kept, which begins at {found[0][0]}")
        last = frozenset(ends)
        changes = [await self._change(resource, columns[1:], last) for columns in found if columns[1] is not None]
        return changes, ends[-1] if ends else until

    async def _commits(self, after: int, until: int, *, contiguous: bool) -> list[int]:
        """Last revisions of the next commits, as many as one read should take."""
        found = await self._readers.fetch(COMMITS, (after, until))
        if contiguous and found[0][0] != self.seen.epoch:
            raise StaleHistory(f"the cluster is in epoch {found[0][0]}, this process in {self.seen.epoch}")
        ends: list[int] = []
        for _, horizon, first, last, batch in found:
            if last is None:
                break
            if contiguous and not ends and first != after + 1:
                raise StaleHistory(f"the log goes on at {first} (history is kept from {horizon}), not after {after}")
            if ends and last - after > READ_MEMBERS:
                break
            ends.append(last)
            if contiguous:
                self.seen.note(last, batch)
        return ends

    async def _row(self, columns: Sequence[Any], last: frozenset[int]) -> Row:
        _, revision, change, group, resource, namespace, name, uid, document, sealed, offset = columns
        key = Key(sys.intern(group), sys.intern(resource), sys.intern(namespace), name)
        try:
            body = await self._unsealer.body(document, sealed, key, uid)
        except SealBroken as error:
            # One unreadable secret must not keep every other change from the caches.
            return Row(revision, CHANGES[change], key, uid, None, offset, revision in last, error)
        return Row(revision, CHANGES[change], key, uid, body, offset, revision in last)

    async def _change(self, resource: ResourceKey, columns: Sequence[Any], last: frozenset[int]) -> StoredChange:
        revision, change, namespace, name, uid, document, sealed, offset = columns[:8]
        key = Key(*resource, namespace, name)
        entry = await self._unsealer.entry((uid, revision, document, sealed, offset), key)
        previous: StoredEntry | None = None
        if columns[9] is not None:
            previous = await self._unsealer.entry(columns[8:], key)
        return StoredChange(CHANGES[change], entry, previous, revision in last)
