"""Filling a cache: the current objects of a resource, read as of one revision."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from moorage.resources.kind import ResourceKey
from moorage.store.cache import ResourceCache
from moorage.store.contracts import Key
from moorage.store.database import Connection, Readers, limited
from moorage.store.entry import StoredChange, StoredEntry
from moorage.store.feed import Feed
from moorage.store.history import History
from moorage.store.rows import Unsealer

HEAD = "SELECT greatest(c.base_revision, (SELECT max(last_revision) FROM batches)) FROM cluster c"
OBJECTS = b"""
SELECT namespace, name, uid, revision, document, sealed, revision_offset FROM objects
WHERE storage_group = %s AND resource = %s ORDER BY namespace, name
"""
PAGE = 1000


class Loader:
    """Implements ``cache.Source``."""

    def __init__(self, readers: Readers, unsealer: Unsealer, history: History, feed: Feed, page_timeout: float) -> None:
        self._readers = readers
        self._unsealer = unsealer
        self._history = history
        self._feed = feed
        self._page_timeout = page_timeout

    async def load(self, cache: ResourceCache) -> None:
        """Read and hand over. Raises Unavailable, SealBroken."""
        cache.begin()
        async with self._readers.connection() as connection:
            revision, entries = await self._read(connection, cache.resource)
        await self._feed.wait(revision)
        cache.fill(entries, revision)

    async def replay(self, resource: ResourceKey, after: int, until: int) -> tuple[Sequence[StoredChange], int]:
        """Changes of the resource after ``after``. Raises Expired, Unavailable."""
        return await self._history.replay(resource, after, until)

    async def _read(self, connection: Connection, resource: ResourceKey) -> tuple[int, list[StoredEntry]]:
        """All objects and the newest revision, in one snapshot; page by page, so that memory holds one page of rows."""
        entries: list[StoredEntry] = []
        async with connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            row = await (await connection.execute(HEAD)).fetchone()
            assert row is not None
            async with connection.cursor(name="objects", binary=True) as cursor:
                await cursor.execute(OBJECTS, tuple(resource))
                while True:
                    with limited(connection, self._page_timeout):
                        page = await cursor.fetchmany(PAGE)
                    entries += [await self._entry(resource, columns) for columns in page]
                    if len(page) < PAGE:
                        return row[0], entries

    async def _entry(self, resource: ResourceKey, columns: Sequence[object]) -> StoredEntry:
        namespace, name, *rest = columns
        key = Key(sys.intern(resource.group), sys.intern(resource.resource), sys.intern(str(namespace)), str(name))
        return await self._unsealer.entry(rest, key)
