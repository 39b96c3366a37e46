"""Which ranges may go, which addresses have lost their Service, and which are missing. Pure.

Source: Kubernetes' ``pkg/controller/servicecidrs`` (KEP-1880), ``pkg/registry/core/service/ipallocator/controller``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from moorage.client.objects import Document, condition, timestamp

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
MANAGED_BY, MANAGER = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"
READY = "Ready"
_KEPT = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def networks(cidr: Document) -> list[Network]:
    """The ranges of one object."""
    return [ip_network(text, strict=False) for text in cidr["spec"].get("cidrs") or ()]


def is_leaving(cidr: Document) -> bool:
    """Whether somebody deleted it."""
    return bool(cidr["metadata"].get("deletionTimestamp"))


def used(cidr: Document, others: Iterable[Document], addresses: Iterable[Document]) -> list[str]:
    """Addresses of Services that only this object's ranges hold."""
    own = networks(cidr)
    uid = cidr["metadata"]["uid"]
    rest = [net for each in others if each["metadata"]["uid"] != uid and not is_leaving(each) for net in networks(each)]
    found = []
    for each in addresses:
        if (each["metadata"].get("labels") or {}).get(MANAGED_BY) != MANAGER:
            continue
        address = ip_address(each["metadata"]["name"])
        if _within(address, own) and not _within(address, rest):
            found.append(str(address))
    return sorted(found)


def ready(cidr: Document, now: float) -> Document | None:
    """The condition of a range that addresses may be taken from; None where it says so already."""
    return _changed(cidr, {"status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready"}, now)


def kept(cidr: Document, now: float) -> Document | None:
    """The condition of a range that is to go but still used; None where it says so already."""
    return _changed(cidr, {"status": "False", "reason": "Terminating", "message": _KEPT}, now)


def missing(services: Iterable[Document], addresses: Iterable[Document]) -> list[tuple[Document, str]]:
    """Services that have an address which nothing holds for them, with the address: somebody deleted its object."""
    known = {each["metadata"]["name"] for each in addresses}
    return [(service, address) for service in services for address in _own(service) if address not in known]


def orphaned(services: Iterable[Document], addresses: Iterable[Document]) -> list[Document]:
    """Addresses that are held for a Service which is not there, or has others."""
    held = {
        (service["metadata"]["namespace"], service["metadata"]["name"], address)
        for service in services
        for address in _own(service)
    }
    found = []
    for each in addresses:
        parent = each["spec"].get("parentRef") or {}
        ours = (each["metadata"].get("labels") or {}).get(MANAGED_BY) == MANAGER and parent.get(
            "resource"
        ) == "services"
        if ours and (parent.get("namespace", ""), parent.get("name", ""), each["metadata"]["name"]) not in held:
            found.append(each)
    return found


def address_document(service: Document, address: str) -> Document:
    """The object that holds an address for a Service."""
    metadata = service["metadata"]
    family = "IPv6" if ":" in address else "IPv4"
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": address, "labels": {MANAGED_BY: MANAGER, "ipaddress.kubernetes.io/ip-family": family}},
        "spec": {
            "parentRef": {
                "group": "",
                "resource": "services",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
            }
        },
    }


def _own(service: Document) -> Sequence[str]:
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return ()
    given = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return [str(ip_address(each)) for each in given if each != "None"]


def _within(address: Address, ranges: Iterable[Network]) -> bool:
    return any(address.version == each.version and address in each for each in ranges)


def _changed(cidr: Document, wanted: Document, now: float) -> Document | None:
    old = condition(cidr, READY) or {}
    if all(old.get(key, "") == value for key, value in wanted.items()):
        return None
    since = old.get("lastTransitionTime") if old.get("status") == wanted["status"] else None
    return {"type": READY, **wanted, "lastTransitionTime": since or timestamp(now)}
