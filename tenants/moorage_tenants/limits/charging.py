"""The quota charge of an object: what a ResourceQuota or a Tenant counts, as a vector of whole numbers.

Source: "Resource Quotas" in the Kubernetes documentation; its evaluators of pods, claims, services and object counts. A finished
pod holds nothing but its place among the objects. Everything namespaced is counted, but what expires by itself (Events).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from moorage.resources.core.access_modes import storage_class_of
from moorage.resources.core.pods.amounts import pod_amounts
from moorage.resources.core.pods.resource_rules import HUGE_PAGES, is_extended
from moorage.resources.kind import Document, Kind
from moorage.resources.quota_amounts import CLASS_CLAIMS, CLASS_STORAGE, amount
from moorage.resources.tenancy import tenant_of
from moorage.store.contracts import Charge, Limits
from moorage_tenants.limits.classes import claim_class, pod_class
from moorage_tenants.limits.hard import limits_of

_FINISHED = frozenset({"Succeeded", "Failed"})
_ALIASED = frozenset({"cpu", "memory", "ephemeral-storage"})
"""Requests that quotas know with and without ``requests.``."""
_BY_PLAIN_NAME = frozenset(
    {
        "configmaps",
        "persistentvolumeclaims",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
    }
)
"""Core kinds whose objects quotas also know by the bare plural."""
_NAMESPACES = ("", "namespaces")

_SAID = frozenset({"containerStatuses", "initContainerStatuses"})
"""What of a status says what a pod holds."""
LONGEST_KNOWN = 16 * 1024
"""Bytes of a spec up to which its charge is remembered."""

Vector = dict[str, Any]


class ObjectCharger:
    """Implements ``moorage.api.contracts.Charger``."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], Mapping[str, int]] = {}

    def charge(self, kind: Kind, document: Document) -> Charge:
        """Resource name -> amount, with the class under "@" where there is one; empty for what nothing counts."""
        key = (kind.storage.group, kind.storage.resource)
        if not kind.namespaced and key != _NAMESPACES:
            return {}
        counted = self._counts.get(key)
        if counted is None:
            counted = self._counts[key] = _counted(kind)
        more = _MORE.get(key)
        if more is None or not counted:
            return counted
        vector: Vector = dict(counted)
        more(vector, document)
        return vector

    def limits(self, kind: Kind, document: Document, old: Document | None) -> Limits | None:
        """The quota rows that a ResourceQuota or a Tenant sets, where they change."""
        return limits_of(kind, document, old)

    def tenant(self, kind: Kind, document: Document) -> str | None:
        """What the label of a Namespace says."""
        if (kind.storage.group, kind.storage.resource) != _NAMESPACES:
            return None
        return tenant_of((document.get("metadata") or {}).get("labels") or {})


def _counted(kind: Kind) -> Mapping[str, int]:
    if kind.ttl is not None:
        return {}
    group, resource = kind.storage.group, kind.storage.resource
    if group:
        return {f"count/{resource}.{group}": 1}
    counted = {f"count/{resource}": 1}
    if resource in _BY_PLAIN_NAME:
        counted[resource] = 1
    return counted


def _pod(vector: Vector, pod: Document) -> None:
    status: Mapping[str, Any] = pod.get("status") or {}
    spec: Mapping[str, Any] = pod.get("spec") or {}
    if status.get("phase") not in _FINISHED and _SAID.isdisjoint(status):
        # Pods come from templates: most have been seen before. What runs holds what its containers' statuses say.
        encoded = orjson.dumps(spec)
        if len(encoded) <= LONGEST_KNOWN:
            vector.update(_known(encoded))
            return
    _count(vector, spec, status)


@lru_cache(1024)
def _known(spec: bytes) -> Vector:
    vector: Vector = {}
    _count(vector, orjson.loads(spec), {})
    return vector


def _count(vector: Vector, spec: Mapping[str, Any], status: Mapping[str, Any]) -> None:
    vector["@"] = pod_class(spec)
    if status.get("phase") in _FINISHED:
        return
    vector["pods"] = 1
    for name, value in pod_amounts(spec, "requests", status).items():
        if not value:
            continue
        if name in _ALIASED or name.startswith(HUGE_PAGES):
            vector[name] = vector[f"requests.{name}"] = value
        elif is_extended(name):
            vector[f"requests.{name}"] = value
    for name, value in pod_amounts(spec, "limits", status).items():
        if value and name in _ALIASED:
            vector[f"limits.{name}"] = value


def _claim(vector: Vector, claim: Document) -> None:
    spec: Mapping[str, Any] = claim.get("spec") or {}
    status: Mapping[str, Any] = claim.get("status") or {}
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")
    allocated = (status.get("allocatedResources") or {}).get("storage", "0")
    size = max(amount("requests.storage", asked), amount("requests.storage", allocated))
    if size:
        vector["requests.storage"] = size
    if name := storage_class_of(claim):
        vector[name + CLASS_CLAIMS] = 1
        if size:
            vector[name + CLASS_STORAGE] = size
    if found := claim_class(claim):
        vector["@"] = found


def _service(vector: Vector, service: Document) -> None:
    spec: Mapping[str, Any] = service.get("spec") or {}
    kind, ports = spec.get("type"), spec.get("ports") or ()
    node_ports = 0
    if kind == "NodePort":
        node_ports = len(ports)
    elif kind == "LoadBalancer":
        vector["services.loadbalancers"] = 1
        allocated = spec.get("allocateLoadBalancerNodePorts", True)
        node_ports = len(ports) if allocated else sum(1 for port in ports if port.get("nodePort"))
    if node_ports:
        vector["services.nodeports"] = node_ports


_MORE: Mapping[tuple[str, str], Callable[[Vector, Document], None]] = {
    ("", "pods"): _pod,
    ("", "persistentvolumeclaims"): _claim,
    ("", "services"): _service,
}
