"""The status of a pod as ``kubectl`` shows it. Pure: pod, observation and plan in, ``status`` out.

Source: API reference, PodStatus; Pod Lifecycle; the kubelet's reasons and messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from moorage_agent.pods import outcome, resizing
from moorage_agent.pods.actions import Plan
from moorage_agent.pods.container_status import Describe, container_status
from moorage_agent.pods.observed import (
    Observed,
    containers,
    ephemeral_containers,
    every_container,
    init_containers,
    is_sidecar,
)

Pod = Mapping[str, Any]
Document = dict[str, Any]


class HostFacts(NamedTuple):
    """What a pod's status says about its node."""

    ip: str = ""


def timestamp(at: float) -> str:
    """RFC 3339 in UTC, whole seconds, as ``metav1.Time`` is written."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod_status(pod: Pod, seen: Observed, plan: Plan, now: float, host: HostFacts, describe: Describe) -> Document:
    """The status that the agent answers for. Conditions of others (``PodScheduled``) are not in it: they stay as they are."""
    old = pod.get("status") or {}
    ready_to_run = outcome.initialized(pod, seen)
    statuses = [
        container_status(pod, one, seen, plan, describe, waiting=_waiting_reason(pod, ready_to_run))
        for one in containers(pod)
    ]
    inits = [
        container_status(pod, one, seen, plan, describe, waiting="PodInitializing") for one in init_containers(pod)
    ]
    looking = [
        container_status(pod, one, seen, plan, describe, waiting="ContainerCreating")
        for one in ephemeral_containers(pod)
    ]
    phase, reason, message = _phase(pod, seen, plan, statuses, ready_to_run)
    status: Document = {"phase": phase, "startTime": timestamp(seen.start_time or now)}
    if "generation" in pod["metadata"]:
        status["observedGeneration"] = pod["metadata"]["generation"]
    if reason:
        status["reason"], status["message"] = reason, message
    if host.ip:
        status["hostIP"], status["hostIPs"] = host.ip, [{"ip": host.ip}]
    ip = _pod_ip(pod, seen, host, old)
    if ip:
        status["podIP"], status["podIPs"] = ip, [{"ip": ip}]
    if old.get("qosClass"):
        status["qosClass"] = old["qosClass"]
    if inits:
        status["initContainerStatuses"] = inits
    status["containerStatuses"] = statuses
    if looking:
        status["ephemeralContainerStatuses"] = looking
    status["conditions"] = _conditions(pod, seen, phase, statuses, inits, ready_to_run, now)
    return status


def _waiting_reason(pod: Pod, ready_to_run: bool) -> str:
    return "PodInitializing" if init_containers(pod) and not ready_to_run else "ContainerCreating"


def _pod_ip(pod: Pod, seen: Observed, host: HostFacts, old: Mapping[str, Any]) -> str:
    if pod["spec"].get("hostNetwork"):
        return host.ip if seen.sandboxes else ""
    sandbox = seen.sandbox()
    return sandbox.container.ip if sandbox else str(old.get("podIP") or "")


def _phase(
    pod: Pod, seen: Observed, plan: Plan, statuses: Sequence[Document], ready_to_run: bool
) -> tuple[str, str, str]:
    """(phase, reason, message). A phase that is final stays, with its reason."""
    old = pod.get("status") or {}
    if old.get("phase") in ("Succeeded", "Failed"):
        return str(old["phase"]), str(old.get("reason") or ""), str(old.get("message") or "")
    if plan.failed is not None:
        return "Failed", *plan.failed
    done = outcome.settled(pod, seen)
    if done:
        return done, "", ""
    begun = any(_has_run(status) for status in statuses)
    if not ready_to_run or not begun or not all(_has_run(status) for status in statuses):
        return ("Running", "", "") if old.get("phase") == "Running" else ("Pending", "", "")
    return "Running", "", ""


def _has_run(status: Mapping[str, Any]) -> bool:
    """Whether a container has been started at least once."""
    state = status["state"]
    return "running" in state or "terminated" in state or bool(status.get("lastState"))


def _conditions(
    pod: Pod,
    seen: Observed,
    phase: str,
    statuses: Sequence[Document],
    inits: Sequence[Document],
    ready_to_run: bool,
    now: float,
) -> list[Document]:
    done = phase == "Succeeded"
    sandbox = seen.sandbox() is not None
    unready = [one["name"] for one in statuses if not one["ready"]]
    sidecars = {one["name"] for one in init_containers(pod) if is_sidecar(one)}
    unready = [one["name"] for one in inits if one["name"] in sidecars and not one["ready"]] + unready
    not_ready = ("ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    if phase == "Failed":
        not_ready = ("PodFailed", "")
    completed = ("PodCompleted", "")
    pending = [one["name"] for one in inits if not one["ready"]]
    incomplete = ("ContainersNotInitialized", f"containers with incomplete status: [{' '.join(pending)}]")
    fine = ("", "")
    ready = completed if done else (not_ready if unready or phase == "Failed" else fine)
    initialized = done or ready_to_run
    gate = _gate(pod) if ready == fine else None
    wanted = [
        ("PodReadyToStartContainers", sandbox, fine),
        ("Initialized", initialized, completed if done and inits else (fine if initialized else incomplete)),
        ("ContainersReady", ready == fine, ready),
        ("Ready", ready == fine and gate is None, gate or ready),
    ]
    wanted += [(name, True, why) for name, why in _resizing(pod, seen)]
    if seen.verdict is not None and seen.verdict.reason == "Evicted":
        wanted.append(("DisruptionTarget", True, ("TerminationByKubelet", seen.verdict.message)))
    old = {one["type"]: one for one in (pod.get("status") or {}).get("conditions") or ()}
    return [_condition(pod, old.get(name), name, holds, why, now) for name, holds, why in wanted]


def _resizing(pod: Pod, seen: Observed) -> list[tuple[str, tuple[str, str]]]:
    """The conditions of a resize on its way (KEP-1287); there are none when all is as asked."""
    found: list[tuple[str, tuple[str, str]]] = []
    if seen.pending is not None:
        found.append(("PodResizePending", seen.pending))
    failures = [seen.failures.get(f"resize {one['name']}") for one in every_container(pod)]
    failed = next((one for one in failures if one is not None), None)
    changing = any(
        (last := seen.last(one["name"])) is not None
        and last.running
        and resizing.change(one, last.container.limits) is not None
        for one in every_container(pod)
    )
    if failed is not None:
        found.append(("PodResizeInProgress", (failed.reason, failed.message)))
    elif changing:
        found.append(("PodResizeInProgress", ("", "")))
    return found


def _gate(pod: Pod) -> tuple[str, str] | None:
    """The first of ``spec.readinessGates`` that does not hold (KEP-580)."""
    held = {one["type"]: one.get("status") for one in (pod.get("status") or {}).get("conditions") or ()}
    for gate in pod["spec"].get("readinessGates") or ():
        name = gate["conditionType"]
        if held.get(name) != "True":
            problem = "does not exist" if name not in held else f'is not "True", but "{held[name]}"'
            return "ReadinessGatesNotReady", f'the status of pod readiness gate "{name}" {problem}'
    return None


def _condition(
    pod: Pod, old: Mapping[str, Any] | None, name: str, holds: bool, why: tuple[str, str], now: float
) -> Document:
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
