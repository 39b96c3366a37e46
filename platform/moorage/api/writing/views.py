"""The objects as this server knows them now. Plans that fail or change nothing are made again on what PostgreSQL holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from moorage.api.writing.contracts import Planned, View, key_of
from moorage.resources.kind import Kind
from moorage.store.contracts import Entry, Key, Store


@dataclass(slots=True)
class Staged:
    """An object as an earlier write leaves it (an ``Entry``). ``revision`` is the stored object's, 0 for a new one."""

    key: Key
    uid: str
    revision: int
    data: bytes

    @property
    def labels(self) -> Mapping[str, str]:
        """metadata.labels."""
        labels: dict[str, str] = self.document()["metadata"].get("labels") or {}
        return labels

    def document(self) -> dict[str, Any]:
        """A freshly decoded copy."""
        document: dict[str, Any] = orjson.loads(self.data)
        return document


def staged(planned: Planned) -> Staged:
    """The object as ``planned`` leaves it."""
    revision = planned.current.revision if planned.current is not None else 0
    return Staged(planned.key, planned.uid, revision, planned.data(0))


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


class Beside:
    """A view with one write on top: what its companions see (a namespace, for what is created in it)."""

    def __init__(self, view: View, planned: Planned) -> None:
        self._view = view
        self._key = planned.key
        self._entry = None if planned.gone else staged(planned)

    async def get(self, kind: Kind, namespace: str, name: str) -> Entry | None:
        """The object, the written one as it will be."""
        if key_of(kind, namespace, name) == self._key:
            return self._entry
        return await self._view.get(kind, namespace, name)

    async def entries(self, kind: Kind, namespace: str | None) -> Sequence[Entry]:
        """The objects of one namespace, or of all where None, the written one as it will be."""
        found = await self._view.entries(kind, namespace)
        if kind.storage != self._key.resource_key or namespace not in (None, self._key.namespace):
            return found
        kept: list[Entry] = [entry for entry in found if entry.key != self._key]
        if self._entry is not None:
            kept.append(self._entry)
        return sorted(kept, key=lambda entry: (entry.key.namespace, entry.key.name))
