"""The conditions of a pod that its node answers for. Pure.

Source: API reference, PodCondition; the kubelet's ``pkg/kubelet/status/generate.go``; KEP-580 (readiness gates), KEP-1287
(resizes), KEP-3329 (disruption), KEP-5532 (restarts of all containers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from moorage_agent.pods import outcome, resizing
from moorage_agent.pods.observed import Observed, every_container, init_containers, is_sidecar

Pod = Mapping[str, Any]
Document = dict[str, Any]
Why = tuple[str, str]
"""A reason and a message."""

FINE: Why = ("", "")
COMPLETED: Why = ("PodCompleted", "")
FAILED: Why = ("PodFailed", "")


def timestamp(at: float) -> str:
    """RFC 3339 in UTC, whole seconds, as ``metav1.Time`` is written."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod_conditions(
    pod: Pod,
    seen: Observed,
    phase: str,
    statuses: Sequence[Document],
    inits: Sequence[Document],
    now: float,
    *,
    initialized: bool,
) -> list[Document]:
    """All of them, from the entries of the pod's containers and init containers."""
    complete = _initialized(pod, phase, inits, initialized)
    ready = _containers_ready(pod, phase, statuses, inits)
    gates = _gates(pod) if ready == FINE else ready
    wanted = [
        ("PodReadyToStartContainers", seen.sandbox() is not None, FINE),
        ("Initialized", complete in (FINE, COMPLETED), complete),
        ("Ready", gates == FINE, gates),
        ("ContainersReady", ready == FINE, ready),
        ("PodScheduled", True, FINE),
    ]
    wanted += [(name, True, why) for name, why in _resizing(pod, seen)]
    if outcome.may_begin_anew(pod):
        since = outcome.begun_anew(pod, seen)
        going = any(one.container.created < since for one in seen.running())
        over = COMPLETED if phase == "Succeeded" else (FAILED if phase == "Failed" else FINE)
        wanted.append(("AllContainersRestarting", going, over))
    if seen.verdict is not None and seen.verdict.reason == "Evicted":
        wanted.append(("DisruptionTarget", True, ("TerminationByKubelet", seen.verdict.message)))
    old = {one["type"]: one for one in (pod.get("status") or {}).get("conditions") or ()}
    return [_condition(pod, old.get(name), name, holds, why, now) for name, holds, why in wanted]


def _initialized(pod: Pod, phase: str, inits: Sequence[Document], initialized: bool) -> Why:
    if phase == "Succeeded":
        return COMPLETED
    if initialized:
        return FINE
    sidecars = _sidecars(pod)
    pending = [one["name"] for one in inits if not one["started" if one["name"] in sidecars else "ready"]]
    return "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(pending)}]"


def _containers_ready(pod: Pod, phase: str, statuses: Sequence[Document], inits: Sequence[Document]) -> Why:
    if phase == "Succeeded":
        return COMPLETED
    if phase == "Failed":
        return FAILED
    sidecars = _sidecars(pod)
    counted = [*(one for one in inits if one["name"] in sidecars), *statuses]
    unready = [one["name"] for one in counted if not one["ready"]]
    if unready:
        return "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return FINE


def _sidecars(pod: Pod) -> set[str]:
    return {one["name"] for one in init_containers(pod) if is_sidecar(one)}


def _gates(pod: Pod) -> Why:
    """Those of ``spec.readinessGates`` that do not hold."""
    held = {one["type"]: one.get("status") for one in (pod.get("status") or {}).get("conditions") or ()}
    problems = []
    for gate in pod["spec"].get("readinessGates") or ():
        name = gate["conditionType"]
        if name not in held:
            problems.append(f'corresponding condition of pod readiness gate "{name}" does not exist.')
        elif held[name] != "True":
            problems.append(f'the status of pod readiness gate "{name}" is not "True", but {held[name]}')
    return ("ReadinessGatesNotReady", ", ".join(problems)) if problems else FINE


def _resizing(pod: Pod, seen: Observed) -> list[tuple[str, Why]]:
    """The conditions of a resize on its way; there are none when all is as asked."""
    found: list[tuple[str, Why]] = []
    if seen.pending is not None:
        found.append(("PodResizePending", seen.pending))
    failures = [seen.failures.get(f"resize {one['name']}") for one in every_container(pod)]
    failed = next((one for one in failures if one is not None), None)
    changing = any(
        (last := seen.last(one["name"])) is not None
        and last.running
        and resizing.change(pod, one, last.container.limits) is not None
        for one in every_container(pod)
    )
    if failed is not None:
        found.append(("PodResizeInProgress", (failed.reason, failed.message)))
    elif changing:
        found.append(("PodResizeInProgress", FINE))
    return found


def _condition(pod: Pod, old: Mapping[str, Any] | None, name: str, holds: bool, why: Why, now: float) -> Document:
    value = "True" if holds else "False"
    since = old["lastTransitionTime"] if old and old.get("status") == value else None
    condition: Document = {"type": name, "status": value}
    condition["lastTransitionTime"] = since or timestamp(now)
    if why[0]:
        condition["reason"] = why[0]
    if why[1]:
        condition["message"] = why[1]
    if "generation" in pod["metadata"]:
        condition["observedGeneration"] = pod["metadata"]["generation"]
    return condition
