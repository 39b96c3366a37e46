"""When a node runs short of something. Pure.

Source: "Node-pressure Eviction"; the kubelet's ``pkg/kubelet/eviction/helpers.go`` and ``defaults_linux.go``. It has no threshold
for process ids by default; a table that is full stops everybody on the machine, so there is one here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from moorage_agent.node.machine import Level, Pressure
from moorage_agent.pods.quantities import amount

MEMORY, DISK, INODES, PIDS = "memory", "ephemeral-storage", "inodes", "pids"
"""The resources that pods are ended for, in the order in which they are looked at."""

RESOURCES: Mapping[str, str] = {
    "memory.available": MEMORY,
    "nodefs.available": DISK,
    "nodefs.inodesFree": INODES,
    "imagefs.available": DISK,
    "imagefs.inodesFree": INODES,
    "pid.available": PIDS,
}
"""Signals, and what a pod is told that the node was low on."""

HARD: Mapping[str, str] = {
    "memory.available": "100Mi",
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
    "imagefs.inodesFree": "5%",
    "pid.available": "5%",
}


class Met(NamedTuple):
    """A threshold that is passed: less than ``quantity`` is ``available``."""

    signal: str
    quantity: float
    available: float

    @property
    def resource(self) -> str:
        """What pods are told."""
        return RESOURCES[self.signal]


def parse(text: str) -> dict[str, str]:
    """``memory.available<100Mi,nodefs.available<10%`` as the kubelet's ``--eviction-hard`` is written. Raises ValueError."""
    found = {}
    for part in filter(None, text.split(",")):
        signal, operator, value = part.strip().partition("<")
        if not operator or not value:
            raise ValueError(f"invalid eviction threshold syntax {part!r}, expected <signal><<value>")
        if signal not in RESOURCES:
            raise ValueError(f"unsupported eviction signal {signal!r}, known are {', '.join(sorted(RESOURCES))}")
        if quantity(value, 100.0) < 0 or (value.endswith("%") and not 0 < float(value[:-1]) < 100):
            raise ValueError(
                f"eviction threshold {part!r} must be positive, and less than 100 where it is a percentage"
            )
        found[signal] = value
    return found


def quantity(value: str, capacity: float) -> float:
    """A threshold's value of what there is in all. Raises ValueError."""
    if value.endswith("%"):
        return capacity * float(value[:-1]) / 100
    return float(amount(value))


def met(levels: Mapping[str, Level], hard: Mapping[str, str]) -> list[Met]:
    """The thresholds that are passed, memory's first, as the kubelet sorts them."""
    found = [
        Met(signal, least, levels[signal].available)
        for signal, value in hard.items()
        if signal in levels and levels[signal].available < (least := quantity(value, levels[signal].capacity))
    ]
    return sorted(found, key=lambda one: one.resource != MEMORY)


def pressure(passed: Iterable[Met]) -> Pressure:
    """The conditions that these call for."""
    resources = {one.resource for one in passed}
    return Pressure(MEMORY in resources, bool(resources & {DISK, INODES}), PIDS in resources)


def conditions(of: Pressure) -> Sequence[str]:
    """The names of the conditions that are True."""
    names = {"MemoryPressure": of.memory, "DiskPressure": of.disk, "PIDPressure": of.pids}
    return [name for name, holds in names.items() if holds]
