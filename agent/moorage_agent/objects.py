"""ConfigMaps, Secrets and volumes that pods name: read one by one (a node may read no others), shared by all who ask together.

They are read again rather than watched: a watch for each object would hold a connection for each. What was read last is
used on when the API does not answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moorage.client.api import ApiClient
from moorage.client.errors import ClientError, Forbidden, NotFound
from moorage.client.resource import CONFIG_MAPS, SECRETS, Resource
from moorage_agent.pods.env_files import Assignments
from moorage_agent.tokens import Wanted

Document = Mapping[str, Any]
Reference = tuple[str, str]
"""(kind in lower case, name)."""

CLAIM, VOLUME = "persistentvolumeclaim", "persistentvolume"
RUNTIME_CLASS = "runtimeclass"

_RESOURCES = {
    "configmap": CONFIG_MAPS,
    "secret": SECRETS,
    CLAIM: Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
    VOLUME: Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False),
    RUNTIME_CLASS: Resource("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", namespaced=False),
}
FORGET = 120.0
"""Seconds after which what nobody asked for is dropped."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was read for one purpose: objects of one namespace, tokens, and what claims and image volumes turned out to be."""

    found: Mapping[Reference, Document | None] = field(default_factory=dict)
    tokens: Mapping[Wanted, str] = field(default_factory=dict)
    claims: Mapping[str, Document] = field(default_factory=dict)
    images: Mapping[str, Sequence[str]] = field(default_factory=dict)
    files: Mapping[tuple[str, str], Assignments | None] = field(default_factory=dict)

    def file(self, volume: str, path: str) -> Assignments | None:
        """A file of one of the pod's volumes, or None where there is none."""
        return self.files.get((volume, path))

    def config_map(self, name: str) -> Document | None:
        """The ConfigMap, or None where there is none."""
        return self.found.get(("configmap", name))

    def secret(self, name: str) -> Document | None:
        """The Secret, or None where there is none."""
        return self.found.get(("secret", name))

    def token(self, wanted: Wanted) -> str:
        """A service account's token."""
        return self.tokens[wanted]

    def claim(self, volume: str) -> Document | None:
        """The PersistentVolume behind the pod's volume of this name."""
        return self.claims.get(volume)

    def layers(self, volume: str) -> Sequence[str]:
        """Folders of this machine that hold the image behind the pod's volume of this name, the uppermost first."""
        return self.images[volume]


class Objects:
    """Reads through a cache."""

    def __init__(self, client: ApiClient, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock
        self._cache: dict[tuple[str, str, str], tuple[float, Document | None]] = {}
        self._reading: dict[tuple[str, str, str], tuple[float, asyncio.Task[Document | None]]] = {}

    async def read(self, namespace: str, references: Iterable[Reference], not_before: float) -> Snapshot:
        """The objects, none older than ``not_before`` (seconds since the epoch). Raises ClientError where the API does not
        answer and one was never read.
        """
        wanted = list(references)
        found = await asyncio.gather(*(self._read(kind, namespace, name, not_before) for kind, name in wanted))
        return Snapshot(dict(zip(wanted, found, strict=True)))

    async def _read(self, kind: str, namespace: str, name: str, not_before: float) -> Document | None:
        key = (kind, namespace, name)
        known = self._cache.get(key)
        if known is not None and known[0] >= not_before:
            return known[1]
        reading = self._reading.get(key)
        if reading is None or reading[0] < not_before:
            reading = (self._clock(), asyncio.create_task(self._get(key), name=f"read {kind} {namespace}/{name}"))
            self._reading[key] = reading
        begun, task = reading
        try:
            document = await asyncio.shield(task)
        except ClientError:
            if known is not None and known[1] is not None:
                return known[1]
            raise
        finally:
            if task.done() and self._reading.get(key) == reading:
                del self._reading[key]
        self._cache[key] = (begun, document)
        return document

    async def _get(self, key: tuple[str, str, str]) -> Document | None:
        kind, namespace, name = key
        try:
            document = await self._client.get(_RESOURCES[kind], name, namespace)
        except (NotFound, Forbidden):
            return None  # a node may read only what its pods name: while the API learns of a new pod, that is a refusal
        document.setdefault("kind", _RESOURCES[kind].kind)
        return document

    def prune(self) -> None:
        """Drop what nobody asked for lately."""
        oldest = self._clock() - FORGET
        self._cache = {key: entry for key, entry in self._cache.items() if entry[0] >= oldest}
