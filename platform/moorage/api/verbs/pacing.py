"""How often those who watch one collection are served: where a change goes to many, all of them rest a little afterwards.

[measured] A delivery costs 50 to 100 us, most of it a system call, whether it carries one change or ten. With 100 watchers of 200
changes a second that is a core; served at most once in 12 ms they get the same changes in half the deliveries, each of them
sooner, because nothing waits behind work that there is no time for. A change that comes after a quiet moment is not held, nor
is one that goes to a few.
"""

from __future__ import annotations

import asyncio

FEW = 12
"""Deliveries in one turn of the event loop after which nobody rests."""
SHARE = 0.00012
"""Seconds of rest for each delivery of the turn: a little more than what it costs."""
LONGEST = 0.05
"""Seconds that a watcher rests at the most."""


class Pace:
    """The rest that the watchers of one collection share."""

    def __init__(self) -> None:
        self._served = 0
        self._over: asyncio.Event | None = None

    async def rest(self) -> None:
        """Called after each delivery; returns when the next one is due."""
        over = self._over
        if over is None:
            over = self._over = asyncio.Event()
            # By then all that were woken by the same commit have been served and counted.
            asyncio.get_running_loop().call_soon(self._decide)
        self._served += 1
        await over.wait()

    def _decide(self) -> None:
        if self._served <= FEW:
            self._end()
        else:
            asyncio.get_running_loop().call_later(min(self._served * SHARE, LONGEST), self._end)

    def _end(self) -> None:
        over, self._over, self._served = self._over, None, 0
        if over is not None:
            over.set()
