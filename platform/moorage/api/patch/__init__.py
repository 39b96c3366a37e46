"""Patches: JSON patch (RFC 6902), JSON merge patch (RFC 7386) and Kubernetes' strategic merge patch.

``apply_patch(document, patch, patch_type, kind)`` -> the patched document. Neither argument is changed and the result shares
nothing with them. Raises ApiError 400, 413, 415 or 422. Server-side apply is no patch of this sort: see ``moorage.api.apply``.
Does not live here: checking what comes out (``moorage.api.decode.conform``), patching subresources, retries.
"""

from moorage.api.patch.dispatch import apply_patch
from moorage.api.patch.json_patch import json_patch
from moorage.api.patch.merge import merge_patch
from moorage.api.patch.strategic import strategic_merge_patch

__all__ = ["apply_patch", "json_patch", "merge_patch", "strategic_merge_patch"]
