"""What the node's pods and the node itself use, read when somebody asks: nothing is sampled while nobody looks.

A rate of CPU time needs two readings. A question is answered from the present reading and the newest one that is at least
``SHORTEST`` old; where there is none (nobody asked lately), a second reading is taken after that time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from moorage_agent.engine.contract import Engine, EngineUnavailable, NoSuchContainer, Usage
from moorage_agent.node import machine
from moorage_agent.pods.observed import Attempt

SHORTEST = 1.0
LONGEST = 60.0
"""Seconds between two readings that a rate is made of: less is noise, more is history."""
DEADLINE = 5.0
"""Seconds in which the engine has to tell what all containers use."""
AT_ONCE = 8
"""Questions to the engine at the same time."""


class Pod(Protocol):
    """A pod as its worker knows it."""

    pod: Mapping[str, Any]

    @property
    def api_uid(self) -> str:
        """The uid by which the API knows the pod."""
        ...

    def running(self) -> Sequence[Attempt]:
        """Its containers that run."""
        ...


class Machine(NamedTuple):
    """The machine at one moment: bytes of memory in use, seconds of CPU time spent since its start."""

    memory: int
    cpu: float


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything at one moment. ``containers`` by engine id; ``at`` is a steady clock's, ``time`` the calendar's."""

    at: float
    time: float
    node: Machine
    containers: Mapping[str, Usage] = field(default_factory=dict)


class Rate(NamedTuple):
    """Cores and bytes."""

    cpu: float
    memory: int


def rate(before: Usage | Machine | None, now: Usage | Machine, seconds: float) -> Rate:
    """What was used between two readings. A container that was not there before has used what it has since its start."""
    spent = now.cpu - (before.cpu if before is not None else 0.0)
    return Rate(max(0.0, spent / seconds) if seconds > 0 else 0.0, now.memory)


class Meter:
    """Reads, and keeps the last readings."""

    def __init__(
        self,
        engine: Engine,
        pods: Callable[[], Iterable[Pod]],
        read_machine: Callable[[], Machine] = lambda: Machine(machine.memory_in_use(), machine.cpu_time()),
        *,
        deadline: float = DEADLINE,
    ) -> None:
        self._deadline = deadline
        self._engine = engine
        self._pods = pods
        self._machine = read_machine
        self._last: Reading | None = None
        self._lock = asyncio.Lock()

    async def pair(self) -> tuple[Reading, Reading]:
        """(an earlier reading, the present one). Raises EngineError."""
        async with self._lock:
            now = time.monotonic()
            before = self._last
            if before is None or now - before.at > LONGEST:
                before = await self.read()
                await asyncio.sleep(SHORTEST)
            elif now - before.at < SHORTEST:
                await asyncio.sleep(SHORTEST - (now - before.at))
            present = await self.read()
            self._last = present
            return before, present

    async def read(self) -> Reading:
        """How it is now. What the engine does not tell in time is missing; the node's own part never is."""
        identities = [one.container.id for pod in self._pods() for one in pod.running()]
        slots = asyncio.Semaphore(AT_ONCE)

        async def used(identity: str) -> tuple[str, Usage] | None:
            async with slots:
                try:
                    return identity, await self._engine.usage(identity)
                except (NoSuchContainer, EngineUnavailable):
                    return None

        asking = [asyncio.ensure_future(used(identity)) for identity in identities]
        done: set[asyncio.Future[tuple[str, Usage] | None]] = set()
        try:
            if asking:
                done, _ = await asyncio.wait(asking, timeout=self._deadline)
        finally:
            for question in asking:
                question.cancel()
        taken = dict(found for question in done if (found := question.result()) is not None)
        return Reading(time.monotonic(), time.time(), self._machine(), taken)

    async def report(self) -> dict[str, Any]:
        """The document that the API server makes ``metrics.k8s.io`` of. Raises EngineError."""
        before, now = await self.pair()
        window = now.at - before.at
        node = rate(before.node, now.node, window)
        pods = []
        for pod in self._pods():
            metadata = pod.pod["metadata"]
            entries = [
                {"name": one.name, **rate(before.containers.get(one.container.id), used, window)._asdict()}
                for one in pod.running()
                if (used := now.containers.get(one.container.id)) is not None
            ]
            if entries:
                pods.append(
                    {
                        "namespace": metadata["namespace"],
                        "name": metadata["name"],
                        "uid": pod.api_uid,
                        "containers": sorted(entries, key=lambda entry: str(entry["name"])),
                    }
                )
        return {"time": now.time, "window": window, "node": node._asdict(), "pods": pods}
