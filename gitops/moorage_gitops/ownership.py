"""Which fields of an object the last push owns, by server-side apply's own records (``metadata.managedFields``)."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from moorage_gitops.names import FIELD_MANAGER

_BYTES = 8


def owned_fields(document: dict[str, Any]) -> dict[str, Any] | None:
    """The ``fieldsV1`` of what Git applied; None where nothing of it is left or the records were stripped."""
    for entry in document["metadata"].get("managedFields") or ():
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            fields: dict[str, Any] = entry.get("fieldsV1") or {}
            return fields
    return None


def digest(document: dict[str, Any]) -> str:
    """A short digest of the owned fields, whatever their order; "" where there are none."""
    fields = owned_fields(document)
    if fields is None:
        return ""
    return hashlib.blake2b(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS), digest_size=_BYTES).hexdigest()
