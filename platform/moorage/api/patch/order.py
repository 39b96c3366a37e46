"""The order of a merged list: the patch's wish first, then what the server had.

Items that the patch names keep the order it names them in, items that only the server has keep theirs, and each of the
latter stays before those of the former that it stood before.
"""

from __future__ import annotations

from typing import Any

_List = list[Any]


def partition(items: _List, order: _List, merge_key: str) -> tuple[_List, _List]:
    """``items`` that ``order`` names, and the others."""
    wanted = {_key(item, merge_key) for item in order}
    named = [item for item in items if _key(item, merge_key) in wanted]
    others = [item for item in items if _key(item, merge_key) not in wanted]
    return named, others


def normalised(named: _List, others: _List, order: _List, before: _List, merge_key: str) -> _List:
    """Both parts as one list. ``order`` rules over ``named``, ``before`` (the server's list) over ``others``."""
    wished = _positions(order, merge_key)
    stood = _positions(before, merge_key)
    left = sorted(others, key=lambda item: stood.get(_key(item, merge_key), len(stood)))
    right = sorted(named, key=lambda item: wished.get(_key(item, merge_key), len(wished)))
    result: _List = []
    at = 0
    for item in right:
        here = stood.get(_key(item, merge_key))
        while here is not None and at < len(left):
            place = stood.get(_key(left[at], merge_key))
            if place is None or place > here:
                break
            result.append(left[at])
            at += 1
        result.append(item)
    return result + left[at:]


def _positions(items: _List, merge_key: str) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for index, item in enumerate(items):
        found.setdefault(_key(item, merge_key), index)
    return found


def _key(item: Any, merge_key: str) -> Any:
    value = item.get(merge_key) if merge_key and isinstance(item, dict) else item
    return (isinstance(value, bool), value) if not isinstance(value, dict | list) else (False, repr(value))
