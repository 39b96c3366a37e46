"""Quantities (``100m``, ``1.5Gi``, ``1e3``): parse, print as Kubernetes prints them, compare, add.

Source: "Quantity" in the Kubernetes API reference and API conventions. Values finer than a nano are rounded up (away from zero).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

FORMAT_MESSAGE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_MESSAGE = "unable to parse quantity's suffix"

_SHAPE = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL_NAMES = {power: name for name, power in _DECIMAL.items()}
_BINARY_NAMES = {power: name for name, power in _BINARY.items()}
_EXPONENT = re.compile(r"[eE]([-+]?[0-9]+)")
_LARGEST = 2**63 - 1
NANO = 10**9
MOST = 2**53
"""What one object counts for at most, where amounts are added up in 64 bits (a database's, NumPy's): more than there is of
anything, and small enough for the sum over many objects.
"""
_LONGEST = 256


class QuantityError(ValueError):
    """A text that is no quantity."""


class Quantity(NamedTuple):
    """``nanos`` is the value times 10**9 (exact); ``form`` is the notation that it is printed in."""

    nanos: int
    form: str = "decimal"

    def __str__(self) -> str:
        return _print(self.nanos, self.form)


@lru_cache(16384)
def parse(text: str) -> Quantity:
    """The quantity that ``text`` names. Raises QuantityError."""
    match = _SHAPE.fullmatch(text)
    if not text or len(text) > _LONGEST or match is None or not (match[2] or match[3]):
        raise QuantityError(FORMAT_MESSAGE)
    sign, whole, fraction, suffix = match.groups()
    fraction = fraction or ""
    if suffix in _BINARY:
        form, scale = "binary", Fraction(1024 ** _BINARY[suffix])
    elif suffix in _DECIMAL:
        form, scale = "decimal", Fraction(10) ** _DECIMAL[suffix]
    elif exponent := _EXPONENT.fullmatch(suffix):
        form, scale = "exponent", Fraction(10) ** max(-1000, min(1000, int(exponent[1])))
    else:
        raise QuantityError(SUFFIX_MESSAGE)
    exact = Fraction(int(whole + fraction or "0"), 10 ** len(fraction)) * scale * NANO
    nanos = -(-exact.numerator // exact.denominator)
    nanos = min(nanos, _LARGEST * NANO)
    if form == "binary" and 0 < nanos < 1024 * NANO:
        form = "decimal"
    return Quantity(-nanos if sign == "-" else nanos, form)


def _print(nanos: int, form: str) -> str:
    if nanos == 0:
        return "0"
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    if form == "binary" and nanos >= 1024 * NANO and nanos % NANO == 0:
        value, power = nanos // NANO, 0
        while power < 6 and value % 1024 == 0:
            value, power = value // 1024, power + 1
        return f"{sign}{value}{_BINARY_NAMES.get(power, '')}"
    value, exponent = nanos, -9
    while value % 1000 == 0 and (exponent < 18 or form == "exponent"):
        value, exponent = value // 1000, exponent + 3
    if form == "exponent":
        return f"{sign}{value}e{exponent}" if exponent else f"{sign}{value}"
    return f"{sign}{value}{_DECIMAL_NAMES[exponent]}"


@lru_cache(16384)
def canonical(text: str) -> str:
    """``text`` as Kubernetes prints it: ``1000m`` is ``1``, ``1024Mi`` is ``1Gi``. Raises QuantityError."""
    return str(parse(text))


@lru_cache(16384)
def canonical_resource(text: str) -> str:
    """As ``canonical``, rounded up to whole millis, as defaulting does in lists of resources."""
    quantity = parse(text)
    return str(Quantity(-(-quantity.nanos // 1_000_000) * 1_000_000, quantity.form))


@lru_cache(16384)
def milli(text: str) -> int:
    """Thousandths, rounded up: CPU in millicores. Raises QuantityError."""
    return -(-parse(text).nanos // 1_000_000)


@lru_cache(16384)
def whole(text: str) -> int:
    """Units, rounded up: memory in bytes, counts. Raises QuantityError."""
    return -(-parse(text).nanos // NANO)


def compare(left: str, right: str) -> int:
    """-1, 0 or 1."""
    a, b = parse(left).nanos, parse(right).nanos
    return (a > b) - (a < b)


def add(left: Quantity, right: Quantity) -> Quantity:
    """The sum, in the notation of the first that is not zero."""
    return Quantity(left.nanos + right.nanos, left.form if left.nanos else right.form)


def total(texts: Iterable[str]) -> Quantity:
    """The sum of quantities given as text."""
    result = Quantity(0)
    for text in texts:
        result = add(result, parse(text))
    return result
