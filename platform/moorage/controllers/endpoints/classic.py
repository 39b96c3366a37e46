"""The Endpoints object of a Service, for those who still read it. Pure.

Source: Kubernetes' ``pkg/controller/endpoint`` and ``pkg/api/v1/endpoints.RepackSubsets``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moorage.client.objects import Document
from moorage.controllers.endpoints.found import Found, Port, is_headless
from moorage.controllers.endpoints.slices import HEADLESS

MOST = 1000
"""Addresses of one object; the rest is cut off, which an annotation says."""
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
CONTROLLER = "endpoint-controller"


def plan(service: Document, found: Sequence[Found], existing: Document | None) -> Document | None:
    """The object as it should be (with its resourceVersion where it exists), or None where it is so already."""
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    listed = [each for each in found if publish or not each.terminating]
    cut = listed[:MOST]
    labels = {**(service["metadata"].get("labels") or {}), MANAGED_BY: CONTROLLER}
    if is_headless(service):
        labels[HEADLESS] = ""
    wanted = subsets(cut)
    before = existing["metadata"] if existing is not None else {}
    annotations = {**(before.get("annotations") or {})}
    annotations.pop(OVER_CAPACITY, None)
    if len(cut) < len(listed):
        annotations[OVER_CAPACITY] = "truncated"
    same = existing is not None and (existing.get("subsets") or []) == wanted
    if same and before.get("labels") == labels and (before.get("annotations") or {}) == annotations:
        return None
    name = {"name": service["metadata"]["name"], "namespace": service["metadata"]["namespace"]}
    metadata: Document = {**before, **name, "labels": labels}
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": wanted}


def subsets(found: Iterable[Found]) -> list[Document]:
    """Addresses grouped by the ports that they share."""
    by_port: dict[Port | None, list[tuple[Document, bool]]] = {}
    for each in found:
        entry = (_address(each), each.ready)
        for port in each.ports or (None,):
            by_port.setdefault(port, []).append(entry)
    by_addresses: dict[str, tuple[list[tuple[Document, bool]], list[Port]]] = {}
    for port, entries in by_port.items():
        _, ports = by_addresses.setdefault(repr(entries), (entries, []))
        if port is not None:
            ports.append(port)
    result = [_subset(entries, ports) for entries, ports in by_addresses.values()]
    return sorted(result, key=repr)


def _subset(entries: Sequence[tuple[Document, bool]], ports: Sequence[Port]) -> Document:
    result: Document = {}
    for name, wanted in (("addresses", True), ("notReadyAddresses", False)):
        addresses = [address for address, ready in entries if ready is wanted]
        if addresses:
            result[name] = addresses
    if ports:
        result["ports"] = [_port(port) for port in sorted(ports)]
    return result


def _port(port: Port) -> Mapping[str, Any]:
    document = port.document()
    return document if document["name"] else {key: value for key, value in document.items() if key != "name"}


def _address(found: Found) -> Document:
    result: Document = {"ip": found.address, "targetRef": found.reference()}
    if found.node:
        result["nodeName"] = found.node
    if found.hostname:
        result["hostname"] = found.hostname
    return result
