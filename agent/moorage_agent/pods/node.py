"""What pod workers share: the engine and the other parts of one node, and its settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from moorage.client.api import ApiClient
from moorage_agent import threads
from moorage_agent.engine.contract import Engine
from moorage_agent.images.puller import Images
from moorage_agent.metrics.meters import Meters
from moorage_agent.objects import Objects
from moorage_agent.pods import confinement
from moorage_agent.pods.fields import Facts
from moorage_agent.pods.networking import EngineNetwork, PodNetwork
from moorage_agent.pods.observed import Verdict
from moorage_agent.pods.resizing import Room
from moorage_agent.pods.spec import Identity
from moorage_agent.pods.status_writer import StatusWriter
from moorage_agent.probes.checks import Checks
from moorage_agent.tokens import Tokens
from moorage_agent.volumes.store import VolumeStore

SANDBOXES_AT_ONCE = 6
CONTAINERS_AT_ONCE = 8
"""Starts that the engine works on at the same time. More make none faster (its own work is bound by CPU) and all of them late."""
EXPORT_THREADS = 4
FILE_THREADS = 4


class Recorder(Protocol):
    """Takes events (``moorage.client.events.EventRecorder``)."""

    def record(self, about: Mapping[str, Any], kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Say that something happened to an object."""
        ...


@dataclass(kw_only=True)
class Node:
    """The parts that a pod worker uses. ``facts`` holds the node's name, addresses and size."""

    identity: Identity
    engine: Engine
    images: Images
    objects: Objects
    volumes: VolumeStore
    tokens: Tokens
    checks: Checks
    client: ApiClient
    recorder: Recorder
    status: StatusWriter
    facts: Facts
    sandbox_image: str
    network: PodNetwork = field(default_factory=EngineNetwork)
    claim_user: Callable[[str, str, str], str] = lambda _namespace, _claim, _uid: ""
    """Gets a claim and a pod's uid; the name of another pod here that has started with the claim, "" where there is none."""
    room: Callable[[str], Room] = lambda _uid: Room({"cpu": float("inf"), "memory": float("inf")}, {})
    """Gets a pod's uid; what the node has in all, and what its other pods were granted of it."""
    unwilling: Callable[[Mapping[str, Any]], str] = lambda _pod: ""
    """Gets a pod that is new here; why the node takes none like it on for now, "" where it does."""
    resolv_conf: Path | None = None
    """What pods ask for names of others, in place of the machine's own file."""
    most_processes: int = 4096
    least_oom_score: int = field(default_factory=confinement.least_oom_score)
    """The lowest score that the engine may give a process; it is raised to 0 where the engine is refused a lower one."""
    apparmor: bool = field(default_factory=confinement.has_apparmor)
    """Whether the machine enforces AppArmor."""
    admit: Callable[[Any], Verdict | None] = lambda _worker: None
    """Gets the worker of a pod that is new here; why it is not let in (``pods/door.py``)."""
    meters: Meters = field(default_factory=Meters)
    clock: Callable[[], float] = time.time
    files: ThreadPoolExecutor = field(default_factory=lambda: threads.pool(FILE_THREADS, "volumes"))
    """For work on files, which blocks. Nothing else runs here, and nothing that waits for anybody."""
    exports: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(EXPORT_THREADS, thread_name_prefix="exports")
    )
    """For the same work of pods with volumes of other machines, which may wait for those."""
    sandbox_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SANDBOXES_AT_ONCE))
    container_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONTAINERS_AT_ONCE))
