"""One look at what everything on the node uses: containers by the engine's counters, networks and the machine by the kernel's."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from moorage_agent.engine.contract import Engine, NoSuchContainer, Usage
from moorage_agent.node import machine
from moorage_agent.node.usage import LONGEST, SHORTEST
from moorage_agent.pods.observed import Attempt, Observed

AT_ONCE = 8
"""Questions to the engine at the same time."""


class Pod(Protocol):
    """A pod as its worker knows it."""

    pod: Mapping[str, Any]
    digest: str

    @property
    def api_uid(self) -> str:
        """The uid by which the API knows the pod."""
        ...

    def running(self) -> Sequence[Attempt]:
        """Its containers that run."""
        ...

    def observe(self) -> Observed:
        """What is known of it now."""
        ...


class Interface(NamedTuple):
    """Counters of a network interface."""

    name: str
    received: int
    received_packets: int
    received_errors: int
    received_dropped: int
    sent: int
    sent_packets: int
    sent_errors: int
    sent_dropped: int


class Read(NamedTuple):
    """One pod: its containers' counters, those of its network (none where it is the node's), and bytes of its volumes."""

    pod: Pod
    containers: Sequence[tuple[Attempt, Usage]]
    networks: Sequence[Interface]


class Reading(NamedTuple):
    """The node at ``time`` (seconds since the epoch)."""

    time: float
    cpu: float
    memory: int
    pods: Sequence[Read]


class Reader:
    """Reads when asked."""

    def __init__(self, engine: Engine, pods: Callable[[], Iterable[Pod]]) -> None:
        self._engine = engine
        self._pods = pods
        self._last: Reading | None = None
        self._lock = asyncio.Lock()

    async def pair(self) -> tuple[Reading, Reading]:
        """(an earlier reading, the present one), at least ``SHORTEST`` apart. Raises EngineUnavailable."""
        async with self._lock:
            before, age = self._last, time.time() - self._last.time if self._last is not None else LONGEST
            if before is None or not SHORTEST <= age < LONGEST:
                before = await self.read()
                await asyncio.sleep(SHORTEST)
            self._last = await self.read()
            return before, self._last

    async def read(self) -> Reading:
        """How it is now. Raises EngineUnavailable."""
        slots = asyncio.Semaphore(AT_ONCE)
        found = await asyncio.gather(*(self._pod(pod, slots) for pod in self._pods()))
        return Reading(time.time(), machine.cpu_time(), machine.memory_in_use(), found)

    async def _pod(self, pod: Pod, slots: asyncio.Semaphore) -> Read:
        async def used(attempt: Attempt) -> tuple[Attempt, Usage] | None:
            async with slots:
                try:
                    return attempt, await self._engine.usage(attempt.container.id)
                except NoSuchContainer:
                    return None

        taken = [one for one in await asyncio.gather(*map(used, pod.running())) if one is not None]
        sandbox = pod.observe().sandbox()
        own = sandbox is not None and not pod.pod["spec"].get("hostNetwork")
        return Read(pod, taken, interfaces(sandbox.container.pid) if own and sandbox is not None else ())


def interfaces(pid: int) -> list[Interface]:
    """The interfaces that a process sees, loopback not counted; none where it is gone or not this machine's."""
    return parse_interfaces(_text(f"/proc/{pid}/net/dev")) if pid else []


def parse_interfaces(text: str) -> list[Interface]:
    """``/proc/PID/net/dev`` (proc(5)): two lines of headings, then 16 counters for each interface."""
    found = []
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        counts = [int(word) for word in rest.split()]
        if name.strip() != "lo" and len(counts) >= 12:
            found.append(Interface(name.strip(), *counts[0:4], *counts[8:12]))
    return found


def own_process() -> dict[str, float]:
    """This process: seconds of CPU time, bytes of memory, open files, start (Prometheus' ``process_*``)."""
    fields = _text("/proc/self/stat").rpartition(")")[2].split()
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    booted = next((line.split()[1] for line in _text("/proc/stat").splitlines() if line.startswith("btime")), "0")
    return {
        "cpu": (int(fields[11]) + int(fields[12])) / ticks,
        "resident": float(int(fields[21]) * page),
        "virtual": float(fields[20]),
        "files": float(len(os.listdir("/proc/self/fd"))),
        "started": float(booted) + int(fields[19]) / ticks,
    }


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
