"""Int-or-string: ``8080`` or ``"http"`` (ports), ``1`` or ``"25%"`` (rollouts). Source: apimachinery ``intstr``."""

from __future__ import annotations

import re

IntOrString = int | str

_percent = re.compile(r"[0-9]+%").fullmatch

PERCENT_MESSAGE = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)


def percent(value: IntOrString) -> int | None:
    """25 for ``"25%"``; None where it is no percentage."""
    if isinstance(value, str) and _percent(value):
        return int(value[:-1])
    return None


def scaled(value: IntOrString, total: int, *, round_up: bool) -> int:
    """``value`` itself, or that percentage of ``total`` (rounded as told). Raises ValueError for other strings."""
    if isinstance(value, int):
        return value
    share = percent(value)
    if share is None:
        raise ValueError(f'invalid value for IntOrString: "{value}"')
    product = share * total
    return -(-product // 100) if round_up else product // 100
