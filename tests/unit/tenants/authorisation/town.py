"""An index and an authorizer over caches in memory."""

from __future__ import annotations

from typing import Any

from moorage_tenants.authorisation.authorizer import RbacAuthorizer
from moorage_tenants.authorisation.index import KINDS, GrantIndex
from moorage_tenants.authorisation.nodes import NodeRole
from moorage_tenants.pod_index import PodIndex
from tests.unit.tenants.caches import MemoryCache


class Town:
    """``put`` and ``drop`` write to the caches; ``elsewhere`` is what another server has committed and this has not heard of."""

    def __init__(self) -> None:
        self.caches = {kind.storage: MemoryCache(kind.storage.resource) for kind in KINDS}
        self.pods = MemoryCache("pods")
        self.pod_index = PodIndex(self.pods)
        self.volumes = MemoryCache("persistentvolumes")
        self.namespaces = MemoryCache("namespaces")
        self.elsewhere: list[dict[str, Any]] = []
        self.probes = 0
        self.index = GrantIndex(self, self.caches)  # type: ignore[arg-type]  # the one method that the index calls is here
        node = NodeRole(self.pods, self.pod_index, self.refresh_pods, volumes=self.volumes, namespaces=self.namespaces)
        self.authorizer = RbacAuthorizer(self.index, node=node)

    async def latest(self) -> int:
        """As the store's: what others have committed arrives."""
        self.probes += 1
        for document in self.elsewhere:
            self.put(document)
        self.elsewhere.clear()
        return 0

    async def refresh_pods(self) -> None:
        """As the server's."""
        self.pod_index._fill()

    def put(self, *documents: dict[str, Any]) -> None:
        """Store objects."""
        for document in documents:
            metadata = document["metadata"]
            rest = {key: value for key, value in document.items() if key not in ("metadata", "kind", "apiVersion")}
            self._cache(document).put(metadata.get("namespace", ""), metadata["name"], metadata=metadata, **rest)

    def drop(self, document: dict[str, Any]) -> None:
        """Remove an object."""
        self._cache(document).drop(document["metadata"].get("namespace", ""), document["metadata"]["name"])

    def _cache(self, document: dict[str, Any]) -> MemoryCache:
        return next(self.caches[kind.storage] for kind in KINDS if kind.kind == document["kind"])
