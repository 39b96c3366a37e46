"""How fast nodes may lose their pods, zone by zone: many silent nodes at once are more likely our own deafness than their death.

Source: ``node_lifecycle_controller.go`` (``handleDisruption``, ``ComputeZoneState``, ``ReducedQPSFunc``) and the defaults of
kube-controller-manager: ``unhealthy-zone-threshold`` 0.55, ``large-cluster-size-threshold`` 50, ``secondary-node-eviction-rate``
(a tenth of the usual).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from enum import StrEnum

from moorage.client.objects import Document

REGION, ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
UNHEALTHY_SHARE = 0.55
FEW_UNHEALTHY = 2
LARGE_ZONE = 50
SLOWER = 10.0


class State(StrEnum):
    """How a zone is."""

    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


def zone_of(node: Document) -> tuple[str, str]:
    """(region, zone) of a node; nodes without labels are one zone."""
    labels = node["metadata"].get("labels") or {}
    return labels.get(REGION, ""), labels.get(ZONE, "")


def state_of(ready: int, unready: int) -> State:
    """A zone's state from how many of its nodes are ready and not."""
    if not ready and unready:
        return State.FULL
    if unready > FEW_UNHEALTHY and unready / (ready + unready) >= UNHEALTHY_SHARE:
        return State.PARTIAL
    return State.NORMAL


def states(ready: Iterable[tuple[Document, bool]]) -> Mapping[tuple[str, str], tuple[State, int]]:
    """(state, number of nodes) by zone; ``ready`` is each node with whether it is."""
    counts: dict[tuple[str, str], list[int]] = {}
    for node, well in ready:
        counts.setdefault(zone_of(node), [0, 0])[0 if well else 1] += 1
    return {zone: (state_of(*count), sum(count)) for zone, count in counts.items()}


def pause(state: State, size: int, usual: float) -> float:
    """Seconds between two nodes of a zone that begin to lose their pods; infinite where none may."""
    if state is State.PARTIAL:
        return usual * SLOWER if size > LARGE_ZONE else math.inf
    return usual
