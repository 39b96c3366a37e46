"""Which EndpointSlices a Service should have, and what to do with those that it has. Pure.

Names are derived from the Service and a number, so that a cache that lags behind makes a conflict and no second slice.
Endpoints stay in the slice that they are in; what is new goes where there is room. Source: KEP-752,
``staging/src/k8s.io/endpointslice/reconciler.go``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from moorage.client.objects import Document, controller_reference
from moorage.controllers.endpoints.found import Found, Port, is_headless

MOST = 100
"""Endpoints of one slice."""
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
API_VERSION = "discovery.k8s.io/v1"


class Changes(NamedTuple):
    """What to write: new slices, slices as they should be (with their resourceVersion), and slices to delete."""

    create: Sequence[Document]
    update: Sequence[Document]
    delete: Sequence[Document]

    def __bool__(self) -> bool:
        return bool(self.create or self.update or self.delete)


class Group(NamedTuple):
    """Endpoints that have the same ports and family: they share slices."""

    family: str
    ports: tuple[Port, ...]
    endpoints: Mapping[str, Document]
    """By what identifies each: its address and target."""


def family_of(address: str) -> str:
    """``IPv4`` or ``IPv6``."""
    return "IPv6" if ":" in address else "IPv4"


SAME_ZONE, SAME_NODE = ("PreferClose", "PreferSameZone", "PreferSameNode"), ("PreferSameNode",)
"""Values of a Service's ``trafficDistribution`` by which an endpoint is meant for its zone, and for its node, first."""


def hints(found: Found, distribution: str) -> Document:
    """Whom a ready endpoint is meant for first. Source: endpointslice/trafficdist (KEP-2433, KEP-3015)."""
    result: Document = {}
    if found.ready and found.node and distribution in SAME_NODE:
        result["forNodes"] = [{"name": found.node}]
    if found.ready and found.zone and distribution in SAME_ZONE:
        result["forZones"] = [{"name": found.zone}]
    return result


def endpoint(found: Found, distribution: str = "") -> Document:
    """An entry of a slice."""
    result: Document = {
        "addresses": [found.address],
        "conditions": {"ready": found.ready, "serving": found.serving, "terminating": found.terminating},
        "targetRef": found.reference(),
    }
    if found.hostname:
        result["hostname"] = found.hostname
    if meant := hints(found, distribution):
        result["hints"] = meant
    if found.node:
        result["nodeName"] = found.node
    if found.zone:
        result["zone"] = found.zone
    return result


def groups(found: Iterable[Found], distribution: str = "") -> list[Group]:
    """Endpoints by family and ports; one empty group where there is nothing at all."""
    collected: dict[tuple[str, tuple[Port, ...]], dict[str, Document]] = {}
    for each in found:
        entries = collected.setdefault((family_of(each.address), each.ports), {})
        entries[f"{each.address} {each.target[2]}"] = endpoint(each, distribution)
    if not collected:
        return [Group("IPv4", (), {})]
    return [Group(family, ports, entries) for (family, ports), entries in sorted(collected.items())]


def identity(entry: Mapping[str, Any]) -> str:
    """What identifies an entry of a slice."""
    return f"{entry['addresses'][0]} {(entry.get('targetRef') or {}).get('uid', '')}"


def labels(service: Document) -> dict[str, str]:
    """The labels of the Service's slices."""
    own = {**(service["metadata"].get("labels") or {})}
    own.pop(HEADLESS, None)
    result = {**own, SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: CONTROLLER}
    if is_headless(service):
        result[HEADLESS] = ""
    return result


def plan(service: Document, found: Iterable[Found], existing: Iterable[Document]) -> Changes:
    """What makes ``existing`` (the slices that we keep for this Service) say what was found."""
    distribution = str(service["spec"].get("trafficDistribution") or "")
    return arrange(service, groups(found, distribution), existing, labels(service))


def arrange(
    owner: Document, wanted: Sequence[Group], existing: Iterable[Document], marks: Mapping[str, str]
) -> Changes:
    """The same for any owner and any labels."""
    create: list[Document] = []
    update: list[Document] = []
    living = [each for each in existing if not each["metadata"].get("deletionTimestamp")]
    left = sorted(living, key=lambda each: each["metadata"]["name"])
    used = {each["metadata"]["name"] for each in left}
    for group in wanted:
        ports = [port.document() for port in group.ports]
        mine = [each for each in left if each["addressType"] == group.family and (each.get("ports") or []) == ports]
        left = [each for each in left if all(each is not one for one in mine)]
        filled = _fill(group, mine)
        for number, entries in enumerate(filled):
            if number < len(mine):
                if not entries and (group.endpoints or number):
                    left.append(mine[number])
                    continue
                changed = _changed(mine[number], entries, marks)
                if changed is not None:
                    update.append(changed)
            else:
                create.append(_new(owner, group, ports, entries, marks, used))
    return Changes(create, update, left)


def _fill(group: Group, mine: Sequence[Document]) -> list[list[Document]]:
    """The entries of each slice that there is, and of those that must be added."""
    waiting = dict(group.endpoints)
    filled: list[list[Document]] = []
    for piece in mine:
        keys = [identity(entry) for entry in piece.get("endpoints") or ()]
        filled.append([waiting.pop(key) for key in keys if key in waiting])
    rest = list(waiting.values())
    for entries in sorted(filled, key=len, reverse=True):
        room = MOST - len(entries)
        if room > 0 and (entries or len(filled) == 1):
            entries += rest[:room]
            rest = rest[room:]
    filled += [rest[start : start + MOST] for start in range(0, len(rest), MOST)]
    if not filled:
        filled.append([])
    return filled


def _changed(piece: Document, entries: list[Document], marks: Mapping[str, str]) -> Document | None:
    """``piece`` with these entries, or None where it is so already."""
    if (piece.get("endpoints") or []) == entries and piece["metadata"].get("labels") == dict(marks):
        return None
    metadata = {**piece["metadata"], "labels": dict(marks)}
    return {**piece, "metadata": metadata, "endpoints": entries}


def _new(
    owner: Document,
    group: Group,
    ports: list[Document],
    entries: list[Document],
    marks: Mapping[str, str],
    used: set[str],
) -> Document:
    number = 0
    while True:
        name = _name(owner, group, number)
        if name not in used:
            break
        number += 1
    used.add(name)
    metadata = {
        "name": name,
        "generateName": f"{owner['metadata']['name']}-",
        "namespace": owner["metadata"]["namespace"],
        "labels": dict(marks),
        "ownerReferences": [controller_reference(owner)],
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": group.family,
        "endpoints": entries,
        "ports": ports,
    }


def _name(owner: Document, group: Group, number: int) -> str:
    text = repr((owner["metadata"]["uid"], group.family, group.ports, number))
    return f"{owner['metadata']['name']}-{hashlib.sha256(text.encode()).hexdigest()[:7]}"
