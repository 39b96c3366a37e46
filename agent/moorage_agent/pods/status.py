"""The status of a pod as ``kubectl`` shows it. Pure: pod, observation and plan in, ``status`` out.

Source: API reference, PodStatus; Pod Lifecycle; the kubelet's reasons and messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from moorage_agent.pods import outcome
from moorage_agent.pods.actions import Plan
from moorage_agent.pods.conditions import pod_conditions, timestamp
from moorage_agent.pods.container_status import Describe, conclude, container_status
from moorage_agent.pods.observed import (
    END,
    POD,
    VOLUMES,
    Observed,
    containers,
    ephemeral_containers,
    init_containers,
)

Pod = Mapping[str, Any]
Document = dict[str, Any]

FINAL = ("Succeeded", "Failed")


class HostFacts(NamedTuple):
    """What a pod's status says about its node."""

    ip: str = ""


def pod_status(pod: Pod, seen: Observed, plan: Plan, now: float, host: HostFacts, describe: Describe) -> Document:
    """The status that the agent answers for. Conditions of others are not in it: they stay as they are."""
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
    if phase in FINAL and not seen.running():
        conclude(statuses, inits)
    refused = seen.verdict is not None and seen.verdict.refused
    if not refused and (old.get("phase") not in FINAL or old.get("containerStatuses")):
        _add(status, statuses, inits, looking)
    status["conditions"] = pod_conditions(pod, seen, phase, statuses, inits, now, initialized=ready_to_run)
    return status


def _add(status: Document, statuses: list[Document], inits: list[Document], looking: list[Document]) -> None:
    """The entries of containers: regular ones by name, as the kubelet sorts them, others in the spec's order."""
    if inits:
        status["initContainerStatuses"] = inits
    status["containerStatuses"] = sorted(statuses, key=lambda entry: str(entry["name"]))
    if looking:
        status["ephemeralContainerStatuses"] = looking


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
    """(phase, reason, message). A phase that is final stays, with its reason, and none is final while anything still runs: what
    waits for a pod's end (a Job, whoever wants its devices or volumes) may rely on it.
    """
    old = pod.get("status") or {}
    if old.get("phase") in FINAL:
        return str(old["phase"]), str(old.get("reason") or ""), str(old.get("message") or "")
    if not _may_run(seen):
        if plan.failed is not None:
            return "Failed", *plan.failed
        done = outcome.settled(pod, seen)
        if done:
            return done, "", ""
        if seen.termination is not None:
            return _end_of(statuses), "", ""
    begun = any(_has_run(status) for status in statuses)
    if not ready_to_run or not begun or not all(_has_run(status) for status in statuses):
        return ("Running", "", "") if old.get("phase") == "Running" else ("Pending", "", "")
    return "Running", "", ""


def _may_run(seen: Observed) -> bool:
    """Whether a container runs, or something is under way with one."""
    return bool(seen.running()) or any(name not in (POD, VOLUMES, END) for name in seen.busy)


def _end_of(statuses: Sequence[Document]) -> str:
    """The phase that a deleted pod ends in (KEP-3329): what was never seen to succeed has failed."""
    codes = [(status["state"].get("terminated") or {}).get("exitCode") for status in statuses]
    return "Succeeded" if codes and all(code == 0 for code in codes) else "Failed"


def _has_run(status: Mapping[str, Any]) -> bool:
    """Whether a container has been started at least once."""
    state = status["state"]
    return "running" in state or "terminated" in state or bool(status.get("lastState"))
