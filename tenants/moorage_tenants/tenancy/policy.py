"""A Tenant's rules, read once for each state of the Tenant."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import orjson

from moorage.api.contracts import View
from moorage.resources.core.namespaces import NAMESPACE
from moorage.resources.kind import Document
from moorage.resources.tenancy import DEFAULT_SERVICE_TYPES, TENANT, is_locked, subject_names, tenant_of
from moorage.store.contracts import Entry
from moorage_tenants.tenancy.images import Registries
from moorage_tenants.tenancy.patterns import Patterns


@dataclass(frozen=True, slots=True)
class Policy:
    """What a tenant may. None among the lists: everything may."""

    name: str
    tenant: Document
    locked: bool
    owners: frozenset[tuple[str, str]]
    registries: Registries | None
    priorities: Patterns | None
    storage: Patterns | None
    ingress: Patterns | None
    hostnames: Patterns | None
    labels: Patterns | None
    annotations: Patterns | None
    services: frozenset[str]
    external: tuple[IPv4Network | IPv6Network, ...]
    host_paths: tuple[str, ...]
    spec: Document = field(default_factory=dict)

    def default(self, part: str) -> str:
        """The class that ``spec.PART.default`` names, "" for none."""
        name: str = (self.spec.get(part) or {}).get("default", "")
        return name

    @property
    def selector(self) -> dict[str, str]:
        """Labels of the nodes that pods run on."""
        selector: dict[str, str] = (self.spec.get("nodePools") or {}).get("selector") or {}
        return selector

    @property
    def tolerations(self) -> list[dict[str, Any]]:
        """What every pod tolerates."""
        tolerations: list[dict[str, Any]] = (self.spec.get("nodePools") or {}).get("tolerations") or []
        return tolerations

    @property
    def namespace_labels(self) -> dict[str, str]:
        """Labels that every namespace has."""
        labels: dict[str, str] = (self.spec.get("namespaces") or {}).get("labels") or {}
        return labels

    @property
    def namespace_annotations(self) -> dict[str, str]:
        """Annotations that every namespace has."""
        annotations: dict[str, str] = (self.spec.get("namespaces") or {}).get("annotations") or {}
        return annotations

    @property
    def prefixed(self) -> bool:
        """Whether namespaces must be named after the tenant."""
        return bool((self.spec.get("namespaces") or {}).get("requirePrefix"))


@lru_cache(2048)
def _read(data: bytes) -> Policy:
    return policy_of(orjson.loads(data))


def policy_of(tenant: Document) -> Policy:
    """The rules of a Tenant."""
    spec = tenant.get("spec") or {}
    namespaces = spec.get("namespaces") or {}
    services = spec.get("serviceTypes") or {}
    registries = (spec.get("registries") or {}).get("allowed")
    return Policy(
        name=tenant["metadata"]["name"],
        tenant=tenant,
        locked=is_locked(tenant),
        owners=subject_names(spec.get("owners") or ()),
        registries=None if registries is None else Registries(registries),
        priorities=_patterns(spec, "priorityClasses"),
        storage=_patterns(spec, "storageClasses"),
        ingress=_patterns(spec, "ingressClasses"),
        hostnames=_patterns(spec, "hostnames"),
        labels=Patterns(namespaces["allowedLabels"]) if namespaces.get("allowedLabels") else None,
        annotations=Patterns(namespaces["allowedAnnotations"]) if namespaces.get("allowedAnnotations") else None,
        services=frozenset(services.get("allowed", DEFAULT_SERVICE_TYPES)),
        external=tuple(ip_network(each, strict=False) for each in services.get("externalIPs") or ()),
        host_paths=tuple((spec.get("hostPaths") or {}).get("allowed") or ()),
        spec=spec,
    )


def _patterns(spec: Document, part: str) -> Patterns | None:
    allowed = (spec.get(part) or {}).get("allowed")
    return None if allowed is None else Patterns(allowed)


def policy_in(entry: Entry) -> Policy:
    """The rules that a stored Tenant states. The result is shared: nobody changes it."""
    return _read(entry.data)


async def tenant_policy(view: View, name: str) -> Policy | None:
    """The rules of tenant ``name``, None where there is no such tenant."""
    entry = await view.get(TENANT, "", name)
    return None if entry is None else policy_in(entry)


async def namespace_policy(view: View, namespace: str) -> Policy | None:
    """The rules of the tenant that ``namespace`` belongs to, None where it belongs to none."""
    entry = await view.get(NAMESPACE, "", namespace)
    name = tenant_of(entry.labels) if entry is not None else ""
    return await tenant_policy(view, name) if name else None
