"""What the API has acknowledged, so that it can be held to it after any number of kills.

Each name is written by one writer, one write at a time. A write that was answered is *acknowledged*. One whose
answer was lost is *possible*: it
happened, or not, or will within moments (PostgreSQL goes on with a batch whose client was killed), but nothing in
between. A possible write is
decided by the first read that comes later than ``GRACE`` seconds after the loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ABSENT = -1
"""The value of a name that does not exist."""
GRACE = 5.0
"""Seconds within which the database ends a batch of a client that is gone."""


@dataclass(slots=True)
class Name:
    """One object's history: the last acknowledged value, and the values that unanswered writes may leave (with the
    time of the loss).
    """

    acknowledged: int = ABSENT
    possible: dict[int, float] = field(default_factory=dict)

    def answer(self, value: int) -> None:
        """A write was acknowledged."""
        self.acknowledged = value

    def lose(self, value: int, now: float) -> None:
        """The answer to a write was lost."""
        self.possible[value] = now

    def allows(self, value: int) -> bool:
        """Whether the store may hold ``value``."""
        return value == self.acknowledged or value in self.possible

    def learn(self, value: int, now: float) -> None:
        """The store was read at ``now`` and holds ``value``."""
        self.acknowledged = value
        self.possible = {other: lost for other, lost in self.possible.items() if lost + GRACE > now}
