"""Merging an applied configuration into a live object, and taking fields out of one.

Source: structured-merge-diff's typed merge and remove. Nothing is changed in place; results may share parts with arguments.
"""

from __future__ import annotations

from typing import Any, Final

from moorage.api.apply.elements import BadItem, item_element
from moorage.api.apply.fieldsets import FieldSet, below, has
from moorage.api.structure import ANYTHING, LIST, Structure

_MISSING: Final = object()


def merge(live: Any, config: Any, structure: Structure) -> Any:
    """``live`` with everything that ``config`` mentions. Nothing is removed."""
    if structure.atomic:
        return config
    if isinstance(live, dict) and isinstance(config, dict):
        result = dict(live)
        for key, value in config.items():
            before = live.get(key, _MISSING)
            result[key] = value if before is _MISSING else merge(before, value, structure.child(key))
        return result
    if structure.shape == LIST and isinstance(live, list) and isinstance(config, list):
        return _merge_list(live, config, structure)
    if config is None and isinstance(live, dict | list) and live:
        return live
    return config


def _merge_list(live: list[Any], config: list[Any], structure: Structure) -> list[Any]:
    element = structure.element or ANYTHING
    before, loose = _by_element(live, structure)
    after, _ = _by_element(config, structure)
    merged: list[Any] = []
    for key in _order(list(before), list(after)):
        if key not in after:
            merged.extend(before[key])
        elif key not in before:
            merged.extend(after[key])
        else:
            merged.append(merge(before[key][0], after[key][0], element))
    return merged + loose


def _by_element(items: list[Any], structure: Structure) -> tuple[dict[str, list[Any]], list[Any]]:
    """Items by their element, and those that have none."""
    found: dict[str, list[Any]] = {}
    loose: list[Any] = []
    for item in items:
        try:
            found.setdefault(item_element(item, structure), []).append(item)
        except BadItem:
            loose.append(item)
    return found, loose


def _order(live: list[str], config: list[str]) -> list[str]:
    """Both lists' elements, each once: the configuration's order rules; live-only items stay where they stood between others."""
    in_live, in_config = set(live), set(config)
    shared = [key for key in config if key in in_live]
    result: list[str] = []
    left = right = 0
    while left < len(live) or right < len(config):
        if left < len(live) and right < len(config):
            key = live[left]
            if key == config[right]:
                result.append(key)
                left += 1
                right += 1
                shared = shared[1:]
                continue
            if key in in_config and shared and key != shared[0]:
                left += 1  # its turn comes with the configuration's
                continue
        if left < len(live) and live[left] not in in_config:
            result.append(live[left])
            left += 1
            continue
        if right < len(config):
            key = config[right]
            result.append(key)
            right += 1
            if shared and shared[0] == key:
                shared = shared[1:]
        else:
            left += 1
    return list(dict.fromkeys(result))


def remove(value: Any, fields: FieldSet, structure: Structure) -> Any:
    """``value`` without the members of ``fields``; None where nothing is left of it."""
    if not value or not isinstance(value, dict | list):
        return None if isinstance(value, dict | list) else value
    if structure.atomic:
        return None
    if isinstance(value, dict):
        kept: dict[str, Any] = {}
        for key, child in value.items():
            element = f"f:{key}"
            if has(fields, element):
                continue
            inner = below(fields, element)
            kept[key] = remove(child, inner, structure.child(key)) if inner else child
        return kept or None
    return _remove_items(value, fields, structure) if structure.shape == LIST else value


def _remove_items(items: list[Any], fields: FieldSet, structure: Structure) -> list[Any] | None:
    kept: list[Any] = []
    for item in items:
        try:
            element = item_element(item, structure)
        except BadItem:
            kept.append(item)
            continue
        if has(fields, element):
            continue
        inner = below(fields, element)
        kept.append(remove(item, inner, structure.element or ANYTHING) if inner else item)
    return kept or None
