"""Binding a pod to a node: the node's name, and with it the condition PodScheduled, in one write.

Source: pkg/registry/core/pod/storage/storage.go (BindingREST, assignPod).
"""

from __future__ import annotations

from typing import Any

from moorage.api.errors import ApiError, conflict, invalid
from moorage.api.writing import strategy
from moorage.resources.core.pods.declaration import BINDING
from moorage.resources.kind import Document, Kind


def bound(kind: Kind, pod: Document, binding: Document, name: str) -> Document:
    """``pod`` as bound. Raises ApiError 400 and 422 for the binding, 409 for a pod that cannot be bound (any more)."""
    node = _check(binding, name)
    metadata = strategy.metadata_of(binding)
    before = pod["metadata"]
    uid = metadata.get("uid")
    if uid and uid != before["uid"]:
        detail = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {before['uid']}"
        raise conflict(kind.group, kind.plural, name, detail)
    version = metadata.get("resourceVersion")
    if version and version != before["resourceVersion"]:
        raise conflict(kind.group, kind.plural, name)
    if "deletionTimestamp" in before:
        raise _unbindable(name, f"pod {name} is being deleted, cannot be assigned to a host")
    spec = pod.get("spec") or {}
    if spec.get("nodeName"):
        raise _unbindable(name, f"pod {name} is already assigned to node {_quoted(spec['nodeName'])}")
    if gates := spec.get("schedulingGates"):
        listed = ", ".join(str(gate.get("name")) for gate in gates)
        raise _unbindable(name, f"pod {name} has non-empty .spec.schedulingGates: {listed}")
    annotations = {**(before.get("annotations") or {}), **(metadata.get("annotations") or {})}
    new = {**pod, "spec": {**spec, "nodeName": node}, "status": _scheduled(pod.get("status") or {})}
    new["metadata"] = {**before, "annotations": annotations} if annotations else dict(before)
    return new


def _check(binding: Document, name: str) -> str:
    """The node that the binding names."""
    given = strategy.metadata_of(binding).get("name")
    if given and given != name:
        raise strategy.name_mismatch(given, name)
    errors = BINDING.validate(binding)
    if errors:
        raise invalid(BINDING.group, BINDING.kind, name, errors)
    node: str = binding["target"]["name"]
    return node


def _scheduled(status: dict[str, Any]) -> dict[str, Any]:
    kept = [each for each in status.get("conditions") or () if each.get("type") != "PodScheduled"]
    before = next((each for each in status.get("conditions") or () if each.get("type") == "PodScheduled"), None)
    changed = strategy.now() if before is None or before.get("status") != "True" else before.get("lastTransitionTime")
    condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": changed}
    # The nomination has served its purpose (KEP-5278), whichever node it became.
    status = {name: value for name, value in status.items() if name != "nominatedNodeName"}
    return {**status, "conditions": [*kept, {key: value for key, value in condition.items() if value is not None}]}


def _unbindable(name: str, text: str) -> ApiError:
    return conflict("", "pods/binding", name, text)


def _quoted(text: str) -> str:
    return f'"{text}"'
