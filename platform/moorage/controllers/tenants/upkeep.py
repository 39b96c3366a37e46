"""What to write so that a tenant's namespaces are as its Tenant says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moorage.client import operations
from moorage.client.objects import Document, is_deleting, key_of, uid_of
from moorage.client.operations import Operation
from moorage.client.resource import NAMESPACES, NETWORK_POLICIES, Resource
from moorage.resources.tenancy import MANAGED_LABEL
from moorage.resources.tenancy_objects import POD_NETWORKS, furniture, missing_marks

LIMIT_RANGES = Resource("", "v1", "limitranges", "LimitRange")
RESOURCE_QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
KEPT: Mapping[str, Resource] = {
    "NetworkPolicy": NETWORK_POLICIES,
    "LimitRange": LIMIT_RANGES,
    "ResourceQuota": RESOURCE_QUOTAS,
}
"""By kind: what namespaces hold of the platform's."""


def is_managed(document: Document) -> bool:
    """Whether the object is the platform's in a tenant's namespace."""
    return (document["metadata"].get("labels") or {}).get(MANAGED_LABEL) == "true"


def marks(tenant: Document, namespace: Document) -> Operation | None:
    """The patch of a namespace that lacks labels or annotations of its tenant."""
    if is_deleting(namespace):
        return None
    missing = missing_marks(tenant, namespace)
    if not missing:
        return None
    change = {"metadata": {"uid": uid_of(namespace), **missing}}
    return operations.patch(NAMESPACES, "", namespace["metadata"]["name"], change)


def keeping(
    tenant: Document, namespace: Document, present: Iterable[Document], pod_networks: Sequence[str] = POD_NETWORKS
) -> list[Operation]:
    """Writes that make ``present`` (objects of the kinds in KEPT, in this namespace) what the Tenant asks for."""
    if is_deleting(namespace):
        return []
    found = {(each["kind"], each["metadata"]["name"]): each for each in present}
    made: list[Operation] = []
    wanted = {
        (each["kind"], each["metadata"]["name"]): each
        for each in furniture(tenant, namespace["metadata"]["name"], pod_networks)
    }
    for key, document in wanted.items():
        live = found.get(key)
        if live is None:
            made.append(operations.create(document))
        elif not covers(live, document):
            made.append(operations.update(document))
    return made + [removal(live) for key, live in found.items() if key not in wanted and is_managed(live)]


def removal(document: Document) -> Operation:
    """Take an object away that the tenant does not ask for any more."""
    namespace, name = key_of(document)
    return operations.delete(KEPT[document["kind"]], namespace, name, uid=uid_of(document))


def covers(live: Any, wanted: Any) -> bool:
    """Whether ``live`` says all that ``wanted`` says: defaults may add fields, never list items."""
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(key in live and covers(live[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        if not isinstance(live, list) or len(live) != len(wanted):
            return False
        return all(covers(one, other) for one, other in zip(live, wanted, strict=True))
    return bool(live == wanted)
