"""What a node's silence means.

Source: Kubernetes' ``node_lifecycle_controller.go`` (``tryUpdateNodeHealth``). Silence is measured from when *we* last saw
the node's Lease or status change, on our own clock: the node's clock may be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moorage.client.objects import Document, condition, timestamp

CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(frozen=True, slots=True)
class Seen:
    """The last sign of life of a node: what it was, and when we saw it (seconds of a steady clock)."""

    sign: tuple[Any, ...]
    at: float


def sign_of_life(node: Document, lease: Document | None) -> tuple[Any, ...]:
    """What changes whenever the node lives: the Lease's renewal and the heartbeat of its Ready condition."""
    renewed = (lease.get("spec") or {}).get("renewTime") if lease else None
    ready = condition(node, "Ready")
    heartbeat = ready.get("lastHeartbeatTime") if ready else None
    return (node["metadata"].get("uid"), renewed, heartbeat)


def seen(before: Seen | None, sign: tuple[Any, ...], now: float) -> Seen:
    """``before``, or a new sighting where the sign changed."""
    return before if before is not None and before.sign == sign else Seen(sign, now)


def silent_conditions(node: Document, now: float) -> list[Document] | None:
    """``status.conditions`` with all that the node reports turned to Unknown; None where they say so already."""
    standing: list[Document] = list((node.get("status") or {}).get("conditions") or [])
    known = {entry.get("type"): entry for entry in standing}
    changed = False
    for kind in CONDITIONS:
        entry = known.get(kind)
        if entry is None:
            standing.append(_never(kind, node, now))
            changed = True
        elif entry.get("status") != "Unknown":
            unknown = {
                **entry,
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": timestamp(now),
            }
            standing = [unknown if each is entry else each for each in standing]
            changed = True
    return standing if changed else None


def is_ready(node: Document) -> bool:
    """Whether the Ready condition is True."""
    ready = condition(node, "Ready")
    return ready is not None and ready.get("status") == "True"


def _never(kind: str, node: Document, now: float) -> Document:
    return {
        "type": kind,
        "status": "Unknown",
        "reason": "NodeStatusNeverUpdated",
        "message": "Kubelet never posted node status.",
        "lastHeartbeatTime": node["metadata"].get("creationTimestamp"),
        "lastTransitionTime": timestamp(now),
    }
