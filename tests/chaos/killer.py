"""Ends parts of an installation with SIGKILL, one at a time or two at once, at seeded random moments."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from pathlib import Path

PAUSE = (2.0, 6.0)
"""Seconds between kills."""


class Killer:
    """Kills parts by the pids that the supervisor wrote down; never anything else."""

    def __init__(self, data_dir: Path, seed: int) -> None:
        self._record = data_dir / "run" / "supervisor.json"
        self._random = random.Random(seed)
        self.kills: list[str] = []

    async def run(self, seconds: float) -> None:
        """Kill for ``seconds``."""
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            await asyncio.sleep(self._random.uniform(*PAUSE))
            for part in self._random.sample(self._parts(), k=self._random.choice([1, 1, 2])):
                self.kill(part)

    def states(self) -> dict[str, str]:
        """What the supervisor says of each part."""
        return {part["name"]: part["state"] for part in self._read()}

    def _parts(self) -> list[str]:
        return sorted(part["name"] for part in self._read())

    def _read(self) -> list[dict[str, str]]:
        parts: list[dict[str, str]] = json.loads(self._record.read_text())["parts"]
        return parts

    def kill(self, name: str) -> None:
        """Kill a part, unless it is being started."""
        part = next(part for part in self._read() if part["name"] == name)
        pid = int(part["pid"])
        if part["state"] == "ready" and pid > 1:
            self.kills.append(name)
            os.kill(pid, signal.SIGKILL)
