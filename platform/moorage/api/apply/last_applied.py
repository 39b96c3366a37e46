"""kubectl's client-side apply and its annotation, as far as server-side apply minds them.

Where kubectl applies on the server what it once applied by itself, fields that still hold what the annotation says are no
conflict, and the annotation is kept up to date so that the way back stays open. Source: apimachinery's lastappliedmanager
and lastappliedupdater.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from moorage.api.apply.elements import BadItem
from moorage.api.apply.fieldsets import FieldSet, difference, union
from moorage.api.apply.walking import compare, mentioned
from moorage.api.json_values import copied
from moorage.api.structure import Structure
from moorage.resources.kind import Document, Kind
from moorage.resources.schemas import normalise

MANAGER: Final = "kubectl"
ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"
_ANNOTATIONS_LIMIT: Final = 256 * 1024


def allowed(kind: Kind, live: Document | None, structure: Structure) -> FieldSet:
    """Fields that the annotation holds and whose live values are what it says."""
    text = _annotations(live or {}).get(ANNOTATION)
    if live is None or not isinstance(text, str):
        return {}
    try:
        applied = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(applied, dict) or applied.get("apiVersion") != kind.api_version:
        return {}
    if normalise(kind, applied).errors:
        return {}
    try:
        fields = mentioned(applied, structure)
    except BadItem:
        return {}
    differences = compare(applied, live, structure)
    return difference(fields, union(differences.modified, differences.removed))


def refresh(result: Document, config: Document) -> None:
    """Write ``config`` into the annotation of ``result`` where it has one. In place."""
    annotations = _annotations(result)
    if ANNOTATION not in annotations:
        return
    applied = copied(config)
    mine = _annotations(applied)
    if mine:
        mine.pop(ANNOTATION, None)
        if not mine:
            del applied["metadata"]["annotations"]
    text = orjson.dumps(applied, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE).decode()
    size = sum(len(key) + len(value) for key, value in annotations.items() if key != ANNOTATION)
    if size + len(ANNOTATION) + len(text.encode()) <= _ANNOTATIONS_LIMIT:
        annotations[ANNOTATION] = text


def _annotations(document: Document) -> dict[str, Any]:
    found = (document.get("metadata") or {}).get("annotations")
    return found if isinstance(found, dict) else {}
