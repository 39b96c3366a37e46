"""What a pod asks for: its requests as the scheduler counts them, and its quality of service.

Source: "Resource Management for Pods and Containers", "Sidecar Containers" (KEP-753), "Pod Quality of Service Classes".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moorage.resources import quantity
from moorage.resources.kind import Document

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
_COMPUTE = ("cpu", "memory")


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """An init container that keeps running beside the others."""
    return container.get("restartPolicy") == "Always"


def in_units(listed: Mapping[str, str] | None) -> dict[str, int]:
    """A list of resources as integers: CPU in millicores, everything else in whole units (bytes, counts), rounded up; at
    most ``quantity.MOST``.
    """
    return {
        name: min(quantity.milli(text) if name == "cpu" else quantity.whole(text), quantity.MOST)
        for name, text in (listed or {}).items()
    }


def _asked(part: Mapping[str, Any], which: str) -> dict[str, int]:
    return in_units((part.get("resources") or {}).get(which))


def _granted(part: Mapping[str, Any], which: str, status: Mapping[str, Any] | None, infeasible: bool) -> dict[str, int]:
    """What ``part`` asks for, or what it still holds where that is more (a resize on its way; KEP-1287)."""
    asked = {} if infeasible and status else _asked(part, which)
    if status:
        _raise(asked, _asked(status, which))
        if which == "requests":
            _raise(asked, in_units(status.get("allocatedResources")))
    return asked


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        total[name] = min(total.get(name, 0) + amount, quantity.MOST)


def _raise(total: dict[str, int], floor: Mapping[str, int]) -> None:
    for name, amount in floor.items():
        if amount > total.get(name, -1):
            total[name] = amount


def _statuses(status: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    """Statuses of containers that say what they hold, by name."""
    return {
        each["name"]: each for each in status.get(name) or () if "resources" in each or "allocatedResources" in each
    }


def pod_amounts(
    spec: Mapping[str, Any], which: str = "requests", status: Mapping[str, Any] | None = None
) -> dict[str, int]:
    """Resource name -> what a pod with this spec needs, as ``in_units``: all containers and sidecars together, or, where
    that is more, an init container with the sidecars started before it; what the pod asks for as a whole goes before;
    plus overhead. ``which`` may be ``limits``. With ``status``, what its containers hold counts where that is more.
    """
    held: dict[str, Mapping[str, Any]] = {}
    infeasible = False
    if status:
        held = {**_statuses(status, "initContainerStatuses"), **_statuses(status, "containerStatuses")}
        infeasible = bool(held) and any(
            each.get("type") == "PodResizePending" and each.get("reason") == "Infeasible"
            for each in status.get("conditions") or ()
        )
    total: dict[str, int] = {}
    for container in spec.get("containers") or ():
        _add(total, _granted(container, which, held.get(container.get("name", "")), infeasible))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        own = _granted(container, which, held.get(container.get("name", "")), infeasible)
        if is_sidecar(container):
            _add(sidecars, own)
            _raise(peak, sidecars)
        else:
            _add(own, sidecars)
            _raise(peak, own)
    _add(total, sidecars)
    _raise(total, peak)
    total |= _asked(spec, which)
    overhead = in_units(spec.get("overhead"))
    _add(total, overhead if which == "requests" else {name: overhead[name] for name in overhead if name in total})
    return total


def _positive(parts: Iterable[Mapping[str, Any]], which: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        listed = (part.get("resources") or {}).get(which)
        if listed:
            for name in _COMPUTE:
                if name in listed and (nanos := quantity.parse(listed[name]).nanos) > 0:
                    found[name] = found.get(name, 0) + nanos
    return found


def qos_class(pod: Document) -> str:
    """``Guaranteed`` (CPU and memory limited everywhere, equal to requests), ``BestEffort`` (nothing asked), else
    ``Burstable``.
    """
    spec = pod.get("spec") or {}
    own = spec.get("resources")
    parts = [spec] if own else [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    requests, limits = _positive(parts, "requests"), _positive(parts, "limits")
    if not requests and not limits:
        return BEST_EFFORT
    for part in parts:
        listed = (part.get("resources") or {}).get("limits") or {}
        if any(name not in listed or quantity.parse(listed[name]).nanos <= 0 for name in _COMPUTE):
            return BURSTABLE
    if any(limits.get(name) != amount for name, amount in requests.items()):
        return BURSTABLE
    return GUARANTEED if len(requests) == len(limits) else BURSTABLE
