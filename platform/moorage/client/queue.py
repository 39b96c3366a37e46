"""A work queue of keys: each key waits once, is worked on by one worker at a time, and comes back after failures, ever later.

Source: client-go's ``workqueue``. A key added while it is worked on is handed out again when it is done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class QueueStopped(Exception):
    """``get`` after ``stop``: there is nothing more to do."""


@dataclass(slots=True)
class QueueStats:
    """What happened to a queue so far. Times are seconds, summed over ``handled`` keys."""

    added: int = 0
    handled: int = 0
    retries: int = 0
    waited: float = 0.0
    worked: float = 0.0
    longest_wait: float = 0.0


class WorkQueue(Generic[K]):
    """For one event loop. ``first_delay`` and ``last_delay`` (seconds) bound the pause after a failure; it doubles each time."""

    def __init__(self, name: str = "", *, first_delay: float = 0.02, last_delay: float = 60.0) -> None:
        self.name = name
        self.stats = QueueStats()
        self._first_delay = first_delay
        self._last_delay = last_delay
        self._ready: deque[K] = deque()
        self._since: dict[K, float] = {}  # waiting keys, and since when
        self._working: dict[K, float] = {}  # handed out keys, and since when
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._stopped = False

    def __len__(self) -> int:
        """Keys that wait for a worker now."""
        return len(self._since)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is worked on (timers apart)."""
        return not self._since and not self._working

    def add(self, key: K) -> None:
        """Have ``key`` worked on soon. Nothing happens where it waits already, or after ``stop``."""
        if self._stopped or key in self._since:
            return
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self.stats.added += 1
        self._since[key] = _now()
        if key not in self._working:
            self._ready.append(key)
            self._wake()

    def add_after(self, key: K, seconds: float) -> None:
        """Have ``key`` worked on in ``seconds``, or sooner where something else asks. Of two timers the earlier counts."""
        if seconds <= 0:
            self.add(key)
            return
        if self._stopped or key in self._since:
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(when, self._due, key)

    def retry(self, key: K, at_least: float = 0.0) -> float:
        """Have a failed ``key`` worked on again; returns the pause in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.stats.retries += 1
        pause = max(min(self._first_delay * 2.0 ** min(failures, 60), self._last_delay), at_least)
        self.add_after(key, pause)
        return pause

    def forget(self, key: K) -> None:
        """``key`` went well: its next failure is its first."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key; call ``done`` with it afterwards. Raises QueueStopped."""
        while not self._ready:
            if self._stopped:
                raise QueueStopped(self.name)
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # the wake-up was for a worker; pass it on
                raise
        key = self._ready.popleft()
        now = _now()
        wait = now - self._since.pop(key)
        self.stats.waited += wait
        self.stats.longest_wait = max(self.stats.longest_wait, wait)
        self._working[key] = now
        return key

    def done(self, key: K) -> None:
        """The worker is finished with ``key``. Raises KeyError where it was not handed out."""
        self.stats.worked += _now() - self._working.pop(key)
        self.stats.handled += 1
        if key in self._since:
            self._ready.append(key)
            self._wake()

    def stop(self) -> None:
        """Take nothing more, drop timers and what waits (state is read again at the next start), wake idle workers."""
        self._stopped = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._ready.clear()
        self._since.clear()
        while self._waiters:
            self._wake()

    def _due(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


def _now() -> float:
    return asyncio.get_running_loop().time()
