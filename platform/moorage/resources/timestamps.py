"""Times as Kubernetes writes them (RFC 3339, UTC, whole seconds or microseconds) and ages as kubectl prints them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_LAYOUT = "2006-01-02T15:04:05Z07:00"
_SHAPE = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))")
_STEPS = (
    (re.compile(r"\d{4}"), "2006"),
    (re.compile("-"), "-"),
    (re.compile(r"\d\d"), "01"),
    (re.compile("-"), "-"),
    (re.compile(r"\d\d"), "02"),
    (re.compile("T"), "T"),
    (re.compile(r"\d\d"), "15"),
    (re.compile(":"), ":"),
    (re.compile(r"\d\d"), "04"),
    (re.compile(":"), ":"),
    (re.compile(r"\d\d(?:[.,]\d+)?"), "05"),
    (re.compile(r"Z|[+-]\d\d:\d\d"), "Z07:00"),
)


class TimeError(ValueError):
    """A text that is no RFC 3339 time; says which part is wrong."""


def parse(text: str) -> datetime:
    """The moment that ``text`` names, aware and in UTC. Raises TimeError, worded as Kubernetes' decoder words it."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise TimeError(_syntax_problem(text))
    year, month, day, hour, minute, second, fraction, sign, off_hours, off_minutes = match.groups()
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    for name, value, limit in (("hour", hour, 23), ("minute", minute, 59), ("second", second, 59)):
        if int(value) > limit:
            raise TimeError(f'parsing time "{text}": {name} out of range')
    if not 1 <= int(month) <= 12:
        raise TimeError(f'parsing time "{text}": month out of range')
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), micros, tzinfo=UTC)
    except ValueError as error:
        raise TimeError(f'parsing time "{text}": day out of range') from error
    if not sign:
        return moment
    if int(off_hours) > 24 or int(off_minutes) > 60:
        raise TimeError(f'parsing time "{text}": time zone offset hour out of range')
    offset = timedelta(hours=int(off_hours), minutes=int(off_minutes))
    try:
        return moment - offset if sign == "+" else moment + offset
    except OverflowError as error:
        raise TimeError(f'parsing time "{text}": year out of range') from error


def _syntax_problem(text: str) -> str:
    rest = text
    for pattern, element in _STEPS:
        match = pattern.match(rest)
        if match is None:
            return f'parsing time "{text}" as "{_LAYOUT}": cannot parse "{rest}" as "{element}"'
        rest = rest[match.end() :]
    return f'parsing time "{text}": extra text: "{rest}"'


def canonical(text: str) -> str:
    """``text`` as metav1.Time writes it: UTC, whole seconds. Raises TimeError."""
    return parse(text).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def canonical_micro(text: str) -> str:
    """``text`` as metav1.MicroTime writes it: UTC, six digits. Raises TimeError."""
    return parse(text).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


@lru_cache(8192)
def seconds(text: str) -> float:
    """Seconds since the epoch. Raises TimeError."""
    return parse(text).timestamp()


def human_duration(span: float) -> str:
    """``95s``, ``5m30s``, ``3h10m``, ``2d4h``, ``40d``, ``3y20d``: two units at most, coarser with age, as kubectl prints it."""
    whole = int(span)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return _pair(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return _pair(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        return _pair(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    years = days // 365
    return _pair(years, "y", days % 365, "d") if years < 8 else f"{years}y"


def _pair(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def age(text: str | None, now: float) -> str:
    """How long ago ``text`` was, at ``now`` (seconds since the epoch); ``<unknown>`` where there is no time."""
    return human_duration(now - seconds(text)) if text else "<unknown>"
