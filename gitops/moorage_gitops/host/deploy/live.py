"""The live objects that an Application once put, found by label and confirmed by tracking id. Read from this server's caches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson

from moorage.resources.kind import Kind, ResourceKey
from moorage.resources.registry import Registry
from moorage.store.contracts import Entry, Key, Store
from moorage_gitops.host.deploy.objects import Owner
from moorage_gitops.names import (
    APPLICATION_LABEL,
    APPLIED_ANNOTATION,
    PRUNE_ANNOTATION,
    TRACKING_ANNOTATION,
    tracked_by,
    tracking_id,
)

_NEVER_FROM_GIT = frozenset(
    (ResourceKey("", "events"), ResourceKey("", "nodes"), ResourceKey("coordination.k8s.io", "leases"))
)
_NEEDLE = APPLICATION_LABEL.encode()
_SLICE = 500


@dataclass(frozen=True, slots=True)
class Live:
    """A live object of an application."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    keep: bool
    """Its annotation says that it must not be pruned."""
    deleting: bool

    @property
    def key(self) -> Key:
        """Its identity in the store."""
        return Key(*self.kind.storage, self.namespace, self.name)


async def caught_up(store: Store, kinds: Iterable[Kind]) -> None:
    """Wait until the caches of ``kinds`` hold everything that was committed before this call."""
    latest = await store.latest()
    for key in {kind.storage for kind in kinds}:
        await (await store.cache(key)).wait(latest)


def deployable(registry: Registry) -> list[Kind]:
    """One kind for each collection that a commit may put objects into."""
    kinds: dict[ResourceKey, Kind] = {}
    for kind in registry:
        if {"delete", "patch", "list"} <= set(kind.verbs) and kind.storage not in _NEVER_FROM_GIT:
            kinds.setdefault(kind.storage, kind)
    return list(kinds.values())


async def objects_of(store: Store, registry: Registry, owner: Owner) -> list[Live]:
    """Every live object of ``owner``. Objects that carry a copied label but another tracking id are not among them."""
    kinds = deployable(registry)
    await caught_up(store, kinds)
    found: list[Live] = []
    for kind in kinds:
        entries = (await store.cache(kind.storage)).entries()
        for start in range(0, len(entries), _SLICE):
            for entry in entries[start : start + _SLICE]:
                if _NEEDLE in entry.data and entry.labels.get(APPLICATION_LABEL) == owner.name:
                    live = _live(registry, kind, entry, owner)
                    if live is not None:
                        found.append(live)
            await asyncio.sleep(0)
    return found


def _live(registry: Registry, kind: Kind, entry: Entry, owner: Owner) -> Live | None:
    document = orjson.loads(entry.data)
    metadata = document["metadata"]
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    namespace, name = entry.key.namespace, entry.key.name
    # The kind may be served in several groups (Events); the object's own apiVersion says which of them it was put as.
    group = document.get("apiVersion", "").rpartition("/")[0]
    if annotations.get(TRACKING_ANNOTATION) != tracking_id(
        owner.namespace, owner.name, group, kind.kind, namespace, name
    ):
        return None
    return Live(
        kind,
        namespace,
        name,
        entry.uid,
        keep=annotations.get(PRUNE_ANNOTATION) == "disabled",
        deleting=bool(metadata.get("deletionTimestamp")),
    )


@dataclass(frozen=True, slots=True)
class Record:
    """What the annotations of a live object say: who put it, and the digest of the fields that were owned then."""

    owner: Owner
    applied: str


async def record_of(store: Store, kind: Kind, namespace: str, name: str) -> Record | None:
    """The record of an object that some Application put."""
    entry = (await store.cache(kind.storage)).get(namespace, name)
    if entry is None or TRACKING_ANNOTATION.encode() not in entry.data:
        return None
    document = orjson.loads(entry.data)
    annotations = document["metadata"].get("annotations") or {}
    value = annotations.get(TRACKING_ANNOTATION, "")
    owner = Owner(*tracked_by(value))
    group = document.get("apiVersion", "").rpartition("/")[0]
    if value != tracking_id(owner.namespace, owner.name, group, kind.kind, namespace, name):
        return None
    return Record(owner, annotations.get(APPLIED_ANNOTATION, ""))
