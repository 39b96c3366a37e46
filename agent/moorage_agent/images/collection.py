"""Images that the agent fetched, and removing those that no pod needs when the disk fills.

Source of the order: the kubelet's ``image_gc_manager.go``.

Only what the agent itself has fetched is ever removed: the engine may be somebody's who keeps images of their own on it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from collections.abc import Collection as Names
from pathlib import Path

import orjson

from moorage_agent.engine.contract import Engine, EngineError, EngineUnavailable

log = logging.getLogger(__name__)

YOUNGEST = 120.0
"""Seconds for which a fetched image stays in any case: its container may not have been made yet (the kubelet's minimum age)."""


class Collection:
    """What was fetched, by name, with the time; kept in ``file`` across restarts."""

    def __init__(self, engine: Engine, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._file = file
        self._clock = clock
        self._fetched: dict[str, float] = {}
        self._used: dict[str, float] = {}
        if file.exists():
            try:
                self._fetched = {str(name): float(at) for name, at in orjson.loads(file.read_bytes()).items()}
            except (ValueError, AttributeError, TypeError) as error:
                log.warning("%s is broken, so images fetched before are not removed: %s", file, error)

    def add(self, name: str) -> None:
        """An image was fetched just now."""
        self._fetched[name] = self._clock()
        self._save()

    def use(self, needed: Names[str]) -> None:
        """These are needed now."""
        now = self._clock()
        self._used.update({name: now for name in needed if name in self._fetched})

    async def collect(self, needed: Names[str], enough: Callable[[], bool] = lambda: False) -> int:
        """Remove fetched images that are not ``needed``, those first that nobody has used for longest, until there is
        ``enough`` room; how many went. Raises EngineUnavailable.
        """
        removed = 0
        now = self._clock()
        for name, at in sorted(self._fetched.items(), key=lambda entry: self._used.get(*entry)):
            if name in needed or now - at < YOUNGEST:
                continue
            if removed and enough():
                break
            try:
                await self._engine.remove_image(name)
            except EngineUnavailable:
                raise
            except EngineError as error:
                log.info("image %s stays: %s", name, error)
                continue
            del self._fetched[name]
            self._used.pop(name, None)
            removed += 1
            log.info("image %s removed: the disk fills, and no pod needs it", name)
        if removed:
            self._save()
        return removed

    def _save(self) -> None:
        temporary = self._file.with_suffix(".new")
        try:
            temporary.write_bytes(orjson.dumps(self._fetched))
            temporary.replace(self._file)
        except OSError as error:  # a full disk must not keep images from being removed
            log.warning("%s: %s", self._file, error)
