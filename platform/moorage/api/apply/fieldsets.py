"""Sets of fields in the form in which managedFields carry them, and their algebra.

A set is the decoded ``fieldsV1``: an object whose keys are path elements (``f:`` field, ``k:`` item by its keys, ``v:`` item by
its value, ``i:`` item by its index) and whose values are the sets below them. A path is a member where its value is empty or
holds the key ``.``; the empty object at the root is the empty set. Sets are never changed: every function makes a new one, which
may share parts with its arguments. Source: KEP-555 and structured-merge-diff's fieldpath.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

FieldSet = dict[str, Any]

SELF: Final = "."
"""The key that says that a path with members below it is a member too."""


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """Members of either set."""
    if not left:
        return right
    result = dict(left)
    for key, other in right.items():
        mine = result.get(key)
        result[key] = other if mine is None else _union_below(mine, other)
    return result


def _union_below(mine: FieldSet, other: FieldSet) -> FieldSet:
    if not mine:
        return _with_self(other)
    if not other:
        return _with_self(mine)
    return union(mine, other)


def _with_self(below: FieldSet) -> FieldSet:
    return below if not below or SELF in below else {SELF: {}, **below}


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Members of ``left`` that are not members of ``right``."""
    result: FieldSet = {}
    for key, mine in left.items():
        other = right.get(key)
        if other is None:
            result[key] = mine
            continue
        below = difference(_below(mine), _below(other))
        if _is_member(mine) and not _is_member(other):
            result[key] = {SELF: {}, **below} if below else {}
        elif below:
            result[key] = below
    return result


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """Members of both sets."""
    result: FieldSet = {}
    for key, mine in left.items():
        other = right.get(key)
        if other is None:
            continue
        below = intersection(_below(mine), _below(other))
        if _is_member(mine) and _is_member(other):
            result[key] = {SELF: {}, **below} if below else {}
        elif below:
            result[key] = below
    return result


def has(fields: FieldSet, key: str) -> bool:
    """Whether the path of the one element ``key`` is a member."""
    below = fields.get(key)
    return below is not None and _is_member(below)


def below(fields: FieldSet, key: str) -> FieldSet:
    """The members below ``key``, as a set of their own."""
    return _below(fields.get(key) or {})


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """The members as people read them: ``.spec.containers[name="a"].image``. Sorted."""
    for key in sorted(fields):
        if key == SELF:
            continue
        path = prefix + element_text(key)
        if _is_member(fields[key]):
            yield path
        yield from paths(_below(fields[key]), path)


def element_text(key: str) -> str:
    """A path element as people read it."""
    kind, _, text = key.partition(":")
    if kind == "f":
        return f".{text}"
    if kind == "i":
        return f"[{text}]"
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return f"[{text}]"
    if kind == "k" and isinstance(value, dict):
        return "[" + ",".join(f"{name}={orjson.dumps(each).decode()}" for name, each in sorted(value.items())) + "]"
    return f"[={text}]"


def _is_member(below_it: FieldSet) -> bool:
    return not below_it or SELF in below_it


def _below(fields: FieldSet) -> FieldSet:
    return {key: value for key, value in fields.items() if key != SELF} if SELF in fields else fields
