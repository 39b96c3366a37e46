"""Limits on how many rows refusals make: who floods the API with what is refused must not fill the disk.

What goes beyond a limit is counted. The count goes with the user's next row, or into a row of its own once the user has been
quiet for a while. Refused logins have no user: they are limited by address, and all of them together.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

RATE, BURST = 10.0, 200.0
"""Rows a second and user, over time; and how many at once."""
USERS = 10_000
QUIET = 60.0
"""Seconds after which what was kept back is told although nothing else came."""
ADDRESS_RATE, ADDRESS_BURST = 1.0, 30.0
LOGINS = ""
"""Stands for all addresses together."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    kept_back: int = 0


class Meter:
    """A token bucket for each user. ``clock`` counts seconds."""

    def __init__(self, clock: Callable[[], float], rate: float = RATE, burst: float = BURST) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._left_over: list[tuple[str, int]] = []
        self._looked = clock()

    def take(self, user: str, carried: int = 0) -> int | None:
        """None where the user has had enough rows; else how many were kept back since the last one. ``carried`` were kept
        back elsewhere, and are told with these.
        """
        now = self._clock()
        bucket = self._buckets.get(user)
        if bucket is None:
            bucket = self._buckets[user] = _Bucket(self._burst, now)
            if len(self._buckets) > USERS:
                self._drop(*self._buckets.popitem(last=False))
        self._buckets.move_to_end(user)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.tokens < 1:
            bucket.kept_back += 1 + carried
            return None
        bucket.tokens -= 1
        kept_back, bucket.kept_back = bucket.kept_back + carried, 0
        return kept_back

    def forgotten(self) -> Iterator[tuple[str, int]]:
        """Users who have been quiet, and how many of their rows were kept back; each once. Looks at most twice a minute."""
        now = self._clock()
        if now - self._looked >= QUIET / 2:
            self._looked = now
            # The quietest come first.
            while self._buckets and now - next(iter(self._buckets.values())).at >= QUIET:
                self._drop(*self._buckets.popitem(last=False))
        while self._left_over:
            yield self._left_over.pop()

    def _drop(self, user: str, bucket: _Bucket) -> None:
        if bucket.kept_back:
            self._left_over.append((user, bucket.kept_back))


class LoginMeter:
    """The limits of refused logins: of each address (of each /64 for IPv6), and of all of them together."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._each = Meter(clock, ADDRESS_RATE, ADDRESS_BURST)
        self._all = Meter(clock)

    def take(self, address: str) -> int | None:
        """None where there have been enough rows; else how many were kept back since the last one."""
        own = self._each.take(network(address))
        return None if own is None else self._all.take(LOGINS, own)

    def forgotten(self) -> Iterator[tuple[str, int]]:
        """Nobody's name, and how many rows were kept back."""
        count = sum(count for _, count in (*self._each.forgotten(), *self._all.forgotten()))
        if count:
            yield "system:anonymous", count


def network(address: str) -> str:
    """What one sender is taken for: an IPv4 address, or the /64 of an IPv6 address, of which anybody has as many as wanted."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
