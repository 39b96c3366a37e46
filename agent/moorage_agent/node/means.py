"""What one node has left of memory, disk and process ids, what it says of it, and whom it takes on meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from moorage_agent.node import eviction, machine, thresholds
from moorage_agent.node.eviction import Steady
from moorage_agent.node.machine import Pressure
from moorage_agent.node.thresholds import HARD, Met


class Means:
    """``folder`` is on the file system that pods fill, ``images`` tells where the engine keeps its own (None: unknown),
    ``group`` is the control group of the node's containers, ``hard`` replaces thresholds by signal.
    """

    def __init__(
        self,
        folder: Path,
        *,
        images: Callable[[], Path | None] = lambda: None,
        group: str = "",
        hard: Mapping[str, str] | None = None,
        transition: float = eviction.TRANSITION,
    ) -> None:
        self._folder = folder
        self._images = images
        self._group = group
        self._hard = {**HARD, **(hard or {})}
        self._steady = Steady(transition)

    def passed(self) -> list[Met]:
        """The thresholds that are passed now. Raises OSError."""
        return thresholds.met(machine.levels(self._folder, self._images(), self._group), self._hard)

    def reported(self) -> Pressure:
        """What the node's conditions say: what holds, or held a short while ago. Raises OSError."""
        return self._steady.of(thresholds.pressure(self.passed()), time.monotonic())

    def used_share(self) -> float:
        """How much is used of the disk that images are on. Raises OSError."""
        images = self._images()
        return machine.used_share(images if images is not None and images.is_dir() else self._folder)

    def unwilling(self, pod: Mapping[str, Any]) -> str:
        """Why a new pod is not taken on for now, "" where it is."""
        return eviction.refusal(pod, self.reported())
