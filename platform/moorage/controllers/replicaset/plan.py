"""What a ReplicaSet needs done: pods to make, pods to delete, and its status."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from moorage.client.objects import Document, controller_reference, is_deleting, timestamp
from moorage.controllers.pods import available_in, is_active, is_ready
from moorage.controllers.replicaset.ranking import to_delete

BURST = 500
"""The most pods that one look at a ReplicaSet makes or deletes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``create`` pods of the template, and ``delete`` these. One of both is empty."""

    create: int
    delete: Sequence[Document]


def plan(replica_set: Document, active: Sequence[Document], related: Iterable[Document], now: float) -> Plan:
    """Compare the wanted number with the ``active`` pods. A ReplicaSet that is being deleted wants no change."""
    if is_deleting(replica_set):
        return Plan(0, ())
    missing = wanted(replica_set) - len(active)
    if missing >= 0:
        return Plan(min(missing, BURST), ())
    return Plan(0, to_delete(active, min(-missing, BURST), related, now))


def wanted(replica_set: Document) -> int:
    """``spec.replicas``, 1 where it is not said."""
    replicas = replica_set["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def slow_start(total: int) -> Iterator[int]:
    """Sizes of the batches in which pods are made: 1, 2, 4, ... so that a template that no pod can be made of (quota, say)
    costs one refused request, not hundreds.
    """
    size = 1
    while total > 0:
        yield min(size, total)
        total -= size
        size *= 2


def pod_from(replica_set: Document) -> Document:
    """A pod of the template, owned by ``replica_set``."""
    template = replica_set["spec"]["template"]
    metadata = copy.deepcopy(template.get("metadata") or {})
    pod_metadata: Document = {
        "namespace": replica_set["metadata"]["namespace"],
        "generateName": f"{replica_set['metadata']['name']}-",
        "ownerReferences": [controller_reference(replica_set)],
    }
    for field in ("labels", "annotations", "finalizers"):
        if metadata.get(field):
            pod_metadata[field] = metadata[field]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": pod_metadata, "spec": copy.deepcopy(template["spec"])}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last look could not do all. ``reason`` is FailedCreate or FailedDelete."""

    reason: str
    message: str


def status(
    replica_set: Document, pods: Sequence[Document], failure: Failure | None, now: float
) -> tuple[Document, float | None]:
    """The status that follows from all ``pods`` of the ReplicaSet (inactive ones too), and in how many seconds it changes by
    time alone (``minReadySeconds``), or None.
    """
    spec = replica_set["spec"]
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    active = [pod for pod in pods if is_active(pod)]
    times = [available_in(pod, int(spec.get("minReadySeconds") or 0), now) for pod in active]
    counts = {
        "fullyLabeledReplicas": sum(labels.items() <= (pod["metadata"].get("labels") or {}).items() for pod in active),
        "readyReplicas": sum(is_ready(pod) for pod in active),
        "availableReplicas": sum(time == 0 for time in times),
        "terminatingReplicas": sum(is_deleting(pod) for pod in pods),
        "observedGeneration": replica_set["metadata"].get("generation") or 0,
    }
    result: Document = {"replicas": len(active), **{name: count for name, count in counts.items() if count}}
    conditions = _conditions(replica_set, failure, now)
    if conditions:
        result["conditions"] = conditions
    return result, min((time for time in times if time), default=None)


def _conditions(replica_set: Document, failure: Failure | None, now: float) -> list[Document]:
    """A ReplicaFailure condition for as long as a failure lasts; one that stands is left as it is."""
    old = (replica_set.get("status") or {}).get("conditions") or []
    others = [entry for entry in old if entry.get("type") != "ReplicaFailure"]
    if failure is None:
        return others
    standing = [entry for entry in old if entry.get("type") == "ReplicaFailure"]
    if standing:
        return list(old)
    entry = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": failure.reason,
        "message": failure.message,
        "lastTransitionTime": timestamp(now),
    }
    return [*others, entry]
