"""What a new pod starts with: its first status, and what Kubernetes' standard admission adds.

Source: "Taint based Evictions" (the two tolerations), "Pod Priority and Preemption", "Service Accounts".
"""

from __future__ import annotations

from typing import Any

from moorage.resources.core.pods.amounts import qos_class
from moorage.resources.kind import Document

MIRROR = "kubernetes.io/config.mirror"
"""Annotation of a pod that only shows what a node runs from a file of its own."""
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
TOLERATION_SECONDS = 300
_PRIORITIES = {"": 0, "system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def _tolerates(tolerations: list[dict[str, Any]], key: str) -> bool:
    return any(each.get("key", "") in ("", key) and each.get("effect", "") in ("", "NoExecute") for each in tolerations)


def _add_tolerations(spec: dict[str, Any]) -> None:
    tolerations = spec.get("tolerations", [])
    missing = [key for key in (NOT_READY, UNREACHABLE) if not _tolerates(tolerations, key)]
    if missing:
        added = [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS}
            for key in missing
        ]
        spec["tolerations"] = [*tolerations, *added]


def prepare_create(pod: Document) -> None:
    """Give a new pod its first status, its default tolerations, priority and service account.

    The mirror of a static pod runs as no account: its node runs it without asking the cluster for anything.
    """
    spec = pod["spec"]
    _add_tolerations(spec)
    if "serviceAccountName" not in spec and MIRROR not in (pod["metadata"].get("annotations") or {}):
        spec["serviceAccountName"] = spec["serviceAccount"] = "default"
    priority = _PRIORITIES.get(spec.get("priorityClassName", ""))
    if priority is not None:
        spec["priority"] = priority
        spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    status: dict[str, Any] = {"phase": "Pending", "qosClass": qos_class(pod)}
    if spec.get("schedulingGates"):
        blocked = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
        status["conditions"] = [{**blocked, "message": "Scheduling is blocked due to non-empty scheduling gates"}]
    pod["status"] = status
