"""In-place resize: what a pod asks for, what the node has granted it, and what its containers have. Pure.

Source: KEP-1287: a node grants a resize as a whole or not at all; what is granted is then brought to each container.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from moorage_agent.engine.contract import Limits
from moorage_agent.pods import quantities

Pod = Mapping[str, Any]
Resources = Mapping[str, Any]

_PARTS = ("containers", "initContainers")
_STATUSES = ("containerStatuses", "initContainerStatuses")
UNITS = {"cpu": 1000, "memory": 1}
DEFERRED = "Deferred"


class Pending(NamedTuple):
    """A resize that the node has not granted. ``reason`` is ``Infeasible`` or ``Deferred``."""

    reason: str
    message: str


class Room(NamedTuple):
    """What a node can grant: ``capacity`` in all, ``used`` by its other pods, each cores and bytes."""

    capacity: Mapping[str, float]
    used: Mapping[str, float]


def asked(pod: Pod) -> dict[str, Resources]:
    """Container name -> resources, as the spec has them."""
    return {one["name"]: one.get("resources") or {} for part in _PARTS for one in pod["spec"].get(part) or ()}


def recorded(pod: Pod) -> dict[str, Resources]:
    """Container name -> resources that the API says were granted before: what an agent that was restarted goes on with."""
    status, found = pod.get("status") or {}, asked(pod)
    for part in _STATUSES:
        for entry in status.get(part) or ():
            held = entry.get("resources") or {}
            if entry["name"] in found and entry.get("allocatedResources") and held:
                found[entry["name"]] = {**held, "requests": entry["allocatedResources"]}
    return found


def granted(pod: Pod, allocated: Mapping[str, Resources]) -> dict[str, Any]:
    """The pod with what was granted in place of what is asked for; what is not known yet stays as asked."""
    spec = dict(pod["spec"])
    for part in _PARTS:
        if part in spec:
            spec[part] = [
                {**one, "resources": allocated[one["name"]]} if one["name"] in allocated else one for one in spec[part]
            ]
    return {**pod, "spec": spec}


def judge(pod: Pod, room: Room) -> Pending | None:
    """Whether the node can grant what the pod asks for; None where it can."""
    wanted = requests(pod)
    for name, unit in UNITS.items():
        amount, capacity, used = (round(one.get(name, 0.0) * unit) for one in (wanted, room.capacity, room.used))
        if amount > capacity:
            message = f"Node didn't have enough capacity: {name}, requested: {amount}, capacity: {capacity}"
            return Pending("Infeasible", message)
        if amount + used > capacity:
            message = (
                f"Node didn't have enough resource: {name}, requested: {amount}, used: {used}, capacity: {capacity}"
            )
            return Pending(DEFERRED, message)
    return None


def requests(pod: Pod) -> dict[str, float]:
    """Cores and bytes that a pod's containers and sidecars request together."""
    total: dict[str, float] = dict.fromkeys(UNITS, 0.0)
    spec = pod["spec"]
    lasting = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    for container in [*spec["containers"], *lasting]:
        amounts = (container.get("resources") or {}).get("requests") or {}
        for name in UNITS:
            total[name] += quantities.amount(str(amounts.get(name, 0)))
    return total


def change(pod: Pod, container: Mapping[str, Any], has: Limits) -> Limits | None:
    """The limits that a running container must get, or None where it has them. ``pids`` never change."""
    if has == Limits():
        return None  # the engine told nothing
    wanted = quantities.limits(quantities.resources(pod, container), has.pids)
    return wanted if wanted != has else None


def must_restart(container: Mapping[str, Any], has: Limits, wanted: Limits) -> bool:
    """Whether a resource changes whose ``resizePolicy`` asks for a restart."""
    policies = {one["resourceName"]: one["restartPolicy"] for one in container.get("resizePolicy") or ()}
    cpu = (has.cpu_shares, has.cpu_quota) != (wanted.cpu_shares, wanted.cpu_quota)
    memory = has.memory != wanted.memory
    return (cpu and policies.get("cpu") == "RestartContainer") or (
        memory and policies.get("memory") == "RestartContainer"
    )
