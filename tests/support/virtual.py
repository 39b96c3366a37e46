"""An event loop whose time jumps: where nothing is left to do but wait, the clock moves to the next timer at once.

For code that waits only on timers and on other tasks of the same loop; sockets, threads and processes live in real time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

LONGEST = 30 * 24 * 3600.0
"""Virtual seconds after which a test hangs for sure."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """``time()`` starts at 0 and moves only by jumps."""

    def __init__(self) -> None:
        self._virtual_now = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_now

    def jump(self, seconds: float) -> None:
        """Move the clock on."""
        self._virtual_now += seconds
        if self._virtual_now > LONGEST:
            raise AssertionError(f"nothing happened within {LONGEST} virtual seconds")


class _Jumping(selectors.SelectSelector):
    """Never waits: what the loop would have waited for, the clock jumps over."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now."""
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("the test waits for something that no timer and no task will bring about")
        if not ready and timeout:
            self._loop.jump(timeout)
        return ready


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
