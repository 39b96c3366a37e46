"""Broken rules in Kubernetes' words: one constructor for each reason of ``field.Error``.

Values are shown as Kubernetes shows them: strings quoted, numbers and booleans bare, the rest as compact JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from moorage.resources.kind import FieldError

IMMUTABLE = "field is immutable"
NOT_NEGATIVE = "must be greater than or equal to 0"


def quoted(text: str) -> str:
    """``text`` in double quotes, control characters escaped."""
    return orjson.dumps(text).decode()


def shown(value: Any) -> str:
    """How a message shows ``value``."""
    if value is None:
        return "null"
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _detailed(text: str, detail: str) -> str:
    return f"{text}: {detail}" if detail else text


def invalid(path: str, value: Any, detail: str) -> FieldError:
    """A malformed value."""
    return FieldError(path, "FieldValueInvalid", _detailed(f"Invalid value: {shown(value)}", detail))


def required(path: str, detail: str = "") -> FieldError:
    """A value that must be given and is not."""
    return FieldError(path, "FieldValueRequired", _detailed("Required value", detail))


def duplicate(path: str, value: Any) -> FieldError:
    """A value that must be unique and is not."""
    return FieldError(path, "FieldValueDuplicate", f"Duplicate value: {shown(value)}")


def not_found(path: str, value: Any) -> FieldError:
    """A reference to something that is not there."""
    return FieldError(path, "FieldValueNotFound", f"Not found: {shown(value)}")


def not_supported(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    """A value outside of an enumeration; ``supported`` is shown in order."""
    choices = ", ".join(quoted(choice) for choice in supported)
    detail = f"supported values: {choices}" if choices else ""
    return FieldError(path, "FieldValueNotSupported", _detailed(f"Unsupported value: {shown(value)}", detail))


def forbidden(path: str, detail: str) -> FieldError:
    """A value that is well formed and not allowed here."""
    return FieldError(path, "FieldValueForbidden", _detailed("Forbidden", detail))


def too_long(path: str, limit: int, unit: str = "bytes") -> FieldError:
    """A value longer than ``limit``; it is not shown."""
    return FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {limit} {unit}")


def too_many(path: str, count: int, limit: int) -> FieldError:
    """A list with more than ``limit`` items."""
    return FieldError(path, "FieldValueTooMany", f"Too many: {count}: must have at most {limit} items")


def immutable(path: str, new: Any, old: Any) -> list[FieldError]:
    """One error where ``new`` differs from ``old``."""
    return [] if new == old else [invalid(path, new, IMMUTABLE)]


def not_negative(path: str, value: int) -> list[FieldError]:
    """One error where ``value`` is below 0."""
    return [] if value >= 0 else [invalid(path, value, NOT_NEGATIVE)]
