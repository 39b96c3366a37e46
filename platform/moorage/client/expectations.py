"""What a controller has asked for and not yet seen: keeps it from acting twice on a cache that lags behind its own writes.

Source: Kubernetes' ``controller_utils.go`` (ControllerExpectations). Creations are counted, deletions are known by uid.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

TIMEOUT = 300.0
"""Seconds after which an expectation is given up: an event was missed, and the cache is to be believed."""


@dataclass(slots=True)
class _Expected:
    creations: int
    deletions: set[str]
    since: float = field(default_factory=lambda: asyncio.get_running_loop().time())


class Expectations:
    """By key of the owner."""

    def __init__(self) -> None:
        self._by_key: dict[Hashable, _Expected] = {}

    def satisfied(self, key: Hashable) -> bool:
        """Whether all that was asked for under ``key`` has been seen (or is overdue), so that the cache may be acted upon."""
        expected = self._by_key.get(key)
        if expected is None:
            return True
        if expected.creations <= 0 and not expected.deletions:
            return True
        return asyncio.get_running_loop().time() - expected.since > TIMEOUT

    def expect(self, key: Hashable, *, creations: int = 0, deletions: Iterable[str] = ()) -> None:
        """About to create this many objects and to delete these uids. Replaces what was expected before."""
        self._by_key[key] = _Expected(creations, set(deletions))

    def created(self, key: Hashable, count: int = 1) -> None:
        """Objects appeared, or their creation failed."""
        expected = self._by_key.get(key)
        if expected is not None:
            expected.creations -= count

    def deleted(self, key: Hashable, uid: str) -> None:
        """An object is gone or going, or its deletion failed."""
        expected = self._by_key.get(key)
        if expected is not None:
            expected.deletions.discard(uid)

    def forget(self, key: Hashable) -> None:
        """The owner is gone."""
        self._by_key.pop(key, None)
