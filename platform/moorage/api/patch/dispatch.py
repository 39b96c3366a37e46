"""From a patch's media type to what it does."""

from __future__ import annotations

from typing import Any

from moorage.api.negotiate import JSON_PATCH, MERGE_PATCH, PATCH_TYPES, STRATEGIC_MERGE_PATCH, unsupported_media_type
from moorage.api.patch.json_patch import json_patch
from moorage.api.patch.merge import merge_patch
from moorage.api.patch.strategic import strategic_merge_patch
from moorage.api.structure import structure_of
from moorage.resources.kind import Document, Kind


def apply_patch(document: Document, patch: Any, patch_type: str, kind: Kind) -> Document:
    """The patched document. Raises ApiError 400, 413, 415 or 422."""
    if patch_type == MERGE_PATCH:
        return merge_patch(document, patch)
    if patch_type == STRATEGIC_MERGE_PATCH:
        return strategic_merge_patch(document, patch, structure_of(kind.schema))
    if patch_type == JSON_PATCH:
        return json_patch(document, patch)
    raise unsupported_media_type(PATCH_TYPES)
