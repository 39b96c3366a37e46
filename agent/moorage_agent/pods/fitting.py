"""Whether a pod that was bound to this node has room and a place here, whoever bound it. Pure.

Source: ``pkg/kubelet/lifecycle/predicate.go`` (the scheduler's filters once more, on the node), ``pkg/kubelet/preemption``: a
critical pod ends others for its room.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from moorage.resources.core.pods.amounts import pod_amounts
from moorage.resources.node_selector import any_matches

Pod = Mapping[str, Any]

COUNT = "pods"
CRITICAL = 2_000_000_000
"""Priority from which on a pod belongs to the system."""
PREEMPTING = ("Preempting", "Preempted in order to admit critical pod")
_NOT_AFFINE = "NodeAffinity"
_TAINTED = "TaintToleration"
_ORDER = {"BestEffort": 0, "Burstable": 1, "Guaranteed": 2}


class Own(NamedTuple):
    """The node as it is known: its labels and taints, and what it can give in all (CPU in millicores)."""

    name: str
    labels: Mapping[str, str]
    taints: Sequence[Mapping[str, Any]]
    allocatable: Mapping[str, int]


class Misfit(NamedTuple):
    """Why not. ``short`` is what of each resource is missing; ``of_node`` says that it goes by labels or taints."""

    reason: str
    message: str
    short: Mapping[str, int]
    of_node: bool = False


class Other(NamedTuple):
    """A pod that is here already."""

    uid: str
    pod: Pod
    critical: bool


def is_critical(pod: Pod, *, static: bool) -> bool:
    """Whether a pod makes room for itself, and never makes room for others."""
    return static or int(pod["spec"].get("priority") or 0) >= CRITICAL


def misfit(pod: Pod, own: Own, others: Sequence[Pod], *, static: bool = False) -> Misfit | None:
    """Why the pod cannot run here beside ``others``; None where it can."""
    spec = pod["spec"]
    short = _shortages(spec, own, others)
    for name, (asked, used, capacity) in short.items():
        message = f"Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {capacity}"
        return Misfit(
            f"OutOf{name}", message, {name: asked + used - capacity for name, (asked, used, capacity) in short.items()}
        )
    if not _affine(spec, own):
        return _predicate(_NOT_AFFINE, of_node=True)
    if any(_clash(mine, theirs) for mine in _ports(spec) for other in others for theirs in _ports(other["spec"])):
        return _predicate("NodePorts")
    driven = [taint for taint in own.taints if taint.get("effect") == "NoExecute"]
    if not static and any(not _tolerated(taint, spec.get("tolerations") or ()) for taint in driven):
        return _predicate(_TAINTED, of_node=True)
    return None


def victims(short: Mapping[str, int], others: Iterable[Other]) -> list[str]:
    """Uids of the pods to end so that a critical pod has what it lacks: the least important, and no more than it takes; none
    where all together would not be enough.
    """
    missing = dict(short)
    chosen = []
    for other in sorted((one for one in others if not one.critical), key=_importance):
        gives = {COUNT: 1, **pod_amounts(other.pod["spec"])}
        if not any(missing.get(name, 0) > 0 and amount > 0 for name, amount in gives.items()):
            continue
        chosen.append(other)
        missing = {name: amount - gives.get(name, 0) for name, amount in missing.items()}
        if all(amount <= 0 for amount in missing.values()):
            return [one.uid for one in chosen]
    return []


def _importance(other: Other) -> tuple[int, int, int]:
    status = other.pod.get("status") or {}
    quality = _ORDER.get(str(status.get("qosClass")), 1)
    return int(other.pod["spec"].get("priority") or 0), quality, sum(pod_amounts(other.pod["spec"]).values())


def _predicate(name: str, *, of_node: bool = False) -> Misfit:
    return Misfit(name, f"Predicate {name} failed", {}, of_node)


def _shortages(spec: Mapping[str, Any], own: Own, others: Sequence[Pod]) -> dict[str, tuple[int, int, int]]:
    """Resource -> (asked, used, capacity) of what there is not enough of. What the node has nothing of is not its business."""
    used: dict[str, int] = {COUNT: len(others)}
    for other in others:
        for name, amount in pod_amounts(other["spec"]).items():
            used[name] = used.get(name, 0) + amount
    asked = {COUNT: 1, **pod_amounts(spec)}
    return {
        name: (amount, used.get(name, 0), own.allocatable[name])
        for name, amount in asked.items()
        if amount > 0 and name in own.allocatable and amount + used.get(name, 0) > own.allocatable[name]
    }


def _affine(spec: Mapping[str, Any], own: Own) -> bool:
    if any(own.labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or any_matches(own.name, own.labels, required.get("nodeSelectorTerms") or ())


def _ports(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """(address, protocol, port) that the pod takes of the node's."""
    lasting = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    for container in [*spec.get("containers", ()), *lasting]:
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", int(port["hostPort"])  # noqa: S104 - the wildcard, compared only


def _clash(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    same = one[1:] == other[1:]
    return same and (one[0] == other[0] or "0.0.0.0" in (one[0], other[0]))  # noqa: S104 - the wildcard, compared only


def _tolerated(taint: Mapping[str, Any], tolerations: Sequence[Mapping[str, Any]]) -> bool:
    return any(
        (not one.get("effect") or one["effect"] == taint.get("effect"))
        and (not one.get("key") or one["key"] == taint.get("key"))
        and (
            one.get("operator") == "Exists"
            or (bool(one.get("key")) and (one.get("value") or "") == (taint.get("value") or ""))
        )
        for one in tolerations
    )
