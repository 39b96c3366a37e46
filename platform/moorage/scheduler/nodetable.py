"""All nodes as arrays: a row is a node, a column a resource. What is assigned counts at once, bound or not yet.

Amounts are integers (millicores, bytes, counts). Rows of removed nodes are used again.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moorage.client.objects import Document
from moorage.resources.local_volumes import disk_of
from moorage.scheduler.podinfo import PodInfo, Profile
from moorage.scheduler.requests import HostPort, amounts
from moorage.scheduler.selection import effective_taints

PODS, CPU, MEMORY = 0, 1, 2
_FIRST_COLUMNS = ("pods", "cpu", "memory", "ephemeral-storage")
ZONE = "topology.kubernetes.io/zone"
GROUPS = 256
"""Groups of pods whose spread is held as an array."""

Ints = NDArray[np.int64]


@dataclass(slots=True)
class Row:
    """What of a node does not fit an array."""

    name: str
    labels: Mapping[str, str]
    taints: list[Document]
    unschedulable: bool
    ports: Counter[HostPort] = field(default_factory=Counter)
    pods: dict[str, PodInfo] = field(default_factory=dict)
    present: bool = True
    disk: int | None = None
    """Bytes of its disk, as far as it says."""

    @property
    def static(self) -> tuple[Any, ...]:
        """What decides about pods whatever runs here."""
        return (self.labels, self.taints, self.unschedulable)


class NodeTable:
    """Grows as nodes come. ``changes`` counts changes of what decides about pods whatever runs on a node."""

    def __init__(self) -> None:
        self.columns: dict[str, int] = {name: index for index, name in enumerate(_FIRST_COLUMNS)}
        self.rows: list[Row] = []
        self.by_name: dict[str, int] = {}
        self.changed: list[int] = []
        """Rows in the order in which they changed; readers remember how far they have read."""
        self.anti_affine: dict[str, tuple[int, PodInfo]] = {}
        """Rows and pods that do not want certain others near them, by uid."""
        self._priorities: Counter[int] = Counter()
        self._free: list[int] = []
        self._where: dict[str, int] = {}
        self._unplaced: dict[str, dict[str, PodInfo]] = {}
        self._zones: dict[str, int] = {"": 0}
        self._groups: OrderedDict[str, Ints] = OrderedDict()
        self._group_rows: dict[str, Counter[int]] = {}
        self._limits = np.zeros((16, len(_FIRST_COLUMNS)), dtype=np.int64)
        self._used = np.zeros_like(self._limits)
        self._scoring = np.zeros((16, 2), dtype=np.int64)
        self._zone = np.zeros(16, dtype=np.int64)

    @property
    def allocatable(self) -> Ints:
        """What each node has to give, by column."""
        return self._limits[: len(self.rows)]

    @property
    def requested(self) -> Ints:
        """What is taken, by column."""
        return self._used[: len(self.rows)]

    @property
    def scoring(self) -> Ints:
        """cpu and memory taken, counting defaults for containers that ask for nothing."""
        return self._scoring[: len(self.rows)]

    @property
    def zone(self) -> Ints:
        """The number of each node's zone; 0 is none."""
        return self._zone[: len(self.rows)]

    @property
    def zones(self) -> int:
        """Zone numbers in use, with 0."""
        return len(self._zones)

    def __len__(self) -> int:
        """Nodes that there are."""
        return len(self.by_name)

    def put(self, node: Document) -> bool:
        """Take in a node as it is now. Returns whether something changed that may let pods fit."""
        metadata, status = node["metadata"], node.get("status") or {}
        name = metadata["name"]
        index = self.by_name.get(name)
        fresh = Row(
            name,
            metadata.get("labels") or {},
            effective_taints(node),
            bool((node.get("spec") or {}).get("unschedulable")),
            disk=disk_of(node),
        )
        limits = amounts(status.get("allocatable") or status.get("capacity"))
        columns = [self._column(resource) for resource in limits]
        if index is None:
            index = self._new_row(fresh)
            old = None
        else:
            old = self.rows[index]
            fresh.ports, fresh.pods = old.ports, old.pods
            self.rows[index] = fresh
        before = self._limits[index].copy()
        self._limits[index] = 0
        self._limits[index, columns] = list(limits.values())
        self._zone[index] = self._zones.setdefault(fresh.labels.get(ZONE, ""), len(self._zones))
        if old is None or old.static != fresh.static:
            self.changed.append(index)
            return True
        return not np.array_equal(before, self._limits[index])

    def remove(self, name: str) -> None:
        """Forget a node; its pods are kept in mind for its return."""
        index = self.by_name.pop(name, None)
        if index is None:
            return
        row = self.rows[index]
        for pod in list(row.pods.values()):
            self._take(pod, index, -1)
            del self._where[pod.uid]
            self._unplaced.setdefault(name, {})[pod.uid] = pod
        self.rows[index] = Row("", {}, [], False, present=False)
        self._limits[index] = 0
        self._free.append(index)
        self.changed.append(index)

    def assign(self, pod: PodInfo, node: str) -> None:
        """Count ``pod`` on ``node`` (and nowhere else)."""
        index = self.by_name.get(node)
        where = self._where.get(pod.uid)
        if where is not None and where == index:
            return
        self.release(pod.uid)
        if index is None:
            self._unplaced.setdefault(node, {})[pod.uid] = pod
            return
        self._where[pod.uid] = index
        self.rows[index].pods[pod.uid] = pod
        self._take(pod, index, 1)

    def release(self, uid: str) -> bool:
        """The pod takes nothing any more. Returns whether it took something."""
        index = self._where.pop(uid, None)
        if index is not None:
            self._take(self.rows[index].pods.pop(uid), index, -1)
            return True
        return any(pods.pop(uid, None) is not None for pods in self._unplaced.values())

    def node_of(self, uid: str) -> str:
        """The node on which the pod counts, or ""."""
        index = self._where.get(uid)
        return "" if index is None else self.rows[index].name

    def placed(self) -> Iterator[tuple[int, PodInfo]]:
        """Every pod that counts, and its row."""
        for index, row in enumerate(self.rows):
            for pod in row.pods.values():
                yield index, pod

    def has_pods_below(self, priority: int) -> bool:
        """Whether any pod on a node matters less."""
        return any(each < priority for each in self._priorities)

    def needs(self, profile: Profile) -> tuple[list[int], list[int]]:
        """Columns and amounts of what a pod takes, itself as one of ``pods`` first."""
        return (
            [PODS, *(self._column(name) for name in profile.requests)],
            [1, *profile.requests.values()],
        )

    def group_counts(self, group: str) -> Ints:
        """How many pods of ``group`` each node has."""
        counts = self._groups.get(group)
        if counts is None:
            counts = np.zeros(len(self._limits), dtype=np.int64)
            for index, number in self._group_rows.get(group, {}).items():
                counts[index] = number
            self._groups[group] = counts
            if len(self._groups) > GROUPS:
                self._groups.popitem(last=False)
        else:
            self._groups.move_to_end(group)
        return counts[: len(self.rows)]

    def _take(self, pod: PodInfo, index: int, sign: int) -> None:
        columns, needs = self.needs(pod.profile)
        for column, amount in zip(columns, needs, strict=True):
            self._used[index, column] += sign * amount
        cpu, memory = pod.profile.scoring
        self._scoring[index, 0] += sign * cpu
        self._scoring[index, 1] += sign * memory
        for port in pod.profile.ports:
            self.rows[index].ports[port] += sign
        self._priorities[pod.priority] += sign
        if not self._priorities[pod.priority]:
            del self._priorities[pod.priority]
        if pod.profile.anti_affinity:
            if sign > 0:
                self.anti_affine[pod.uid] = (index, pod)
            else:
                self.anti_affine.pop(pod.uid, None)
        group = pod.profile.group
        if group:
            self._count_group(group, index, sign)

    def _count_group(self, group: str, index: int, sign: int) -> None:
        rows = self._group_rows.setdefault(group, Counter())
        rows[index] += sign
        if rows[index] <= 0:
            del rows[index]
            if not rows:
                del self._group_rows[group]
        counts = self._groups.get(group)
        if counts is not None:
            counts[index] += sign

    def _new_row(self, row: Row) -> int:
        if self._free:
            index = self._free.pop()
            self.rows[index] = row
        else:
            index = len(self.rows)
            self.rows.append(row)
            if index >= len(self._limits):
                self._grow()
        self.by_name[row.name] = index
        for pod in self._unplaced.pop(row.name, {}).values():
            self._where[pod.uid] = index
            row.pods[pod.uid] = pod
            self._take(pod, index, 1)
        return index

    def _grow(self) -> None:
        size = len(self._limits)
        self._limits = np.concatenate([self._limits, np.zeros_like(self._limits)])
        self._used = np.concatenate([self._used, np.zeros_like(self._used)])
        self._scoring = np.concatenate([self._scoring, np.zeros_like(self._scoring)])
        self._zone = np.concatenate([self._zone, np.zeros(size, dtype=np.int64)])
        self._groups.clear()

    def _column(self, resource: str) -> int:
        column = self.columns.get(resource)
        if column is None:
            column = self.columns[resource] = len(self.columns)
            extra = np.zeros((len(self._limits), 1), dtype=np.int64)
            self._limits = np.concatenate([self._limits, extra], axis=1)
            self._used = np.concatenate([self._used, extra], axis=1)
        return column
