"""EndpointSlices that repeat Endpoints made by hand. Pure. Source: KEP-752, ``pkg/controller/endpointslicemirroring``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moorage.client.objects import Document
from moorage.controllers.endpoints.found import Port
from moorage.controllers.endpoints.slices import MANAGED_BY, SERVICE_NAME, Changes, Group, arrange, family_of

CONTROLLER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
MOST = 1000
"""Addresses of one subset that are mirrored."""


def mirrors(endpoints: Document, service: Document | None) -> bool:
    """Whether the object is to be repeated: its Service has no selector, and nobody asked to leave it alone."""
    if service is None or service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
        return False
    metadata = endpoints["metadata"]
    skipped = (metadata.get("labels") or {}).get(SKIP) == "true"
    return not skipped and LEADER not in (metadata.get("annotations") or {})


def plan(endpoints: Document, existing: Iterable[Document]) -> Changes:
    """What makes ``existing`` (the slices that we keep for this object) repeat it."""
    labels = {
        **(endpoints["metadata"].get("labels") or {}),
        SERVICE_NAME: endpoints["metadata"]["name"],
        MANAGED_BY: CONTROLLER,
    }
    return arrange(endpoints, groups(endpoints), existing, labels)


def groups(endpoints: Document) -> list[Group]:
    """The entries of all subsets, by family and ports."""
    collected: dict[tuple[str, tuple[Port, ...]], dict[str, Document]] = {}
    for subset in endpoints.get("subsets") or ():
        ports = tuple(
            Port(each.get("name") or "", each["port"], each.get("protocol") or "TCP", each.get("appProtocol") or "")
            for each in subset.get("ports") or ()
        )
        ready = [(each, True) for each in subset.get("addresses") or ()]
        waiting = [(each, False) for each in subset.get("notReadyAddresses") or ()]
        for address, is_ready in [*ready, *waiting][:MOST]:
            key = (family_of(address["ip"]), ports)
            entry = _entry(address, is_ready)
            collected.setdefault(key, {})[f"{address['ip']} {(address.get('targetRef') or {}).get('uid', '')}"] = entry
    return [Group(family, ports, entries) for (family, ports), entries in sorted(collected.items())]


def _entry(address: Mapping[str, Any], ready: bool) -> Document:
    result: Document = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for field in ("hostname", "nodeName", "targetRef"):
        if address.get(field):
            result[field] = address[field]
    return result
