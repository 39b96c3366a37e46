"""JSON merge patch (RFC 7386)."""

from __future__ import annotations

from typing import Any

from moorage.api.errors import bad_request
from moorage.api.json_values import copied, type_name
from moorage.resources.kind import Document


def merge_patch(document: Document, patch: Any) -> Document:
    """``document`` with ``patch`` merged in: null removes, objects merge, all else replaces. Raises ApiError 400."""
    if not isinstance(patch, dict):
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {type_name(patch)} into Go value of type map[string]interface {{}}"
        )
    result: Document = copied(document)
    _merge(result, copied(patch))
    return result


def _merge(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """Merge into ``target``, which takes over parts of ``patch``."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            before = target.get(key)
            if not isinstance(before, dict):
                before = target[key] = {}
            _merge(before, value)
        else:
            target[key] = value
