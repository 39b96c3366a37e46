"""Amounts on the command line and in tables: short names of resources, shares, bars."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from moorage.cli.options import fail
from moorage.resources import quantity

_SHORT = {
    "cpu": "requests.cpu",
    "memory": "requests.memory",
    "storage": "requests.storage",
    "ephemeral-storage": "requests.ephemeral-storage",
}
WIDTH = 20
FULL, EMPTY = "█", "░"
WARN = 0.9


def read_amounts(option: str, texts: Sequence[str]) -> dict[str, str]:
    """``cpu=8,memory=16Gi`` (given once or often) by resource; cpu, memory and storage stand for what is requested."""
    found: dict[str, str] = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        name, equals, amount = part.partition("=")
        if not equals or not name or not amount:
            fail(f'{option} "{part}": must be RESOURCE=AMOUNT, for example cpu=8 or memory=16Gi')
        try:
            quantity.parse(amount)
        except quantity.QuantityError:
            fail(f'{option} "{part}": {amount} is no amount; write 500m, 8, 16Gi, ...')
        found[_SHORT.get(name, name)] = amount
    return found


def share(used: str, hard: str) -> float:
    """How much of the limit is used; 1.0 where there is nothing to use."""
    limit = quantity.parse(hard).nanos
    return quantity.parse(used).nanos / limit if limit else 1.0


def bar(part: float) -> str:
    """``████░░░░░░░░░░░░░░░░``; characters that the terminal can show."""
    full, empty = FULL, EMPTY
    try:
        f"{full}{empty}".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        full, empty = "#", "-"
    count = min(WIDTH, max(0, round(part * WIDTH)))
    if part > 0 and count == 0:
        count = 1
    return full * count + empty * (WIDTH - count)


def fullest(hard: Mapping[str, str], used: Mapping[str, str]) -> tuple[str, float]:
    """The resource that is nearest to its limit, and its share; ("", 0.0) without limits."""
    shares = {name: share(used.get(name, "0"), limit) for name, limit in hard.items() if quantity.parse(limit).nanos}
    if not shares:
        return "", 0.0
    name = max(shares, key=lambda each: shares[each])
    return name, shares[name]
