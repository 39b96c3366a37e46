"""Path elements: how managedFields name the fields of objects and the items of lists."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from moorage.api.structure import Structure


class BadItem(ValueError):
    """An item that cannot be told apart from the others of its list; the text says why."""


@lru_cache(8192)
def _by_text_key(name: str, value: str) -> str:
    return f'k:{{"{name}":{orjson.dumps(value).decode()}}}'


@lru_cache(4096)
def _by_pairs(pairs: tuple[tuple[str, Any, type], ...]) -> str:
    return "k:" + orjson.dumps({name: value for name, value, _ in pairs}).decode()


def item_element(item: Any, structure: Structure) -> str:
    """The element of ``item`` of a list with ``structure``, which is a map or a set. Raises BadItem."""
    keys = structure.keys
    if not keys:
        return _set_element(item)
    if not isinstance(item, Mapping):
        raise BadItem("associative list with keys may not have non-map elements")
    if len(keys) == 1:
        name = keys[0]
        value = item.get(name)
        if type(value) is str:
            return _by_text_key(name, value)
    pairs = []
    for name in sorted(keys):
        value = item.get(name, structure.key_defaults.get(name))
        if isinstance(value, dict | list):
            raise BadItem(f"associative list with keys has an element whose key field {name} is no scalar")
        if value is not None:
            pairs.append((name, value, type(value)))
    if not pairs:
        listed = " ".join(f'"{name}"' for name in keys)
        raise BadItem(
            f"associative list with keys has an element that omits all key fields [{listed}] "
            "(and doesn't have default values for any key fields)"
        )
    return _by_pairs(tuple(pairs))


def _set_element(item: Any) -> str:
    if item is None:
        raise BadItem("associative list without keys has an element that's an explicit null")
    if isinstance(item, dict | list):
        raise BadItem("associative list without keys has an element that's a map type")
    return "v:" + orjson.dumps(item).decode()
