"""What a pod asks for: its requests as the scheduler counts them, and its quality of service.

Source: "Resource Management for Pods and Containers", "Sidecar Containers" (KEP-753), "Pod Quality of Service Classes".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moorage.resources import quantity
from moorage.resources.kind import Document
from moorage.resources.quantity import Quantity

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
_COMPUTE = ("cpu", "memory")


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """An init container that keeps running beside the others."""
    return container.get("restartPolicy") == "Always"


def _amounts(container: Mapping[str, Any], which: str) -> dict[str, Quantity]:
    listed = (container.get("resources") or {}).get(which) or {}
    return {name: quantity.parse(text) for name, text in listed.items()}


def pod_requests(pod: Document, which: str = "requests") -> dict[str, Quantity]:
    """Resource name -> what the pod needs: all containers and sidecars together, or, where it is more, an init container
    with the sidecars started before it; plus overhead. ``which`` may be ``limits``.
    """
    spec = pod.get("spec") or {}
    running: dict[str, Quantity] = {}
    for container in spec.get("containers") or ():
        running = quantity.summed(running, _amounts(container, which))
    sidecars: dict[str, Quantity] = {}
    starting: dict[str, Quantity] = {}
    for container in spec.get("initContainers") or ():
        own = _amounts(container, which)
        if is_sidecar(container):
            sidecars = quantity.summed(sidecars, own)
            starting = quantity.largest(starting, sidecars)
        else:
            starting = quantity.largest(starting, quantity.summed(sidecars, own))
    result = quantity.largest(quantity.summed(running, sidecars), starting)
    result |= _amounts(spec, which)
    overhead = {name: quantity.parse(text) for name, text in (spec.get("overhead") or {}).items()}
    if which == "limits":
        overhead = {name: amount for name, amount in overhead.items() if name in result}
    return quantity.summed(result, overhead)


def cpu_and_memory(pod: Document) -> tuple[int, int]:
    """Requests in millicores and bytes."""
    requests = pod_requests(pod)
    cpu, memory = requests.get("cpu", Quantity(0)), requests.get("memory", Quantity(0))
    return -(-cpu.nanos // 10**6), -(-memory.nanos // quantity.NANO)


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
