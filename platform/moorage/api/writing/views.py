"""The objects as this server knows them now. Plans that fail or change nothing are made again on what PostgreSQL holds."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.resources.kind import Kind
from moorage.store.contracts import Entry, Store


class CacheView:
    """The caches. ``consulted`` tells whether anything was looked up; ``certain`` whether it was fresh."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._revision = 0
        self.consulted = False
        self.certain = False

    async def get(self, kind: Kind, namespace: str, name: str) -> Entry | None:
        """The object in the cache, which has at least what the last ``refresh`` found."""
        self.consulted = True
        cache = await self._store.cache(kind.storage)
        if cache.revision < self._revision:
            await cache.wait(self._revision)
        return cache.get(namespace if kind.namespaced else "", name)

    async def entries(self, kind: Kind, namespace: str | None) -> Sequence[Entry]:
        """The objects of one namespace, or of all where None, as ``get`` sees them."""
        self.consulted = True
        cache = await self._store.cache(kind.storage)
        if cache.revision < self._revision:
            await cache.wait(self._revision)
        return cache.entries(namespace)

    async def refresh(self) -> None:
        """From now on, see everything that is committed by now, through whatever server."""
        self._revision = await self._store.latest()
        self.certain = True
