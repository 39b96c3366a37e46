"""Containers that an engine lost: their processes were ended by the agent, the engine believes that they were never started.

They must not be started again under the same number, or a start would not be counted. So a note of each is kept in a file.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import orjson

from moorage_agent.engine.contract import Container, State

log = logging.getLogger(__name__)

KILLED = 137
"""The exit code of a process that SIGKILL ended (128 + 9)."""


class Lost:
    """Notes, by container id: the time (seconds since the epoch) at which its processes were ended."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        self._ended: dict[str, float] = {}
        if file.exists():
            try:
                self._ended = {str(identity): float(at) for identity, at in orjson.loads(file.read_bytes()).items()}
            except (ValueError, AttributeError, TypeError) as error:
                log.warning("%s is broken; containers that the engine lost may be started anew: %s", file, error)

    def add(self, container: str) -> None:
        """Its processes are about to be ended."""
        self._ended[container] = self._clock()
        self._save()

    def keep(self, containers: Collection[str]) -> None:
        """Forget all others: the engine does not have them any more."""
        if not self._ended.keys() <= set(containers):
            self._ended = {identity: at for identity, at in self._ended.items() if identity in containers}
            self._save()

    def seen(self, container: Container) -> Container:
        """A container as it is: one that the engine shows as never started, though it was, has ended."""
        at = self._ended.get(container.id)
        if at is None or container.state is not State.CREATED or container.error:
            return container
        return replace(container, state=State.EXITED, started=container.created, finished=at, exit_code=KILLED)

    def _save(self) -> None:
        temporary = self._file.with_suffix(".new")
        try:
            temporary.write_bytes(orjson.dumps(self._ended))
            temporary.replace(self._file)
        except OSError as error:  # a full disk must not keep processes from being ended
            log.warning("%s: %s", self._file, error)
