"""Status and conditions of a Deployment, in Kubernetes' reasons and sentences: ``kubectl rollout status`` reads them.

Source: Kubernetes' ``sync.go`` (``calculateStatus``), ``progress.go``, ``deployment_util.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moorage.client.objects import Document, condition, seconds_of, timestamp, with_condition
from moorage.controllers.deployment.view import DeploymentView, ReplicaSetView, total

NEW_CREATED = "NewReplicaSetCreated"
NEW_FOUND = "FoundNewReplicaSet"
NEW_AVAILABLE = "NewReplicaSetAvailable"
UPDATED = "ReplicaSetUpdated"
TIMED_OUT = "ProgressDeadlineExceeded"
CREATE_FAILED = "ReplicaSetCreateError"
PAUSED = "DeploymentPaused"
RESUMED = "DeploymentResumed"


def calculate(
    deployment: DeploymentView,
    new: ReplicaSetView | None,
    sets: Sequence[ReplicaSetView],
    conditions: Iterable[Document],
    now: float,
) -> Document:
    """Counts over ``sets`` (all, the new one too) and the Available condition; ``conditions`` are those to carry on."""
    available = sum(each.available for each in sets)
    counts = {
        "observedGeneration": int(deployment.document["metadata"].get("generation") or 0),
        "replicas": sum(each.reported for each in sets),
        "updatedReplicas": new.reported if new else 0,
        "readyReplicas": sum(each.ready for each in sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total(sets) - available),
        "terminatingReplicas": sum(each.terminating for each in sets),
        "collisionCount": int(deployment.status.get("collisionCount") or 0),
    }
    enough = available >= deployment.replicas - deployment.max_unavailable
    entry = make(
        "Available",
        "True" if enough else "False",
        "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        "Deployment has minimum availability." if enough else "Deployment does not have minimum availability.",
        now,
    )
    status: Document = {name: count for name, count in counts.items() if count}
    status["conditions"] = replaced(conditions, entry)
    return status


def make(kind: str, status: str, reason: str, message: str, now: float) -> Document:
    """A condition that changed now."""
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": timestamp(now),
        "lastTransitionTime": timestamp(now),
        "reason": reason,
        "message": message,
    }


def replaced(conditions: Iterable[Document], entry: Document) -> list[Document]:
    """``conditions`` with ``entry``, unless one with the same status and reason stands; the transition time stays where the
    status does.
    """
    standing = list(conditions)
    old = next((each for each in standing if each.get("type") == entry["type"]), None)
    if old is not None and old.get("status") == entry["status"] and old.get("reason") == entry["reason"]:
        return standing
    if old is not None and old.get("status") == entry["status"]:
        entry = {**entry, "lastTransitionTime": old.get("lastTransitionTime")}
    return with_condition(standing, entry)


def without(conditions: Iterable[Document], kind: str) -> list[Document]:
    """``conditions`` without those of a type."""
    return [each for each in conditions if each.get("type") != kind]


def is_complete(deployment: DeploymentView, status: Mapping[str, Any]) -> bool:
    """Whether all wanted pods are of the new template and available, and no others are left."""
    wanted = deployment.replicas
    counts = [int(status.get(name) or 0) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    generation = int(deployment.document["metadata"].get("generation") or 0)
    return counts == [wanted] * 3 and int(status.get("observedGeneration") or 0) >= generation


def with_progress(
    deployment: DeploymentView,
    new: ReplicaSetView | None,
    sets: Sequence[ReplicaSetView],
    status: Document,
    now: float,
) -> Document:
    """``status`` with the Progressing and ReplicaFailure conditions that follow from it."""
    conditions: list[Document] = status["conditions"]
    if deployment.deadline is None:
        conditions = without(conditions, "Progressing")
    else:
        conditions = _progress(deployment, new, status, conditions, now)
    failure = _failure(new, sets)
    conditions = replaced(conditions, failure) if failure else without(conditions, "ReplicaFailure")
    return {**status, "conditions": conditions}


def _progress(
    deployment: DeploymentView, new: ReplicaSetView | None, status: Document, conditions: list[Document], now: float
) -> list[Document]:
    current = condition({"status": {"conditions": conditions}}, "Progressing")
    settled = current is not None and current.get("reason") == NEW_AVAILABLE
    if settled and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return conditions
    what = f'ReplicaSet "{new.name}"' if new else f'Deployment "{deployment.name}"'
    if is_complete(deployment, status):
        entry = make("Progressing", "True", NEW_AVAILABLE, f"{what} has successfully progressed.", now)
        return replaced(conditions, entry)
    if _moved(deployment.status, status):
        entry = make("Progressing", "True", UPDATED, f"{what} is progressing.", now)
        if current is not None and current.get("status") == "True":
            entry["lastTransitionTime"] = current.get("lastTransitionTime")
        return with_condition(conditions, entry)
    if is_late(deployment, current, now):
        entry = make("Progressing", "False", TIMED_OUT, f"{what} has timed out progressing.", now)
        return replaced(conditions, entry)
    return conditions


def _moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether more pods are new, ready or available, or fewer are old, than before."""

    def count(status: Mapping[str, Any], name: str) -> int:
        return int(status.get(name) or 0)

    def outdated(status: Mapping[str, Any]) -> int:
        return count(status, "replicas") - count(status, "updatedReplicas")

    grew = any(
        count(new, name) > count(old, name) for name in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    return grew or outdated(new) < outdated(old)


def is_late(deployment: DeploymentView, progressing: Document | None, now: float) -> bool:
    """Whether nothing has moved for the progress deadline."""
    left = seconds_to_deadline(deployment, progressing, now)
    return left is not None and left <= 0


def seconds_to_deadline(deployment: DeploymentView, progressing: Document | None, now: float) -> float | None:
    """Seconds until the rollout counts as stuck; 0 or less where it does; None where no rollout is being timed."""
    if deployment.deadline is None or progressing is None or progressing.get("reason") == NEW_AVAILABLE:
        return None
    if progressing.get("reason") == TIMED_OUT:
        return 0.0
    since = seconds_of(progressing.get("lastUpdateTime")) or 0.0
    return since + deployment.deadline - now


def _failure(new: ReplicaSetView | None, sets: Sequence[ReplicaSetView]) -> Document | None:
    """The ReplicaFailure of the new ReplicaSet, or else of any."""
    for each in (*([new] if new else []), *sets):
        found = condition(each.document, "ReplicaFailure")
        if found is not None:
            return {**found, "lastUpdateTime": found.get("lastTransitionTime")}
    return None


def pause_condition(deployment: DeploymentView, now: float) -> Document | None:
    """The Progressing condition that says that the rollout was paused or resumed, where that is news."""
    current = deployment.progressing()
    if deployment.deadline is None or (current is not None and current.get("reason") == TIMED_OUT):
        return None
    noted = current is not None and current.get("reason") == PAUSED
    if deployment.paused and not noted:
        return make("Progressing", "Unknown", PAUSED, "Deployment is paused", now)
    if not deployment.paused and noted:
        return make("Progressing", "Unknown", RESUMED, "Deployment is resumed", now)
    return None
