"""Stops what runs in a tenant that is marked for deletion, and starts it again as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.client import operations
from moorage.client.objects import Document, controller_of, key_of, uid_of
from moorage.client.operations import Operation
from moorage.client.resource import Resource
from moorage.resources.tenancy import GROUP

BEFORE = f"{GROUP}/before-deletion"
"""Annotation of a workload that was stopped: what the field said (replicas, or whether it was suspended)."""

FIELDS: Mapping[tuple[str, str], str] = {
    ("", "replicationcontrollers"): "replicas",
    ("apps", "deployments"): "replicas",
    ("apps", "replicasets"): "replicas",
    ("apps", "statefulsets"): "replicas",
    ("batch", "cronjobs"): "suspend",
    ("batch", "jobs"): "suspend",
}
"""Kinds that can be stopped, by the field that does it."""


def stopping(resource: Resource, workload: Document) -> Operation | None:
    """Scale to zero or suspend, and note what was. None for what is stopped already, or follows another workload."""
    metadata = workload["metadata"]
    field = FIELDS[resource.group, resource.plural]
    if controller_of(workload) is not None or BEFORE in (metadata.get("annotations") or {}):
        return None
    if field == "replicas":
        before = (workload.get("spec") or {}).get("replicas", 1)
        return _patched(resource, workload, str(before), field, 0) if before else None
    if (workload.get("spec") or {}).get("suspend") or _finished(workload):
        return None
    return _patched(resource, workload, "false", field, True)


def starting(resource: Resource, workload: Document) -> Operation | None:
    """Back to what was noted. None for what was not stopped by us."""
    before = (workload["metadata"].get("annotations") or {}).get(BEFORE)
    if before is None:
        return None
    field = FIELDS[resource.group, resource.plural]
    value: Any = before == "true" if field == "suspend" else int(before) if before.isdecimal() else 1
    return _patched(resource, workload, None, field, value)


def _patched(resource: Resource, workload: Document, before: str | None, field: str, value: Any) -> Operation:
    metadata = {"uid": uid_of(workload), "annotations": {BEFORE: before}}
    namespace, name = key_of(workload)
    return operations.patch(resource, namespace, name, {"metadata": metadata, "spec": {field: value}})


def _finished(workload: Document) -> bool:
    conditions = (workload.get("status") or {}).get("conditions") or ()
    return any(each.get("type") in ("Complete", "Failed") and each.get("status") == "True" for each in conditions)
