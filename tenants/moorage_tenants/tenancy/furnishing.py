"""What is written together with a namespace of a tenant, so that there is no moment without isolation, limits and quotas."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.api.contracts import AdmissionRequest, Companion
from moorage.resources.core.namespaces import NAMESPACE
from moorage.resources.kind import GroupVersionKind, ResourceKey
from moorage.resources.registry import Registry
from moorage.resources.tenancy import MANAGED_LABEL, tenant_of
from moorage.resources.tenancy_objects import POD_NETWORKS, furniture
from moorage_tenants.tenancy.policy import tenant_policy

PROTECTED = (
    ResourceKey("", "limitranges"),
    ResourceKey("", "resourcequotas"),
    ResourceKey("networking.k8s.io", "networkpolicies"),
)
"""Kinds of which a tenant's namespaces hold objects of the platform's."""
GUARDED = (*PROTECTED, ResourceKey("", "podtemplates"))
"""Kinds of which nobody of the tenant passes objects off as the platform's: what is made of them is made by the platform."""


class NamespaceFurniture:
    """Implements ``moorage.api.contracts.Companions`` for Namespaces that come to a tenant, leave it, or change it."""

    def __init__(self, registry: Registry, pod_networks: Sequence[str] = POD_NETWORKS) -> None:
        self._registry = registry
        self._pod_networks = tuple(pod_networks)

    async def companions(self, request: AdmissionRequest, gone: bool) -> Sequence[Companion]:
        """The objects of the namespace's tenant; those of the one before are taken away."""
        if request.kind.storage != NAMESPACE.storage or gone or request.document is None:
            return ()
        metadata = request.document["metadata"]
        before = "" if request.old is None else tenant_of(request.old["metadata"].get("labels") or {})
        after = tenant_of(metadata.get("labels") or {})
        if before == after or "deletionTimestamp" in metadata:
            return ()
        policy = await tenant_policy(request.view, after) if after else None
        made = [] if policy is None else furniture(policy.tenant, metadata["name"], self._pod_networks)
        wanted = [self._companion("replace", document) for document in made]
        kept = {(each.kind.kind, each.name) for each in wanted}
        left = await self._left(request, metadata["name"]) if before else []
        return [*wanted, *(each for each in left if (each.kind.kind, each.name) not in kept)]

    def _companion(self, verb: str, document: dict[str, object]) -> Companion:
        group, _, version = str(document["apiVersion"]).rpartition("/")
        kind = self._registry.by_kind(GroupVersionKind(group, version, str(document["kind"])))
        assert kind is not None, f"{document['kind']} is not served"
        metadata = document["metadata"]
        assert isinstance(metadata, dict)
        return Companion(verb, kind, metadata["namespace"], metadata["name"], document)

    async def _left(self, request: AdmissionRequest, namespace: str) -> list[Companion]:
        """What the tenant before left in the namespace."""
        found = []
        for kind in self._registry:
            if kind.storage in PROTECTED:
                entries = await request.view.entries(kind, namespace)
                found += [
                    Companion("delete", kind, namespace, entry.key.name)
                    for entry in entries
                    if entry.labels.get(MANAGED_LABEL) == "true"
                ]
        return found
