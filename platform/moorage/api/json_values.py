"""Small helpers over JSON values."""

from __future__ import annotations

from typing import Any

import orjson


def copied(value: Any) -> Any:
    """A copy that shares no container with ``value``. Through JSON and back: several times faster than walking it."""
    return orjson.loads(orjson.dumps(value)) if isinstance(value, dict | list) else value


def equal(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 equals 1.0, but not true; members of objects in any order."""
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(equal(value, right[key]) for key, value in left.items())
        )
    if isinstance(left, list):
        return (
            isinstance(right, list)
            and len(left) == len(right)
            and all(equal(one, other) for one, other in zip(left, right, strict=True))
        )
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def type_name(value: Any) -> str:
    """What Go's decoder calls a JSON value's type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else "number"
