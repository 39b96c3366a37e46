"""The Node as the API shows it. Pure. Source: API reference, Node; well-known labels; the kubelet's condition reasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from moorage.client.objects import timestamp
from moorage_agent.node.machine import Pressure

Document = dict[str, Any]

NO_RANGE = "the node has no range of pod addresses yet (spec.podCIDR), or its rules are not loaded"
OWN_LABELS = ("kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch")


class Description(NamedTuple):
    """What does not change while the agent runs."""

    name: str
    labels: Mapping[str, str]
    architecture: str
    address: str
    capacity: Mapping[str, str]
    info: Mapping[str, Any]


class Engine(NamedTuple):
    """Whether the container engine answers, and if not, why; ``stalled`` says that its containers cannot be listed."""

    ready: bool
    problem: str = ""
    stalled: str = ""


class Network(NamedTuple):
    """Whether pods can be connected; ``lacks`` is what they do without ("" for nothing)."""

    ready: bool = True
    lacks: str = ""


CONNECTED = Network()


def labels(about: Description) -> dict[str, str]:
    """The node's labels: the well-known ones and those asked for."""
    known = dict(zip(OWN_LABELS, (about.name, "linux", about.architecture), strict=True))
    beta = {"beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": about.architecture}
    return {**beta, **known, **about.labels}


def status(
    about: Description,
    old: Mapping[str, Any],
    engine: Engine,
    pressure: Pressure,
    now: float,
    network: Network = CONNECTED,
) -> Document:
    """The status that the agent answers for."""
    return {
        "capacity": dict(about.capacity),
        "allocatable": dict(about.capacity),
        "addresses": [{"type": "InternalIP", "address": about.address}, {"type": "Hostname", "address": about.name}],
        "nodeInfo": dict(about.info),
        "conditions": conditions(old, engine, pressure, now, network),
    }


def conditions(
    old: Mapping[str, Any], engine: Engine, pressure: Pressure, now: float, network: Network = CONNECTED
) -> list[Document]:
    """Ready, the network's and the three pressures. The time of a condition that has not changed is kept."""
    known = {one["type"]: one for one in old.get("conditions") or ()}
    problems = _problems(engine, network)
    wanted = [
        _pressure("MemoryPressure", pressure.memory, "Memory", "memory available"),
        _pressure("DiskPressure", pressure.disk, "Disk", "disk pressure"),
        _pressure("PIDPressure", pressure.pids, "PID", "PID available"),
        _connected(network),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status")
        if not problems
        else ("Ready", "False", "KubeletNotReady", problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"),
    ]
    result = []
    for kind, value, reason, message in wanted:
        before = known.get(kind) or {}
        since = before.get("lastTransitionTime") if before.get("status") == value else None
        result.append(
            {
                "type": kind,
                "status": value,
                "lastHeartbeatTime": timestamp(now),
                "lastTransitionTime": since or timestamp(now),
                "reason": reason,
                "message": message,
            }
        )
    return result


def _problems(engine: Engine, network: Network) -> list[str]:
    """Why the node is not Ready, in the kubelet's words and order."""
    problems = []
    if not engine.ready:
        problems.append(f"container runtime is down: {engine.problem}")
    if engine.stalled:
        problems.append(f"PLEG is not healthy: {engine.stalled}")
    if engine.ready and not network.ready:
        problems.append(f"container runtime network not ready: {NO_RANGE}")
    return problems


def _connected(network: Network) -> tuple[str, str, str, str]:
    """A node on the engine's bridge takes pods, so that this condition, which keeps them away, is False there too."""
    if not network.ready:
        return "NetworkUnavailable", "True", "NoPodCIDR", NO_RANGE
    if network.lacks:
        return "NetworkUnavailable", "False", "EngineBridge", network.lacks
    return "NetworkUnavailable", "False", "NetworkIsUp", "pods are connected"


_TOLD = {
    ("MemoryPressure", "True"): "NodeHasInsufficientMemory",
    ("MemoryPressure", "False"): "NodeHasSufficientMemory",
    ("DiskPressure", "True"): "NodeHasDiskPressure",
    ("DiskPressure", "False"): "NodeHasNoDiskPressure",
    ("PIDPressure", "True"): "NodeHasInsufficientPID",
    ("PIDPressure", "False"): "NodeHasSufficientPID",
    ("Ready", "True"): "NodeReady",
    ("Ready", "False"): "NodeNotReady",
}


def news(
    name: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[tuple[Literal["Normal", "Warning"], str, str]]:
    """(type, reason, message) of the events that a change of status is worth, in the kubelet's words. A new node tells of its
    pressures, and not that it is not ready yet.
    """
    told: list[tuple[Literal["Normal", "Warning"], str, str]] = []
    boot, before = new["nodeInfo"].get("bootID"), (old.get("nodeInfo") or {}).get("bootID")
    if before and before != boot:
        told.append(("Warning", "Rebooted", f"Node {name} has been rebooted, boot id: {boot}"))
    known = {one["type"]: one["status"] for one in old.get("conditions") or ()}
    for one in new["conditions"]:
        reason = _TOLD.get((one["type"], one["status"]))
        first = one["type"] == "Ready" and one["type"] not in known
        if reason and known.get(one["type"]) != one["status"] and not (first and one["status"] == "False"):
            told.append(("Normal", reason, f"Node {name} status is now: {reason}"))
    return told


def differs(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether anything but heartbeats has changed."""
    return _without_heartbeats(old) != _without_heartbeats(new)


def _without_heartbeats(status: Mapping[str, Any]) -> Document:
    conditions = [
        {key: value for key, value in one.items() if key != "lastHeartbeatTime"} for one in status["conditions"]
    ]
    return {**status, "conditions": conditions}


def _pressure(kind: str, holds: bool, word: str, what: str) -> tuple[str, str, str, str]:
    """A pressure's condition in the kubelet's words (``nodestatus/setters.go``)."""
    if word == "Disk":
        reason, message = ("KubeletHasDiskPressure", "has") if holds else ("KubeletHasNoDiskPressure", "has no")
        return kind, str(holds), reason, f"kubelet {message} {what}"
    amount = "Insufficient" if holds else "Sufficient"
    return kind, str(holds), f"KubeletHas{amount}{word}", f"kubelet has {amount.lower()} {what}"
