"""What every namespace of a tenant holds of the platform's: isolation, limits and quotas, as its Tenant says.

Pure functions from a Tenant to documents. The API server writes them with the namespace; the tenants controller keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources.kind import Document
from moorage.resources.tenancy import DEFAULT_POD_SECURITY, MANAGED_LABEL, TENANT_LABEL
from moorage.resources.tenancy_rules import RESERVED_PREFIXES

ISOLATION = "moorage-tenant-isolation"
LIMITS = "moorage-tenant-limits"
QUOTA = "moorage-tenant-quota"
PLATFORM_NAMESPACES = ("kube-system", "moorage-system")
"""Whose pods reach every tenant's: DNS, ingress, metrics. No tenant can have a namespace of such a name."""
LEVEL_PREFIX = "pod-security.kubernetes.io/"
LEVEL_MODES = ("enforce", "warn", "audit")
STRICTNESS: Mapping[str, int] = {"privileged": 0, "baseline": 1, "restricted": 2}
_EXPOSED = frozenset({"NodePort", "LoadBalancer"})
_EVERYWHERE = ("0.0.0.0/0", "::/0")
POD_NETWORKS = ("10.244.0.0/16",)
"""Where pods' addresses are from, unless the controllers are told otherwise (``Options.cluster_cidr``)."""

assert all(name.startswith(RESERVED_PREFIXES) for name in PLATFORM_NAMESPACES)


def wanted_levels(spec: Document) -> dict[str, str]:
    """Pod security labels of a namespace of a Tenant with this spec; owners may set stricter ones."""
    levels = spec.get("podSecurity") or {}
    wanted = {f"{LEVEL_PREFIX}enforce": levels.get("enforce") or DEFAULT_POD_SECURITY}
    return wanted | {f"{LEVEL_PREFIX}{mode}": levels[mode] for mode in LEVEL_MODES[1:] if levels.get(mode)}


def missing_marks(tenant: Document, namespace: Document) -> Document:
    """Labels and annotations (``{"labels": ...}``) that a namespace of ``tenant`` should have and has not, as merge patch."""
    spec = tenant.get("spec") or {}
    policy = spec.get("namespaces") or {}
    metadata = namespace["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    wanted = {key: value for key, value in (policy.get("labels") or {}).items() if labels.get(key) != value}
    wanted |= {
        key: level
        for key, level in wanted_levels(spec).items()
        if STRICTNESS.get(labels.get(key, ""), -1) < STRICTNESS[level]
    }
    noted = {key: value for key, value in (policy.get("annotations") or {}).items() if annotations.get(key) != value}
    return {name: marks for name, marks in (("labels", wanted), ("annotations", noted)) if marks}


def furniture(tenant: Document, namespace: str, pod_networks: Sequence[str] = POD_NETWORKS) -> list[Document]:
    """The objects that ``namespace`` of ``tenant`` holds. ``pod_networks`` (CIDR) are where pods' addresses are from."""
    made = [_isolation(tenant, pod_networks), _limits(tenant), *_quotas(tenant)]
    return [_placed(tenant, namespace, each) for each in made if each is not None]


def _placed(tenant: Document, namespace: str, document: Document) -> Document:
    metadata = document["metadata"]
    labels = {MANAGED_LABEL: "true", TENANT_LABEL: tenant["metadata"]["name"]}
    return {**document, "metadata": {**metadata, "namespace": namespace, "labels": labels}}


def _isolation(tenant: Document, pod_networks: Sequence[str]) -> Document | None:
    """Pods are reached from the tenant's own, from the platform's and from those of tenants that are let in; from outside
    of the cluster where the tenant may have services that are reached from there.
    """
    spec = tenant.get("spec") or {}
    network = spec.get("network") or {}
    if network.get("isolation") is False:
        return None
    tenants = [tenant["metadata"]["name"], *(network.get("allowFrom") or ())]
    peers: list[dict[str, Any]] = [
        {"namespaceSelector": {"matchExpressions": [_one_of(TENANT_LABEL, tenants)]}},
        {"namespaceSelector": {"matchExpressions": [_one_of("kubernetes.io/metadata.name", PLATFORM_NAMESPACES)]}},
    ]
    if not _EXPOSED.isdisjoint((spec.get("serviceTypes") or {}).get("allowed") or ()):
        for everywhere in _EVERYWHERE:
            inside = [each for each in pod_networks if (":" in each) == (":" in everywhere)]
            peers.append({"ipBlock": {"cidr": everywhere} | ({"except": inside} if inside else {})})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": ISOLATION},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": peers}]},
    }


def _one_of(key: str, values: Sequence[str]) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(dict.fromkeys(values))}


def _limits(tenant: Document) -> Document | None:
    """The Tenant's limits and default requests as one LimitRange."""
    spec = tenant.get("spec") or {}
    items: list[dict[str, Any]] = [dict(item) for item in spec.get("limits") or ()]
    requests = spec.get("defaultRequests")
    if requests:
        container = next((item for item in items if item.get("type") == "Container"), None)
        if container is None:
            container = {"type": "Container"}
            items.append(container)
        container["defaultRequest"] = {**requests, **(container.get("defaultRequest") or {})}
    if not items:
        return None
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": LIMITS}, "spec": {"limits": items}}


def _quotas(tenant: Document) -> list[Document]:
    """One ResourceQuota for each template; the first has the plain name."""
    templates = (tenant.get("spec") or {}).get("resourceQuotas") or ()
    return [
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": QUOTA if index == 0 else f"{QUOTA}-{index}"},
            "spec": dict(template),
        }
        for index, template in enumerate(templates)
    ]
