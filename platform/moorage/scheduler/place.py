"""Which node each pod goes to: a pure function of pods and nodes. Every placement counts for those that follow.

Source: Kubernetes' scheduling framework: filter, then score (0 to 100 each, weighted): NodeResourcesFit (LeastAllocated) 1,
NodeResourcesBalancedAllocation 1, NodeAffinity 2, TaintToleration 3, spreading over nodes and zones 2, pod affinity 2.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moorage.scheduler import topology
from moorage.scheduler.nodetable import CPU, MEMORY, PODS, NodeTable
from moorage.scheduler.podinfo import PodInfo, Profile
from moorage.scheduler.static import StaticVerdicts, Verdicts

Floats = NDArray[np.float64]

NO_PORTS = "node(s) didn't have free ports for the requested pod ports"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a pod goes; or, with ``node`` "", why it goes nowhere."""

    pod: PodInfo
    node: str
    message: str = ""


class Placer:
    """Places pods on the nodes of ``table``, and counts them there. ``rng`` breaks ties."""

    def __init__(
        self, table: NodeTable, rng: random.Random, namespaces: topology.NamespaceLabels | None = None
    ) -> None:
        self._table = table
        self._rng = rng
        self._namespaces: topology.NamespaceLabels = namespaces if namespaces is not None else {}
        self._static = StaticVerdicts(table)

    def place(self, pods: Sequence[PodInfo]) -> list[Placement]:
        """Place ``pods`` one after the other: those with the highest priority first, then the oldest."""
        ordered = sorted(pods, key=lambda pod: (-pod.priority, pod.created, pod.key))
        hopeless: dict[Profile, str] = {}
        result = []
        for pod in ordered:
            message = hopeless.get(pod.profile)
            placement = self._place(pod) if message is None else Placement(pod, "", message)
            if not placement.node and not pod.profile.topological:
                hopeless[pod.profile] = placement.message  # room only shrinks within one call
            result.append(placement)
        return result

    def _place(self, pod: PodInfo) -> Placement:
        table, profile = self._table, pod.profile
        verdicts = self._static.of(profile)
        columns, needs = table.needs(profile)
        room = table.allocatable[:, columns] - table.requested[:, columns]
        fits = verdicts.fits & (room >= needs).all(axis=1)
        refusals: list[tuple[str, topology.Mask]] = []
        if profile.ports:
            refusals.append((NO_PORTS, self._port_clashes(profile)))
        if profile.topological or table.anti_affine:
            refusals += topology.refusals(profile, table, verdicts.fits, self._namespaces)
        for _, mask in refusals:
            fits = fits & ~mask
        candidates = np.flatnonzero(fits)
        if not len(candidates):
            return Placement(pod, "", self._why(verdicts, columns, needs, refusals))
        index = int(candidates[0]) if len(candidates) == 1 else self._best(profile, verdicts, candidates)
        node = table.rows[index].name
        table.assign(pod, node)
        return Placement(pod, node)

    def _best(self, profile: Profile, verdicts: Verdicts, candidates: NDArray[np.intp]) -> int:
        scores = self._resource_scores(profile, candidates)
        if profile.preferred_terms:
            scores += 2 * _normal(verdicts.preferred[candidates])
        away = verdicts.unwelcome[candidates]
        if away.any():
            scores += 3 * (100 - _normal(away))
        if profile.group:
            scores += 2 * self._spread_scores(profile.group, candidates)
        if topology.has_preference(profile):
            wishes = topology.preference(profile, self._table, self._namespaces)[candidates]
            scores += 2 * _normal(wishes - wishes.min())
        best = np.flatnonzero(scores >= scores.max() - 1e-9)
        return int(candidates[best[self._rng.randrange(len(best))]])

    def _resource_scores(self, profile: Profile, candidates: NDArray[np.intp]) -> Floats:
        """Least allocated, and balanced: nodes on which cpu and memory run out together."""
        limits = np.maximum(self._table.allocatable[candidates, CPU : MEMORY + 1], 1)
        taken = (self._table.scoring[candidates] + profile.scoring) / limits
        taken = np.minimum(taken, 1.0)
        least: Floats = 100 * (1 - taken.mean(axis=1))
        balanced: Floats = 100 - 50 * np.abs(taken[:, 0] - taken[:, 1])
        result: Floats = least + balanced
        return result

    def _spread_scores(self, group: str, candidates: NDArray[np.intp]) -> Floats:
        """Few pods of the same group on the node, and few in its zone."""
        counts = self._table.group_counts(group)
        scores = 100 - _normal(counts[candidates])
        if self._table.zones > 2:
            zone = self._table.zone
            by_zone = np.bincount(zone, weights=counts, minlength=self._table.zones)
            scores = (scores + 2 * (100 - _normal(by_zone[zone[candidates]]))) / 3
        return scores

    def _port_clashes(self, profile: Profile) -> topology.Mask:
        return np.fromiter(
            (
                any(taken.clashes(port) for taken in row.ports if row.ports[taken] > 0 for port in profile.ports)
                for row in self._table.rows
            ),
            bool,
            len(self._table.rows),
        )

    def _why(
        self,
        verdicts: Verdicts,
        columns: Sequence[int],
        needs: Sequence[int],
        refusals: Sequence[tuple[str, topology.Mask]],
    ) -> str:
        """Kubernetes' sentence: how many nodes each reason rules out. The first kind of reason counts for a node."""
        total = len(self._table)
        if total == 0:
            return "no nodes available to schedule pods"
        reasons: Counter[str] = Counter()
        names = {index: name for name, index in self._table.columns.items()}
        for index, row in enumerate(self._table.rows):
            if not row.present:
                continue
            if verdicts.reasons[index]:
                reasons[verdicts.reasons[index]] += 1
                continue
            ports = [reason for reason, mask in refusals if reason == NO_PORTS and mask[index]]
            short = [] if ports else self._shortages(index, columns, needs, names)
            other = [] if ports or short else [reason for reason, mask in refusals if mask[index]][:1]
            reasons.update((*ports, *short, *other))
        return unavailable(total, reasons)

    def _shortages(
        self, index: int, columns: Sequence[int], needs: Sequence[int], names: Mapping[int, str]
    ) -> list[str]:
        short = []
        for column, need in zip(columns, needs, strict=True):
            if self._table.requested[index, column] + need > self._table.allocatable[index, column]:
                short.append("Too many pods" if column == PODS else f"Insufficient {names[column]}")
        return short


def unavailable(total: int, reasons: Mapping[str, int]) -> str:
    """``0/3 nodes are available: 1 Insufficient cpu, 2 node(s) ....``"""
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return f"0/{total} nodes are available: {listed}."


def _normal(values: NDArray[np.int64] | Floats) -> Floats:
    """Scaled so that the largest is 100; all 0 where the largest is."""
    floats: Floats = values.astype(np.float64)
    largest = floats.max()
    return floats * (100.0 / largest) if largest > 0 else np.zeros(len(values))
