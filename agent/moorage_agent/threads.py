"""Threads that are there before they are needed: on a machine whose process ids have run out, none can be made."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

START_SECONDS = 30.0


def pool(size: int, name: str) -> ThreadPoolExecutor:
    """A pool whose ``size`` threads run already. Raises RuntimeError where they cannot be made."""
    made = ThreadPoolExecutor(max_workers=size, thread_name_prefix=name)
    together = threading.Barrier(size + 1)
    for _ in range(size):
        made.submit(together.wait, START_SECONDS)
    together.wait(START_SECONDS)
    return made
