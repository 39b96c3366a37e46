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
    result: Document = _merged(document, patch)
    return result


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copied(patch)
    result = {} if not isinstance(target, dict) else {k: v if k in patch else copied(v) for k, v in target.items()}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result
