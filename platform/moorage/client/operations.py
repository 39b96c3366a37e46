"""Members of a transaction or batch, built as values. Wire forms: ``docs/architecture.md``, "Wire forms of our own"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moorage.client.errors import ApiError, from_status
from moorage.client.resource import Resource

Operation = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def create(document: Mapping[str, Any], subresource: str = "") -> Operation:
    """Create ``document`` (with ``subresource`` "binding": bind a pod)."""
    return _without_empty(verb="create", object=document, subresource=subresource)


def update(document: Mapping[str, Any], subresource: str = "") -> Operation:
    """Replace the object, or its status."""
    return _without_empty(verb="update", object=document, subresource=subresource)


def apply(document: Mapping[str, Any], force: bool = True) -> Operation:
    """Server-side apply under the request's field manager."""
    return {"verb": "apply", "object": document, "force": force}


def patch(
    resource: Resource,
    namespace: str,
    name: str,
    change: object,
    *,
    subresource: str = "",
    patch_type: str = MERGE_PATCH,
) -> Operation:
    """Patch one object. A merge patch that carries ``metadata.uid`` or ``metadata.resourceVersion`` is conditional on them."""
    return _without_empty(
        verb="patch",
        apiVersion=resource.api_version,
        kind=resource.kind,
        namespace=namespace,
        name=name,
        subresource=subresource,
        patchType=patch_type,
        patch=change,
    )


def delete(
    resource: Resource,
    namespace: str,
    name: str,
    *,
    uid: str = "",
    resource_version: str = "",
    grace_seconds: int | None = None,
    propagation: str = "",
) -> Operation:
    """Delete one object, where given only this ``uid`` at this ``resource_version``."""
    return _without_empty(
        verb="delete",
        apiVersion=resource.api_version,
        kind=resource.kind,
        namespace=namespace,
        name=name,
        uid=uid,
        resourceVersion=resource_version,
        gracePeriodSeconds=grace_seconds,
        propagationPolicy=propagation,
    )


def binding(namespace: str, pod: str, node: str, uid: str = "") -> Operation:
    """Assign a pod (only this ``uid``, where given) to a node."""
    metadata = {"namespace": namespace, "name": pod}
    if uid:
        metadata["uid"] = uid
    document = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": metadata,
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }
    return {"verb": "create", "subresource": "binding", "object": document}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one operation. ``action``: created, configured, unchanged, deleted; "" where ``error`` is set."""

    action: str
    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str
    error: ApiError | None = None

    @property
    def ok(self) -> bool:
        """Whether the operation was done."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a transaction or batch: one result for each operation, in order."""

    resource_version: str
    results: Sequence[Result]


def outcome_of(answer: Mapping[str, Any]) -> Outcome:
    """Read the answer document of a ``Transaction`` or ``Batch``."""
    status = answer.get("status") or {}
    return Outcome(str(status.get("resourceVersion") or ""), [_result(entry) for entry in status.get("results") or ()])


def _result(entry: Mapping[str, Any]) -> Result:
    error = entry.get("error")
    return Result(
        action="" if error else str(entry.get("action") or ""),
        api_version=str(entry.get("apiVersion") or ""),
        kind=str(entry.get("kind") or ""),
        namespace=str(entry.get("namespace") or ""),
        name=str(entry.get("name") or ""),
        uid=str(entry.get("uid") or ""),
        resource_version=str(entry.get("resourceVersion") or ""),
        error=from_status(error) if error else None,
    )


def _without_empty(**fields: Any) -> Operation:
    return {key: value for key, value in fields.items() if value is not None and value != ""}
