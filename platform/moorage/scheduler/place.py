"""Which node each pod goes to: a pure function of pods and nodes. Every placement counts for those that follow.

Source: Kubernetes' scheduling framework: filter, then score (0 to 100 each, weighted): NodeResourcesFit (LeastAllocated) 1,
NodeResourcesBalancedAllocation 1, NodeAffinity 2, TaintToleration 3, spreading over nodes and zones 2, pod affinity 2.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moorage.scheduler import topology
from moorage.scheduler.nodetable import CPU, MEMORY, PODS, NodeTable, Row
from moorage.scheduler.nominations import Nominations
from moorage.scheduler.podinfo import PodInfo, Profile
from moorage.scheduler.static import StaticVerdicts, Verdicts
from moorage.scheduler.volumes import NO_DEVICES, Verdict

Floats = NDArray[np.float64]

NO_PORTS = "node(s) didn't have free ports for the requested pod ports"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a pod goes; or, with ``node`` "", why it goes nowhere."""

    pod: PodInfo
    node: str
    message: str = ""


class Placer:
    """Places pods on the nodes of ``table``, and counts them there. ``rng`` breaks ties. What is kept for pods of
    ``nominations`` is left to them.
    """

    def __init__(
        self,
        table: NodeTable,
        rng: random.Random,
        namespaces: topology.NamespaceLabels | None = None,
        nominations: Nominations | None = None,
        claims: Callable[[PodInfo], Verdict] | None = None,
    ) -> None:
        self._table = table
        self._rng = rng
        self._nominations = nominations if nominations is not None else Nominations()
        self._namespaces: topology.NamespaceLabels = namespaces if namespaces is not None else {}
        self._static = StaticVerdicts(table)
        self._claims = claims

    def place(self, pods: Sequence[PodInfo]) -> list[Placement]:
        """Place ``pods`` one after the other: those with the highest priority first, then the oldest."""
        ordered = sorted(pods, key=lambda pod: (-pod.priority, pod.created, pod.key))
        hopeless: dict[Profile, str] = {}
        result = []
        for pod in ordered:
            message = None if self._nominations.node_of(pod.uid) else hopeless.get(pod.profile)
            placement = self._place(pod) if message is None else Placement(pod, "", message)
            if not placement.node and not pod.profile.topological and not pod.claims and not pod.devices:
                hopeless[pod.profile] = placement.message  # room only shrinks within one call
            result.append(placement)
        return result

    def _place(self, pod: PodInfo) -> Placement:
        table, profile = self._table, pod.profile
        verdicts = self._static.of(profile)
        columns, needs = table.needs(profile)
        room = table.allocatable[:, columns] - table.requested[:, columns]
        if len(self._nominations):
            self._keep_places(pod, columns, room)
        fits = verdicts.fits & (room >= needs).all(axis=1)
        refusals: list[tuple[str, topology.Mask]] = []
        if profile.ports:
            refusals.append((NO_PORTS, self._port_clashes(pod)))
        verdict = self._verdict(pod)
        if verdict.problem:
            return Placement(pod, "", f"0/{len(table)} nodes are available: {verdict.problem}.")
        refusals += self._out_of_reach(verdict)
        if profile.topological or table.anti_affine:
            refusals += topology.refusals(profile, table, verdicts.fits, self._namespaces)
        for _, mask in refusals:
            fits = fits & ~mask
        candidates = np.flatnonzero(fits)
        if not len(candidates):
            return Placement(pod, "", self._why(verdicts, columns, room < needs, refusals))
        nominated = table.by_name.get(self._nominations.node_of(pod.uid), -1)
        if nominated >= 0 and fits[nominated]:
            index = nominated
        else:
            index = int(candidates[0]) if len(candidates) == 1 else self._best(profile, verdicts, candidates)
        node = table.rows[index].name
        table.assign(pod, node)
        self._nominations.drop(pod.uid)
        return Placement(pod, node)

    def possible(self, pod: PodInfo) -> topology.Mask:
        """The nodes on which the pod may run, whatever runs there now."""
        fits, verdict = self._static.of(pod.profile).fits, self._verdict(pod)
        if verdict.problem:
            return np.zeros(len(fits), bool)
        for _, mask in self._out_of_reach(verdict):
            fits = fits & ~mask
        return fits

    def _verdict(self, pod: PodInfo) -> Verdict:
        if pod.devices:
            return Verdict(NO_DEVICES)
        return self._claims(pod) if pod.claims and self._claims is not None else Verdict()

    def _out_of_reach(self, verdict: Verdict) -> list[tuple[str, topology.Mask]]:
        rows = self._table.rows
        return [
            (reason, ~np.fromiter((check(row) for row in rows), bool, len(rows))) for reason, check in verdict.checks
        ]

    def fits(self, pod: PodInfo, index: int) -> bool:
        """Whether the pod has room on one node that is possible for it."""
        table, profile = self._table, pod.profile
        columns, needs = table.needs(profile)
        room = table.allocatable[index : index + 1, columns] - table.requested[index : index + 1, columns]
        if len(self._nominations):
            self._keep_places(pod, columns, room, index)
        if (room < needs).any():
            return False
        if profile.ports and self._clashes(pod, table.rows[index]):
            return False
        if not profile.topological and not table.anti_affine:
            return True
        masks = topology.refusals(profile, table, self._static.of(profile).fits, self._namespaces)
        return not any(mask[index] for _, mask in masks)

    def _keep_places(self, pod: PodInfo, columns: Sequence[int], room: NDArray[np.int64], first: int = 0) -> None:
        """Take from ``room``, whose rows begin at ``first``, what pods that matter as much were promised."""
        where = {column: place for place, column in enumerate(columns)}
        for other, node in self._nominations.against(pod):
            row = self._table.by_name.get(node, -1) - first
            if not 0 <= row < len(room):
                continue
            for column, amount in zip(*self._table.needs(other.profile), strict=True):
                if column in where:
                    room[row, where[column]] -= amount

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

    def _port_clashes(self, pod: PodInfo) -> topology.Mask:
        return np.fromiter((self._clashes(pod, row) for row in self._table.rows), bool, len(self._table.rows))

    def _clashes(self, pod: PodInfo, row: Row) -> bool:
        taken = [port for port, count in row.ports.items() if count > 0]
        if len(self._nominations):
            promised = self._nominations.against(pod)
            taken += [port for other, node in promised if node == row.name for port in other.profile.ports]
        return any(each.clashes(port) for each in taken for port in pod.profile.ports)

    def _why(
        self,
        verdicts: Verdicts,
        columns: Sequence[int],
        lacks: topology.Mask,
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
            short = [] if ports else [_shortage(column, names) for column in np.array(columns)[lacks[index]]]
            other = [] if ports or short else [reason for reason, mask in refusals if mask[index]][:1]
            reasons.update((*ports, *short, *other))
        return unavailable(total, reasons)


def _shortage(column: int, names: Mapping[int, str]) -> str:
    return "Too many pods" if column == PODS else f"Insufficient {names[column]}"


def unavailable(total: int, reasons: Mapping[str, int]) -> str:
    """``0/3 nodes are available: 1 Insufficient cpu, 2 node(s) ....``"""
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return f"0/{total} nodes are available: {listed}."


def _normal(values: NDArray[np.int64] | Floats) -> Floats:
    """Scaled so that the largest is 100; all 0 where the largest is."""
    floats: Floats = values.astype(np.float64)
    largest = floats.max()
    return floats * (100.0 / largest) if largest > 0 else np.zeros(len(values))
