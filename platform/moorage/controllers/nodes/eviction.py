"""When a pod must leave a tainted node.

Source: Kubernetes' ``tainteviction`` controller and "Taints and Tolerations": a NoExecute taint that no toleration matches
ends the pod now, one that is tolerated for a time ends it then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.client.objects import Document, seconds_of
from moorage.controllers.nodes.taints import NOT_READY, UNREACHABLE


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether ``toleration`` matches ``taint``."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    key = toleration.get("key") or ""
    if key and key != taint.get("key"):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(key) and (toleration.get("value") or "") == (taint.get("value") or "")


def leave_at(pod: Document, taints: Sequence[Document], since: float, cap: float | None = None) -> float | None:
    """When the pod must go (seconds since the epoch), ``since`` for at once, None for never. ``since`` is when the taints that
    do not tell were first seen: nothing else writes ``timeAdded`` than who taints. ``cap`` shortens the toleration of nodes that
    are silent or not ready, where it is not for ever.
    """
    times = [_leave_for(pod, taint, since, cap) for taint in taints if taint.get("effect") == "NoExecute"]
    return min((time for time in times if time is not None), default=None)


def _leave_for(pod: Document, taint: Document, since: float, cap: float | None) -> float | None:
    matching = [each for each in (pod.get("spec") or {}).get("tolerations") or () if tolerates(each, taint)]
    if not matching:
        return since
    limits = [int(each["tolerationSeconds"]) for each in matching if each.get("tolerationSeconds") is not None]
    if not limits:
        return None
    patience = float(max(0, min(limits)))
    if cap is not None and taint.get("key") in (NOT_READY, UNREACHABLE):
        patience = min(patience, cap)
    added = seconds_of(taint.get("timeAdded"))
    return (since if added is None else added) + patience
