"""The quota charge of an object: what a ResourceQuota counts, as a vector of integers.

Source: "Resource Quotas" and "Init containers: resource sharing" in the Kubernetes documentation. CPU is in millicores,
memory and storage in bytes; a finished pod holds nothing but its place among the objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import quantity
from moorage.resources.kind import Document, Kind
from moorage.resources.quantity import QuantityError

_COUNTED = frozenset({"services", "secrets", "configmaps", "persistentvolumeclaims", "replicationcontrollers"})
_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_FINISHED = frozenset({"Succeeded", "Failed"})
_NANO = 10**9


class ObjectCharger:
    """Implements ``moorage.api.contracts.Charger``."""

    def charge(self, kind: Kind, document: Document) -> Mapping[str, int]:
        """Resource name -> amount; empty for what is not namespaced or expires by itself (Events)."""
        if not kind.namespaced or kind.ttl is not None:
            return {}
        resource = kind.storage.resource
        vector = {f"count/{resource}.{kind.storage.group}" if kind.storage.group else f"count/{resource}": 1}
        if kind.storage.group == "":
            if resource in _COUNTED:
                vector[resource] = 1
            elif resource == "pods":
                vector.update(_pod(document))
        return vector


def _pod(document: Document) -> dict[str, int]:
    if (document.get("status") or {}).get("phase") in _FINISHED:
        return {}
    spec = document.get("spec") or {}
    vector = {"pods": 1}
    for side in ("requests", "limits"):
        for name in _RESOURCES:
            amount = _effective(spec, side, name)
            if amount:
                vector[f"{side}.{name}"] = amount
    return vector


def _effective(spec: Mapping[str, Any], side: str, name: str) -> int:
    """What the pod holds at its greediest moment: sidecars stay, each other init container runs alone beside them."""
    sidecars = peak = 0
    for container in spec.get("initContainers") or ():
        amount = _amount(container, side, name)
        if container.get("restartPolicy") == "Always":
            sidecars += amount
            peak = max(peak, sidecars)
        else:
            peak = max(peak, sidecars + amount)
    running = sidecars + _sum(spec.get("containers") or (), side, name)
    greediest = max(peak, running)
    if side == "limits" and not greediest:
        return 0
    return greediest + _integer((spec.get("overhead") or {}).get(name), name)


def _sum(containers: Sequence[Mapping[str, Any]], side: str, name: str) -> int:
    return sum(_amount(container, side, name) for container in containers)


def _amount(container: Mapping[str, Any], side: str, name: str) -> int:
    resources = container.get("resources") or {}
    value = (resources.get(side) or {}).get(name)
    if value is None and side == "requests":
        value = (resources.get("limits") or {}).get(name)
    return _integer(value, name)


def _integer(value: Any, name: str) -> int:
    """Millicores or bytes, rounded up. What is no quantity charges nothing: validation refuses it after this step."""
    if value is None:
        return 0
    try:
        nanos = quantity.parse(str(value)).nanos
    except QuantityError:
        return 0
    unit = _NANO // 1000 if name == "cpu" else _NANO
    return -(-nanos // unit)
