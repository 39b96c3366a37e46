"""A limit on how many rows one user's refusals make: who floods the API with what is refused must not fill the disk.

What goes beyond it is counted, and the count goes with the user's next row.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

RATE = 10.0
"""Rows a second and user, over time."""
BURST = 200.0
USERS = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    kept_back: int = 0


class Meter:
    """A token bucket for each user. ``clock`` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, user: str) -> int | None:
        """None where the user has had enough rows; else how many were kept back since the last one."""
        now = self._clock()
        bucket = self._buckets.get(user)
        if bucket is None:
            bucket = self._buckets[user] = _Bucket(BURST, now)
            if len(self._buckets) > USERS:
                self._buckets.popitem(last=False)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.at) * RATE)
        bucket.at = now
        if bucket.tokens < 1:
            bucket.kept_back += 1
            return None
        bucket.tokens -= 1
        kept_back, bucket.kept_back = bucket.kept_back, 0
        return kept_back
