"""Requests that take too long are ended. One timer looks after all of them.

[measured] ``asyncio.timeout`` costs about 4 us a request, a twentieth of a GET; an entry in a dictionary costs 0.2 us.
"""

from __future__ import annotations

import asyncio
from typing import Any

SWEEPS = 10
"""Looks at the requests in one allowance of time: no request takes more than a tenth longer than it may."""


class Deadlines:
    """The requests under way. ``seconds`` is what each may take."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> asyncio.Task[Any]:
        """From now on the current task is on the clock; give the result to ``end``."""
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        self._begun[task] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._seconds / SWEEPS, self._sweep)
        return task

    def end(self, task: asyncio.Task[Any]) -> bool:
        """The task is done with its request, or has let go of the clock. Whether it was cancelled for being overdue."""
        self._begun.pop(task, None)
        if task not in self._overdue:
            return False
        self._overdue.discard(task)
        task.uncancel()
        return True

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self._timer = None
        if not self._begun:
            return
        loop = asyncio.get_running_loop()
        limit = loop.time() - self._seconds
        for task, begun in tuple(self._begun.items()):
            if begun <= limit:
                del self._begun[task]
                self._overdue.add(task)
                task.cancel("the request took too long")
        self._timer = loop.call_later(self._seconds / SWEEPS, self._sweep)
