"""Choosing a free address or port: at random, then by looking at all. Pure but for the question whether one is free."""

from __future__ import annotations

import itertools
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

NODE_PORTS = range(30000, 32768)
PORTS_BY_HAND = 86
"""Ports at the start of the range that are left to those who choose by hand (KEP-3668)."""
TRIES = 32
"""Random candidates before the range is walked; a range that is half full is missed so often once in 4,000 million times."""
_BAND_LEAST, _BAND_MOST, _BAND_STEP = 16, 256, 16

_random: random.Random = random.SystemRandom()


def band(size: int) -> int:
    """How many addresses at the start of a range are left to those who choose by hand (KEP-3070)."""
    return 0 if size < _BAND_LEAST else max(_BAND_LEAST, min(_BAND_MOST, size // _BAND_STEP))


def family(address: Address | Network) -> str:
    """``IPv4`` or ``IPv6``."""
    return f"IPv{address.version}"


def networks(cidrs: Sequence[str]) -> list[Network]:
    """Parsed."""
    return [ip_network(cidr, strict=False) for cidr in cidrs]


def usable(network: Network, address: Address) -> bool:
    """Whether a Service may have ``address`` of ``network``: neither the network's own nor, in IPv4, its broadcast address."""
    if address not in network or address == network.network_address:
        return False
    return network.version == 6 or address != network.broadcast_address


def first(network: Network) -> Address:
    """The address of the API's own Service."""
    return network.network_address + 1


async def free_address(network: Network, taken: Callable[[str], Awaitable[bool]]) -> str | None:
    """An address of ``network`` that nobody has, above the band for choices by hand where there is one; None: all are taken."""
    last = min(network.num_addresses - (2 if network.version == 4 else 1), 2**20)
    low = 1 + band(network.num_addresses)
    for _ in range(TRIES):
        if low > last:
            break
        candidate = str(network.network_address + _random.randint(low, last))
        if not await taken(candidate):
            return candidate
    for offset in [*range(low, last + 1), *range(2, low)]:
        candidate = str(network.network_address + offset)
        if not await taken(candidate):
            return candidate
    return None


async def free_port(taken: Callable[[int], Awaitable[bool]]) -> int | None:
    """A node port that nobody has, above the band for choices by hand; None: all are taken."""
    low = NODE_PORTS.start + PORTS_BY_HAND
    for _ in range(TRIES):
        candidate = int(_random.randrange(low, NODE_PORTS.stop))
        if not await taken(candidate):
            return candidate
    walk: Iterable[int] = itertools.chain(range(low, NODE_PORTS.stop), range(NODE_PORTS.start, low))
    for number in walk:
        if not await taken(number):
            return number
    return None
