"""Which pods make room for a more important one: a pure function of nodes, pods and budgets.

A node is tried without any of its less important pods; where the pod fits then, as many of them as possible are let stay, the
most important first, and before them those whose PodDisruptionBudget has nothing left to give. Of the nodes that is taken where
the least is lost. Source: Kubernetes' ``defaultpreemption`` plugin and ``pkg/scheduler/framework/preemption``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from moorage.client.objects import seconds_of
from moorage.resources import label_selector
from moorage.scheduler.nodetable import NodeTable, Row
from moorage.scheduler.place import Placer
from moorage.scheduler.podinfo import PodInfo

LEAST_CANDIDATES = 100
CANDIDATE_SHARE = 10
"""Nodes that are compared: one of ten, but a hundred where there are as many."""

Budgets = Sequence[Mapping[str, Any]]
"""PodDisruptionBudgets as documents."""


@dataclass(frozen=True, slots=True)
class Victims:
    """What preemption costs on a node. ``pods`` may be empty: enough of them are on their way out already."""

    node: str
    pods: tuple[PodInfo, ...]
    violations: int

    @property
    def cost(self) -> tuple[float, ...]:
        """Smaller is better: broken budgets, the highest priority, all priorities, their number, and how long the most
        important of them have been there.
        """
        if not self.pods:
            return (self.violations, -math.inf, 0, 0, 0)
        highest = max(each.priority for each in self.pods)
        oldest = min(seconds_of(each.created) or 0.0 for each in self.pods if each.priority == highest)
        total = sum(each.priority + 2**31 for each in self.pods)
        return (self.violations, highest, total, len(self.pods), -oldest)


class Preemptor:
    """Chooses victims on the nodes of ``table``, which is as it was afterwards."""

    def __init__(self, table: NodeTable, placer: Placer) -> None:
        self._table = table
        self._placer = placer

    def choose(self, pod: PodInfo, budgets: Budgets, going: Set[str]) -> Victims | None:
        """The node to be cleared for ``pod``, and of whom; None where that would not help. ``going``: uids of pods that are
        on their way out: they are neither asked nor counted.
        """
        if not pod.preempts or not self._table.has_pods_below(pod.priority):
            return None
        rows = np.flatnonzero(self._placer.possible(pod))
        most = max(LEAST_CANDIDATES, len(self._table) // CANDIDATE_SHARE)
        found: list[Victims] = []
        for index in rows:
            victims = self._on(int(index), pod, budgets, going)
            if victims is not None:
                found.append(victims)
                if len(found) >= most:
                    break
        return min(found, key=lambda each: each.cost, default=None)

    def _on(self, index: int, pod: PodInfo, budgets: Budgets, going: Set[str]) -> Victims | None:
        row = self._table.rows[index]
        lower = [each for each in row.pods.values() if each.priority < pod.priority]
        if not lower:
            return None
        for each in lower:
            self._table.release(each.uid)
        try:
            if not self._placer.fits(pod, index):
                return None
            asked = sorted((each for each in lower if each.uid not in going), key=_importance)
            protected, others = _split(asked, budgets)
            lost = self._let_stay(protected, row, pod, index)
            violations = len(lost)
            lost += self._let_stay(others, row, pod, index)
            return Victims(row.name, tuple(sorted(lost, key=_importance)), violations)
        finally:
            for each in lower:
                self._table.assign(each, row.name)

    def _let_stay(self, pods: Iterable[PodInfo], row: Row, pod: PodInfo, index: int) -> list[PodInfo]:
        """Give pods their place back where ``pod`` fits beside them; those for whom there is none."""
        lost = []
        for each in pods:
            self._table.assign(each, row.name)
            if not self._placer.fits(pod, index):
                self._table.release(each.uid)
                lost.append(each)
        return lost


def _importance(pod: PodInfo) -> tuple[int, str, str]:
    """The most important first, of equals the oldest."""
    return (-pod.priority, pod.created, pod.uid)


def _split(pods: Iterable[PodInfo], budgets: Budgets) -> tuple[list[PodInfo], list[PodInfo]]:
    """Pods that a budget would rather keep, and the others."""
    left = {index: int((each.get("status") or {}).get("disruptionsAllowed", 0)) for index, each in enumerate(budgets)}
    protected: list[PodInfo] = []
    others: list[PodInfo] = []
    for pod in pods:
        broken = False
        for index, budget in enumerate(budgets):
            if not _covers(budget, pod):
                continue
            left[index] -= 1
            broken = broken or left[index] < 0
        (protected if broken else others).append(pod)
    return protected, others


def _covers(budget: Mapping[str, Any], pod: PodInfo) -> bool:
    """Whether the budget counts the pod, and has not let it go already."""
    if budget["metadata"]["namespace"] != pod.key.namespace:
        return False
    selector = (budget.get("spec") or {}).get("selector")
    noted = (budget.get("status") or {}).get("disruptedPods") or {}
    return label_selector.matches(selector, pod.profile.labels) and pod.key.name not in noted
