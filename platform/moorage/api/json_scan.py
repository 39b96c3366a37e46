"""What the fast JSON parser does not tell: duplicate keys, U+0000, lone surrogates, depth.

Each check has a cheap form that is exact where it says "no", so that ordinary bodies cost a few byte counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import orjson

_SHALLOW: Final = 150


def check(body: bytes, value: Any, max_depth: int) -> None:
    """Raise ValueError for a value that the store cannot keep (U+0000) or that is too deep, naming the field."""
    if body.count(b"{") + body.count(b"[") > _SHALLOW:
        _check_depth(value, max_depth)
    if b"\\u0000" in body:
        check_text(value)


def check_text(value: Any) -> None:
    """Raise ValueError where a string or key holds U+0000 or a lone surrogate, naming the field."""
    for path, text in _strings(value):
        if "\x00" in text:
            raise ValueError(f"{path}: Invalid value: must not contain the character U+0000")
        if not _encodes(text):
            raise ValueError(f"{path}: Invalid value: must not contain a lone surrogate")


def lone_surrogate(text: str) -> str | None:
    """Where a JSON text that the fast parser refused holds a lone surrogate: which field; else None."""
    if "\\u" not in text:
        return None
    try:
        check_text(json.loads(text))
    except (json.JSONDecodeError, RecursionError):
        return None
    except ValueError as error:
        return str(error)
    return None


def may_have_duplicates(body: bytes, value: Any) -> bool:
    """Whether a key may be given twice. False is certain: each key that was dropped takes two quotes with it, and
    only ``\\u0022`` can make up for them.
    """
    return b"\\u" in body or body.count(b'"') != orjson.dumps(value).count(b'"')


def duplicates(body: bytes) -> list[str]:
    """Paths of keys that are given more than once (``spec.containers[0].name``), in order, each once."""
    found: list[str] = []
    _walk_pairs(json.loads(body, object_pairs_hook=_Pairs), "", found)
    return list(dict.fromkeys(found))


class _Pairs(list[tuple[str, Any]]):
    """An object's members as they were written."""


def _walk_pairs(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, child in value:
            here = f"{path}.{key}" if path else key
            if key in seen:
                found.append(here)
            seen.add(key)
            _walk_pairs(child, here, found)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            _walk_pairs(child, f"{path}[{index}]", found)


def _check_depth(value: Any, limit: int) -> None:
    level = [value]
    for _ in range(limit + 1):
        deeper: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                deeper.extend(child for child in each.values() if isinstance(child, dict | list))
            elif isinstance(each, list):
                deeper.extend(child for child in each if isinstance(child, dict | list))
        if not deeper:
            return
        level = deeper
    raise ValueError(f"exceeded max depth of {limit}")


def _strings(root: Any) -> Iterator[tuple[str, str]]:
    waiting: list[tuple[str, Any]] = [("", root)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict):
            for key, child in value.items():
                here = f"{path}.{key}" if path else key
                if "\x00" in key or not _encodes(key):
                    yield f"{path or 'the object'} (a key)", key
                waiting.append((here, child))
        elif isinstance(value, list):
            waiting.extend((f"{path}[{index}]", child) for index, child in enumerate(value))


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
