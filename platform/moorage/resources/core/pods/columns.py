"""What ``kubectl get pods`` shows. Source: "Pod Lifecycle" and the behaviour of the API server's printer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moorage.resources import timestamps
from moorage.resources.core.pods.amounts import is_sidecar
from moorage.resources.core.pods.state import condition, is_finished, is_ready
from moorage.resources.kind import Column, Document
from moorage.resources.printing import AGE, NAME, NONE, at, text


@dataclass(slots=True)
class Summary:
    """The aggregate of a pod's containers: ``ready`` of ``total``, ``reason`` as the Status column, restarts and the last one."""

    total: int = 0
    ready: int = 0
    reason: str = ""
    restarts: int = 0
    last_restart: str = ""


def _exit_text(terminated: Mapping[str, Any]) -> str:
    if reason := terminated.get("reason"):
        return str(reason)
    if signal := terminated.get("signal"):
        return f"Signal:{signal}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _note_restarts(summary: Summary, status: Mapping[str, Any]) -> None:
    summary.restarts += status.get("restartCount", 0)
    summary.last_restart = max(summary.last_restart, at(status, "lastState.terminated.finishedAt"))


def _walk_init(pod: Document, summary: Summary, sidecars: Summary) -> bool:
    """Count init containers; returns whether they still hold the pod up."""
    declared = {each.get("name"): each for each in at(pod, "spec.initContainers", ())}
    for index, status in enumerate(at(pod, "status.initContainerStatuses", ())):
        _note_restarts(summary, status)
        sidecar = is_sidecar(declared.get(status.get("name"), {}))
        if sidecar:
            _note_restarts(sidecars, status)
        state = status.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated is not None and terminated.get("exitCode", 0) == 0:
            continue
        if sidecar and status.get("started"):
            summary.ready += bool(status.get("ready"))
            continue
        if terminated is not None:
            summary.reason = "Init:" + _exit_text(terminated)
        elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
            summary.reason = "Init:" + waiting["reason"]
        else:
            summary.reason = f"Init:{index}/{len(declared)}"
        return True
    return False


def _walk_containers(pod: Document, summary: Summary) -> None:
    running = False
    for status in reversed(at(pod, "status.containerStatuses", ())):
        _note_restarts(summary, status)
        state = status.get("state") or {}
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            summary.reason = waiting["reason"]
        elif terminated is not None:
            summary.reason = _exit_text(terminated)
        elif status.get("ready") and state.get("running") is not None:
            running = True
            summary.ready += 1
    if summary.reason == "Completed" and running:
        summary.reason = "Running" if is_ready(pod) else "NotReady"


def summarise(pod: Document) -> Summary:
    """Ready, Status and Restarts of a pod, from its spec and status."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    summary, sidecars = Summary(), Summary()
    summary.reason = status.get("reason") or status.get("phase", "")
    if condition(pod, "PodScheduled").get("reason") == "SchedulingGated":
        summary.reason = "SchedulingGated"
    summary.total = len(spec.get("containers", ())) + sum(map(is_sidecar, spec.get("initContainers", ())))
    initializing = _walk_init(pod, summary, sidecars)
    if not initializing or condition(pod, "Initialized").get("status") == "True":
        summary.restarts, summary.last_restart = sidecars.restarts, sidecars.last_restart
        _walk_containers(pod, summary)
    if condition(pod, "AllContainersRestarting").get("status") == "True":
        summary.reason = "RestartingAllContainers"
    if at(pod, "metadata.deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            summary.reason = "Unknown"
        elif not is_finished(pod):
            summary.reason = "Terminating"
    return summary


def _ready(pod: Document, _now: float) -> Any:
    summary = summarise(pod)
    return f"{summary.ready}/{summary.total}"


def _status(pod: Document, _now: float) -> Any:
    return summarise(pod).reason


def _restarts(pod: Document, now: float) -> Any:
    summary = summarise(pod)
    if summary.restarts and summary.last_restart:
        return f"{summary.restarts} ({timestamps.age(summary.last_restart, now)} ago)"
    return str(summary.restarts)


def _ip(pod: Document, _now: float) -> Any:
    addresses = at(pod, "status.podIPs", ())
    return (addresses[0].get("ip") if addresses else at(pod, "status.podIP")) or NONE


def _gates(pod: Document, _now: float) -> Any:
    gates = at(pod, "spec.readinessGates", ())
    if not gates:
        return NONE
    true = sum(condition(pod, gate.get("conditionType", "")).get("status") == "True" for gate in gates)
    return f"{true}/{len(gates)}"


COLUMNS = (
    NAME,
    Column("Ready", _ready, description="The aggregate readiness state of this pod for accepting traffic."),
    Column("Status", _status, description="The aggregate status of the containers in this pod."),
    Column(
        "Restarts",
        _restarts,
        description="The number of times the containers in this pod have been restarted and when the last container in "
        "this pod has restarted.",
    ),
    AGE,
    Column("IP", _ip, priority=1, description="IP address allocated to the pod."),
    Column("Node", text("spec.nodeName", NONE), priority=1, description="The node that the pod runs on."),
    Column(
        "Nominated Node",
        text("status.nominatedNodeName", NONE),
        priority=1,
        description="The node that room is being made on for this pod.",
    ),
    Column("Readiness Gates", _gates, priority=1, description="How many of the pod's readiness gates are open."),
)
