"""Writing ``.status`` through ``/status``: only what changed, and only where something did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.client import operations
from moorage.client.objects import Document, key_of
from moorage.client.operations import Operation
from moorage.client.resource import Resource


def merge_change(old: Mapping[str, Any], new: Mapping[str, Any]) -> Document:
    """The merge patch that turns ``old`` into ``new`` (RFC 7386: a field that goes is null). Empty where they are equal."""
    change: Document = {key: value for key, value in new.items() if old.get(key) != value or key not in old}
    change.update({key: None for key in old if key not in new})
    return change


def status_patch(resource: Resource, document: Document, status: Document) -> Operation | None:
    """The operation that makes ``status`` the status of ``document`` (this uid), or None where it is so already."""
    change = merge_change(document.get("status") or {}, status)
    if not change:
        return None
    namespace, name = key_of(document)
    metadata = {"uid": document["metadata"]["uid"]}
    return operations.patch(resource, namespace, name, {"metadata": metadata, "status": change}, subresource="status")
