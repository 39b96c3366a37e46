"""How an object fares, from the object alone. Pure; one rule per kind, Healthy for kinds without one.

Source of the rules: ``kubectl rollout status`` for workloads, the pod life cycle page for pods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

Document = Mapping[str, Any]


class Status(StrEnum):
    """From best to worst; the worst of an application's objects is the application's."""

    HEALTHY = "Healthy"
    SUSPENDED = "Suspended"
    UNKNOWN = "Unknown"
    PROGRESSING = "Progressing"
    MISSING = "Missing"
    DEGRADED = "Degraded"


RANK: Mapping[Status, int] = {status: rank for rank, status in enumerate(Status)}


class Health(NamedTuple):
    """``message`` says why, where there is more to say than the word."""

    status: Status
    message: str = ""


HEALTHY = Health(Status.HEALTHY)
_BROKEN_WAITING = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)


def health(document: Document) -> Health:
    """How the object fares."""
    if document["metadata"].get("deletionTimestamp"):
        return Health(Status.PROGRESSING, "is being deleted")
    group = str(document.get("apiVersion", "")).rpartition("/")[0]
    rule = _RULES.get((group, str(document.get("kind", ""))))
    return rule(document) if rule else HEALTHY


def _deployment(document: Document) -> Health:
    spec, status = document.get("spec") or {}, document.get("status") or {}
    if _unseen(document):
        return Health(Status.PROGRESSING, "waits for the controller")
    if spec.get("paused"):
        return Health(Status.SUSPENDED, "the rollout is paused")
    conditions = _conditions(status)
    progressing = conditions.get("Progressing", {})
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Health(Status.DEGRADED, str(progressing.get("message") or "the rollout exceeded its deadline"))
    failure = conditions.get("ReplicaFailure", {})
    if failure.get("status") == "True":
        return Health(Status.DEGRADED, str(failure.get("message") or "pods cannot be created"))
    wanted = _wanted(spec)
    updated, total, available = (
        int(status.get(name) or 0) for name in ("updatedReplicas", "replicas", "availableReplicas")
    )
    if updated < wanted:
        return Health(Status.PROGRESSING, f"{updated} of {wanted} new pods are made")
    if total > updated:
        return Health(Status.PROGRESSING, f"{total - updated} old pods are still there")
    if available < wanted:
        return Health(Status.PROGRESSING, f"{available} of {wanted} pods are available")
    return HEALTHY


def _replica_set(document: Document) -> Health:
    spec, status = document.get("spec") or {}, document.get("status") or {}
    if _unseen(document):
        return Health(Status.PROGRESSING, "waits for the controller")
    failure = _conditions(status).get("ReplicaFailure", {})
    if failure.get("status") == "True":
        return Health(Status.DEGRADED, str(failure.get("message") or "pods cannot be created"))
    wanted, available = _wanted(spec), int(status.get("availableReplicas") or 0)
    if available < wanted:
        return Health(Status.PROGRESSING, f"{available} of {wanted} pods are available")
    return HEALTHY


def _pod(document: Document) -> Health:
    status = document.get("status") or {}
    trouble = pod_trouble(document)
    if trouble:
        return Health(Status.DEGRADED, trouble)
    match status.get("phase"):
        case "Succeeded":
            return HEALTHY
        case "Failed":
            return Health(Status.DEGRADED, str(status.get("message") or status.get("reason") or "the pod failed"))
        case "Running":
            ready = _conditions(status).get("Ready", {}).get("status") == "True"
            return HEALTHY if ready else Health(Status.PROGRESSING, "is not ready")
        case _:
            scheduled = _conditions(status).get("PodScheduled", {})
            if scheduled.get("status") == "False":
                return Health(Status.PROGRESSING, str(scheduled.get("message") or "waits for a node"))
            return Health(Status.PROGRESSING, "starts")


def pod_trouble(pod: Document) -> str:
    """What a pod's containers wait for in vain (``main: ImagePullBackOff: ...``), or ""."""
    status = pod.get("status") or {}
    for part in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(part) or ():
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in _BROKEN_WAITING:
                detail = f": {waiting['message']}" if waiting.get("message") else ""
                return f"{container.get('name')}: {waiting['reason']}{detail}"
    return ""


def _service(document: Document) -> Health:
    spec, status = document.get("spec") or {}, document.get("status") or {}
    if spec.get("type") == "LoadBalancer" and not (status.get("loadBalancer") or {}).get("ingress"):
        return Health(Status.PROGRESSING, "waits for an address")
    return HEALTHY


def _application(document: Document) -> Health:
    found = (document.get("status") or {}).get("health") or {}
    if found.get("status") not in set(Status):
        return Health(Status.PROGRESSING, "nothing was pushed yet")
    return Health(Status(found["status"]), str(found.get("message") or ""))


def _unseen(document: Document) -> bool:
    generation = int(document["metadata"].get("generation") or 0)
    return int((document.get("status") or {}).get("observedGeneration") or 0) < generation


def _wanted(spec: Mapping[str, Any]) -> int:
    replicas = spec.get("replicas")
    return 1 if replicas is None else int(replicas)


def _conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(condition.get("type")): condition for condition in status.get("conditions") or ()}


_RULES: Mapping[tuple[str, str], Callable[[Document], Health]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("", "Pod"): _pod,
    ("", "Service"): _service,
    ("gitops.moorage.io", "Application"): _application,
}
