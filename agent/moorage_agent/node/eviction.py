"""Which pod a node ends when its means run short, and what it says. Pure.

Source: "Node-pressure Eviction" and the kubelet's ``pkg/kubelet/eviction/helpers.go``: pods that use more than they asked for
go first, then those of lower priority, then those that use the most beyond what they asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from moorage.resources.core.pods.amounts import pod_amounts
from moorage_agent.node import thresholds
from moorage_agent.node.disk import Taken
from moorage_agent.node.machine import Pressure
from moorage_agent.node.thresholds import DISK, MEMORY, PIDS, Met
from moorage_agent.pods.observed import every_container
from moorage_agent.pods.quantities import amount

CRITICAL = 2_000_000_000
"""Priority from which on a pod belongs to the system: it is not ended for the sake of others."""
TRANSITION = 300.0
"""Seconds for which a pressure is reported on after it was last there, so that a node does not swing to and fro."""


class Candidate(NamedTuple):
    """A pod that could be ended: what it uses of what is short."""

    uid: str
    pod: Mapping[str, Any]
    used: float
    containers: Mapping[str, float] = {}
    """The same by container, where that is known."""


def first(candidates: Iterable[Candidate], resource: str) -> Candidate | None:
    """The pod to end; None where no pod may be."""
    ranked = sorted(
        (one for one in candidates if _priority(one.pod) < CRITICAL),
        key=lambda one: (not _exceeds(one, resource), _priority(one.pod), requested(one.pod, resource) - one.used),
    )
    return ranked[0] if ranked else None


def message(candidate: Candidate, met: Met) -> str:
    """Why it was ended, in the kubelet's words."""
    text = f"The node was low on resource: {met.resource}. "
    text += f"Threshold quantity: {_written(met, met.quantity)}, available: {_written(met, met.available)}. "
    for name, used in candidate.containers.items():
        asked = _asked(_container(candidate.pod, name), met.resource)
        if met.resource in (MEMORY, DISK) and used > asked:
            amounts = f"was using {quantity_text(used // 1024 * 1024)}, request is {quantity_text(asked)}"
            text += f"Container {name} {amounts}, has larger consumption of {met.resource}. "
    return text


def refusal(pod: Mapping[str, Any], pressure: Pressure) -> str:
    """Why a node under pressure does not take a pod on, in the kubelet's words; "" where it does. Memory keeps only those away
    that promise nothing about it and do not tolerate its taint; all else keeps all away but the system's.
    """
    held = thresholds.conditions(pressure)
    if not held or _priority(pod) >= CRITICAL:
        return ""
    if held == ["MemoryPressure"]:
        tolerated = any(_tolerates_memory_pressure(one) for one in pod["spec"].get("tolerations") or ())
        if (pod.get("status") or {}).get("qosClass") != "BestEffort" or tolerated:
            return ""
    return f"The node had condition: [{' '.join(held)}]. "


def _tolerates_memory_pressure(toleration: Mapping[str, Any]) -> bool:
    key, exists = toleration.get("key") or "", toleration.get("operator") == "Exists"
    named = key == "node.kubernetes.io/memory-pressure" and (exists or not toleration.get("value"))
    return toleration.get("effect") in (None, "", "NoSchedule") and (named or (not key and exists))


def _container(pod: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return next((one for one in every_container(pod) if one["name"] == name), {})


def _asked(container: Mapping[str, Any], resource: str) -> float:
    return float(amount(str(((container.get("resources") or {}).get("requests") or {}).get(resource, 0))))


def _written(met: Met, value: float) -> str:
    return quantity_text(value, 1024 if met.resource in (MEMORY, DISK) else 1000)


def quantity_text(value: float, base: int = 1024) -> str:
    """A whole number in Kubernetes' canonical form: with the largest suffix that leaves no fraction."""
    number, suffixes = int(value), ["", *(("Ki", "Mi", "Gi", "Ti") if base == 1024 else ("k", "M", "G", "T"))]
    while number and number % base == 0 and len(suffixes) > 1:
        number //= base
        suffixes.pop(0)
    return f"{number}{suffixes[0]}"


def requested(pod: Mapping[str, Any], resource: str) -> float:
    """What the pod's containers asked for, with its overhead."""
    spec = pod["spec"]
    return sum(_asked(one, resource) for one in spec["containers"]) + amount(
        str((spec.get("overhead") or {}).get(resource, 0))
    )


def _exceeds(candidate: Candidate, resource: str) -> bool:
    return resource != PIDS and candidate.used > requested(candidate.pod, resource)


def _priority(pod: Mapping[str, Any]) -> int:
    return int(pod["spec"].get("priority") or 0)


@dataclass
class Steady:
    """Pressures as they are reported: each for ``transition`` seconds longer than it was there."""

    transition: float = TRANSITION
    _last: dict[str, float] = field(default_factory=dict)

    def of(self, pressure: Pressure, now: float) -> Pressure:
        """What to report of ``pressure`` at ``now`` (seconds of a steady clock)."""
        for name, holds in pressure._asdict().items():
            if holds:
                self._last[name] = now
        return pressure._replace(**{name: True for name, since in self._last.items() if now - since < self.transition})


@dataclass(frozen=True, slots=True)
class Limits:
    """What of a pod's disk is limited: bytes by emptyDir volume and by container (name), and in all (None: not limited)."""

    volumes: Mapping[str, float] = field(default_factory=dict)
    containers: Mapping[str, float] = field(default_factory=dict)
    whole: float | None = None

    def __bool__(self) -> bool:
        return bool(self.volumes) or self.whole is not None


def limits(pod: Mapping[str, Any]) -> Limits:
    """``emptyDir.sizeLimit`` (on disk), the containers' own ``ephemeral-storage`` limits, and their sum."""
    volumes = {
        volume["name"]: amount(str(volume["emptyDir"]["sizeLimit"]))
        for volume in pod["spec"].get("volumes") or ()
        if (volume.get("emptyDir") or {}).get("sizeLimit") and volume["emptyDir"].get("medium") != "Memory"
    }
    own = {str(one["name"]): amount(text) for one in pod["spec"]["containers"] if (text := _limit(one))}
    whole = pod_amounts(pod["spec"], "limits").get(DISK)
    return Limits(volumes, {name: most for name, most in own.items() if most > 0}, whole)


def beyond(pod: Mapping[str, Any], taken: Taken) -> str:
    """What of the disk the pod has taken beyond its limits, in the kubelet's words; "" where all is well."""
    allowed = limits(pod)
    for name, most in allowed.volumes.items():
        if taken.volumes.get(name, 0.0) > most > 0:
            text = next(one["emptyDir"]["sizeLimit"] for one in pod["spec"]["volumes"] if one["name"] == name)
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{text}". '
    if allowed.whole is not None and taken.whole > allowed.whole:
        total = quantity_text(allowed.whole)
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
    for name, most in allowed.containers.items():
        if name in taken.containers and taken.containers[name].whole > most:
            return f'Container {name} exceeded its local ephemeral storage limit "{_limit(_container(pod, name))}". '
    return ""


def limit_of(problem: str) -> str:
    """The kubelet's signal for a limit that was exceeded, by what ``beyond`` said."""
    signals = {"Usage of EmptyDir": "emptydirfs.limit", "Pod ephemeral": "ephemeralpodfs.limit"}
    return next(
        (signal for words, signal in signals.items() if problem.startswith(words)), "ephemeralcontainerfs.limit"
    )


def _limit(container: Mapping[str, Any]) -> str:
    return str(((container.get("resources") or {}).get("limits") or {}).get(DISK) or "")
