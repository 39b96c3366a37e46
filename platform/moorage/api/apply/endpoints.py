"""Which fields an endpoint can write at all; the others are reset there and so belong to nobody through it.

Source: ``GetResetFields`` of kube-apiserver's strategies.
"""

from __future__ import annotations

from typing import Final

from moorage.api.apply.fieldsets import FieldSet
from moorage.resources.kind import Kind

_STATUS_METADATA: Final = frozenset({"f:annotations", "f:labels"})


def writable(fields: FieldSet, kind: Kind, subresource: str) -> FieldSet:
    """``fields`` without those that the endpoint resets: status on the object's own, all but status (and annotations and
    labels, which some kinds let through) on ``/status``.
    """
    if subresource == "status":
        kept = {key: value for key, value in fields.items() if key == "f:status"}
        metadata = {key: value for key, value in fields.get("f:metadata", {}).items() if key in _STATUS_METADATA}
        return {"f:metadata": metadata, **kept} if metadata else kept
    if "f:status" in fields and "status" in kind.subresources and not kind.status_on_create:
        return {key: value for key, value in fields.items() if key != "f:status"}
    return fields
