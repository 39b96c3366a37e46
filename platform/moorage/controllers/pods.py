"""Questions about pods that several controllers ask. Source: Kubernetes' ``pkg/api/v1/pod`` and ``controller_utils.go``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moorage.client.informer import Informer
from moorage.client.objects import Document, condition, controller_of, is_deleting, seconds_of

FINISHED = frozenset({"Succeeded", "Failed"})


def phase(pod: Document) -> str:
    """``status.phase``; a pod without one is Pending."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_active(pod: Document) -> bool:
    """Neither finished nor going away: counts towards the replicas of its owner."""
    return phase(pod) not in FINISHED and not is_deleting(pod)


def is_ready(pod: Document) -> bool:
    """Whether the Ready condition is True."""
    ready = condition(pod, "Ready")
    return ready is not None and ready.get("status") == "True"


def ready_since(pod: Document) -> float | None:
    """When the pod became ready (seconds since the epoch); None where it is not ready or does not say."""
    ready = condition(pod, "Ready")
    if ready is None or ready.get("status") != "True":
        return None
    return seconds_of(ready.get("lastTransitionTime"))


def available_in(pod: Document, min_ready: int, now: float) -> float | None:
    """Seconds until the pod counts as available: 0 where it does, None where it is not ready."""
    if not is_ready(pod):
        return None
    if not min_ready:
        return 0.0
    since = ready_since(pod)
    return None if since is None else max(0.0, since + min_ready - now)


def node_name(pod: Document) -> str:
    """The node that the pod is bound to, or ""."""
    return str((pod.get("spec") or {}).get("nodeName") or "")


def restarts(pod: Document) -> int:
    """The highest restart count of its containers."""
    statuses: Iterable[dict[str, Any]] = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((int(each.get("restartCount") or 0) for each in statuses), default=0)


OWNER_INDEX = "controller uid"
ORPHAN_INDEX = "namespace without controller"
NODE_INDEX = "node"


def controller_uid(document: Document) -> Iterable[str]:
    """Index: the uid of the controlling owner."""
    owner = controller_of(document)
    return (owner["uid"],) if owner else ()


def orphan_namespace(document: Document) -> Iterable[str]:
    """Index: the namespace, of objects without a controller."""
    return () if controller_of(document) else (document["metadata"].get("namespace") or "",)


def index_owners(informer: Informer) -> None:
    """Make objects findable by their controller, and those without one by their namespace."""
    informer.add_index(OWNER_INDEX, controller_uid)
    informer.add_index(ORPHAN_INDEX, orphan_namespace)


def index_nodes(informer: Informer) -> None:
    """Make pods findable by their node."""
    informer.add_index(NODE_INDEX, lambda pod: (node_name(pod),) if node_name(pod) else ())
