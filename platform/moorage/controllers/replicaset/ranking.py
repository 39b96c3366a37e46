"""Which pods go first when there are too many.

Source: Kubernetes' ``ActivePodsWithRanks`` (controller_utils.go): unassigned before assigned, pending before running, not
ready before ready, cheap before dear (KEP-2255), crowded nodes before others, young before old on a logarithmic scale
(KEP-2185), restarted often before seldom.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from moorage.client.objects import Document, is_deleting, seconds_of
from moorage.controllers.pods import is_active, is_ready, node_name, phase, ready_since, restarts

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def to_delete(pods: Sequence[Document], count: int, related: Iterable[Document], now: float) -> list[Document]:
    """The ``count`` pods that are missed least. ``related`` are all pods of the same application: where several share a
    node, those go first.
    """
    if count <= 0:
        return []
    if count >= len(pods):
        return list(pods)
    crowd = Counter(node_name(pod) for pod in related if is_active(pod) and node_name(pod))
    return sorted(pods, key=lambda pod: _rank(pod, crowd, now))[:count]


def _rank(pod: Document, crowd: Counter[str], now: float) -> tuple[Any, ...]:
    node = node_name(pod)
    ready = is_ready(pod)
    created = seconds_of(pod["metadata"].get("creationTimestamp"))
    return (
        bool(node),
        not is_deleting(pod),
        _PHASES.get(phase(pod), 1),
        ready,
        _cost(pod),
        -crowd[node],
        _age_bucket(ready_since(pod), now) if ready else 0,
        -restarts(pod),
        _age_bucket(created, now),
        str(pod["metadata"].get("uid") or ""),
    )


def _cost(pod: Document) -> int:
    text = (pod["metadata"].get("annotations") or {}).get(DELETION_COST, "0")
    try:
        return int(text)
    except ValueError:
        return 0


def _age_bucket(since: float | None, now: float) -> int:
    """Ages on a logarithmic scale, so that not always exactly the youngest goes; -1 for an unknown time."""
    if since is None:
        return -1
    return int(math.log2(max(now - since, 1.0)))
