"""Questions about a pod's state that controllers, scheduler, agent and GitOps ask alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import timestamps
from moorage.resources.kind import Document


def condition(pod: Document, kind: str) -> Mapping[str, Any]:
    """The pod's condition of a type (``Ready``), or an empty mapping where it has none."""
    for each in (pod.get("status") or {}).get("conditions") or ():
        if each.get("type") == kind:
            found: Mapping[str, Any] = each
            return found
    return {}


def is_ready(pod: Document) -> bool:
    """Whether it may get traffic."""
    return condition(pod, "Ready").get("status") == "True"


def is_available(pod: Document, min_ready_seconds: int, now: float) -> bool:
    """Whether it has been ready for ``min_ready_seconds`` at ``now`` (seconds since the epoch)."""
    ready = condition(pod, "Ready")
    if ready.get("status") != "True":
        return False
    since = ready.get("lastTransitionTime")
    return min_ready_seconds == 0 or bool(since and timestamps.seconds(since) + min_ready_seconds <= now)


def is_finished(pod: Document) -> bool:
    """Whether its containers have ended for good."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_active(pod: Document) -> bool:
    """Whether it counts as a replica: neither finished nor being deleted."""
    return not is_finished(pod) and not (pod.get("metadata") or {}).get("deletionTimestamp")
