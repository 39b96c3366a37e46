"""How much of the node's disk a pod takes: its emptyDir volumes, what its containers wrote into their own layers, their logs.

Source: the kubelet counts the same (``pkg/kubelet/eviction/helpers.go``: ``localEphemeralVolumeNames``, logs and rootfs).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from moorage_agent.engine.contract import Engine, NoSuchContainer, Places
from moorage_agent.pods.observed import Attempt
from moorage_agent.volumes.disk import size
from moorage_agent.volumes.store import VolumeStore


class Own(NamedTuple):
    """Bytes that a container takes by itself."""

    layer: float = 0.0
    log: float = 0.0

    @property
    def whole(self) -> float:
        """Both."""
        return self.layer + self.log


@dataclass(frozen=True, slots=True)
class Taken:
    """Bytes by emptyDir volume on disk, and by container (all its starts that are still there)."""

    volumes: Mapping[str, float] = field(default_factory=dict)
    containers: Mapping[str, Own] = field(default_factory=dict)

    @property
    def whole(self) -> float:
        """All of it."""
        return sum(self.volumes.values()) + sum(own.whole for own in self.containers.values())


class Pod(Protocol):
    """A pod as its worker knows it."""

    pod: Mapping[str, Any]

    def attempts(self) -> Mapping[str, Sequence[Attempt]]:
        """The starts of its containers, by name."""
        ...


class Disk:
    """Measures. Walks folders, so it is asked for pods with limits, under pressure, and where somebody looks."""

    def __init__(self, engine: Engine, volumes: VolumeStore, files: Executor) -> None:
        self._engine = engine
        self._volumes = volumes
        self._files = files
        self._places: dict[str, Places] = {}

    async def of(self, pod: Pod) -> Taken:
        """What the pod takes now. Raises EngineUnavailable."""
        volumes = {
            str(one["name"]): self._volumes.path(pod.pod, one)
            for one in pod.pod["spec"].get("volumes") or ()
            if one.get("emptyDir") is not None and one["emptyDir"].get("medium") != "Memory"
        }
        places = [
            (name, await self._places_of(start.container.id))
            for name, starts in pod.attempts().items()
            for start in starts
        ]
        return await asyncio.get_running_loop().run_in_executor(self._files, _measure, volumes, places)

    def keep(self, containers: set[str]) -> None:
        """Forget the places of all others."""
        self._places = {identity: places for identity, places in self._places.items() if identity in containers}

    async def _places_of(self, container: str) -> Places:
        known = self._places.get(container)
        if known is None:
            try:
                known = self._places[container] = await self._engine.places(container)
            except NoSuchContainer:
                return Places()
        return known


def _measure(volumes: Mapping[str, Path], places: Sequence[tuple[str, Places]]) -> Taken:
    containers: dict[str, Own] = {}
    for name, place in places:
        before = containers.get(name, Own())
        layer = size(Path(place.layer)) if place.layer else 0.0
        containers[name] = Own(before.layer + layer, before.log + (_log_size(Path(place.log)) if place.log else 0.0))
    return Taken({name: size(path) for name, path in volumes.items()}, containers)


def _log_size(log: Path) -> float:
    """Bytes of a log and of the files that it was rotated to, which stand beside it (``NAME.1``, ``NAME.2.gz``)."""
    try:
        with os.scandir(log.parent) as entries:
            return float(sum(entry.stat().st_blocks * 512 for entry in entries if entry.name.startswith(log.name)))
    except OSError:
        return 0.0
