"""The taints that a node's conditions call for.

Source: Kubernetes' well-known taints; ``node_lifecycle_controller.go`` (``doNoScheduleTaintingPass``,
``doNoExecuteTaintingPass``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moorage.client.objects import Document, condition, timestamp

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_BY_CONDITION = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
}
_OURS = frozenset({*_BY_CONDITION.values(), UNSCHEDULABLE})


def silence_taint(node: Document) -> str | None:
    """The taint of a node that is not ready; None where it is ready or has not said anything yet."""
    ready = condition(node, "Ready")
    return _BY_CONDITION.get(("Ready", str(ready.get("status")))) if ready else None


def wanted_taints(node: Document, *, evict: bool, now: float) -> list[Document] | None:
    """``spec.taints`` as they should be, others' taints untouched; None where they are so. ``evict``: a node that is not
    ready may lose its pods (NoExecute).
    """
    present: Sequence[Document] = (node.get("spec") or {}).get("taints") or ()
    wanted = [(key, "NoSchedule") for key in _no_schedule(node)]
    silence = silence_taint(node)
    if silence and (evict or any(_is(taint, silence, "NoExecute") for taint in present)):
        wanted.append((silence, "NoExecute"))
    kept = [
        taint
        for taint in present
        if taint.get("key") not in _OURS
        or taint.get("effect") not in ("NoSchedule", "NoExecute")
        or (taint["key"], taint["effect"]) in wanted
        or (taint["key"] == NOT_READY and condition(node, "Ready") is None)
    ]
    have = {(taint.get("key"), taint.get("effect")) for taint in kept}
    missing = [pair for pair in wanted if pair not in have]
    if not missing and len(kept) == len(present):
        return None
    return kept + [_taint(key, effect, now) for key, effect in missing]


def _no_schedule(node: Document) -> list[str]:
    keys = []
    for entry in (node.get("status") or {}).get("conditions") or ():
        key = _BY_CONDITION.get((str(entry.get("type")), str(entry.get("status"))))
        if key:
            keys.append(key)
    if (node.get("spec") or {}).get("unschedulable"):
        keys.append(UNSCHEDULABLE)
    return keys


def without_eviction(node: Document) -> list[Document] | None:
    """``spec.taints`` without our NoExecute taints; None where there are none."""
    present: list[Document] = (node.get("spec") or {}).get("taints") or []
    kept = [each for each in present if each.get("effect") != "NoExecute" or each.get("key") not in _OURS]
    return kept if len(kept) != len(present) else None


def _is(taint: Document, key: str, effect: str) -> bool:
    return taint.get("key") == key and taint.get("effect") == effect


def _taint(key: str, effect: str, now: float) -> dict[str, Any]:
    return {"key": key, "effect": effect, "timeAdded": timestamp(now)}
