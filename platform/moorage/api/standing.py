"""What lasts stands on a right: watches, followed logs, exec. When the right is taken away, it ends.

Kubernetes asks once, when they begin. See ``docs/decisions/what-lasts-ends-with-its-right.md``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from moorage.api.contracts import Standing
from moorage.store.contracts import Unavailable

log = logging.getLogger(__name__)

SECONDS = 0.5
"""How often it is looked whether rights have changed."""
AT_ONCE = 100
"""Rights that are asked for anew before others get their turn."""
REVOKED = "the right to this was taken away"


@dataclass(slots=True, eq=False)
class _Held:
    standing: Standing
    end: Callable[[], None]
    stamp: int | None


class Standings:
    """All that lasts at this server and may be ended. ``run`` looks after it until it is cancelled."""

    def __init__(self) -> None:
        self._held: set[_Held] = set()

    @contextmanager
    def held(self, standing: Standing | None, end: Callable[[], None]) -> Iterator[None]:
        """Call ``end`` where the right goes before the context does. None: nobody can take it away."""
        if standing is None:
            yield
            return
        held = _Held(standing, end, standing.stamp)
        self._held.add(held)
        try:
            yield
        finally:
            self._held.discard(held)

    async def run(self) -> None:
        """Look, and look again."""
        while True:
            await asyncio.sleep(SECONDS)
            try:
                await self.look()
            except Unavailable as error:
                log.warning("whether open streams are still allowed could not be asked, trying on: %s", error)

    async def look(self) -> None:
        """End what has lost its right. Raises Unavailable."""
        for number, held in enumerate(tuple(self._held)):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            stamp = held.standing.stamp
            if stamp is not None and stamp == held.stamp:
                continue
            if await held.standing.holds():
                held.stamp = stamp
            elif held in self._held:
                self._held.discard(held)
                held.end()
