"""Pods that nothing would make again: on the shelf as PodTemplates while their tenant stands still, and back as they were.

A pod and its template change places in one transaction, so that at every moment there is one of the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.client import operations
from moorage.client.objects import Document, controller_of, is_deleting, key_of, uid_of
from moorage.client.operations import Operation
from moorage.client.resource import PODS, Resource
from moorage.controllers.pods import FINISHED, phase
from moorage.resources.tenancy import GROUP, MANAGED_LABEL

POD_TEMPLATES = Resource("", "v1", "podtemplates", "PodTemplate")
POD_NAME = f"{GROUP}/stopped-pod"
"""Annotation of a template: the name of the pod that it was."""
_MADE_ANEW = ("nodeName", "priority", "preemptionPolicy", "ephemeralContainers")
"""What a pod gets when it is made."""
_TOKENS = "kube-api-access-"
_CONTAINERS = ("initContainers", "containers")


def shelved(pod: Document) -> list[Operation]:
    """A template for the pod, and the pod's end. Nothing for what a controller makes again, has ended, or ends already."""
    if controller_of(pod) is not None or phase(pod) in FINISHED or is_deleting(pod):
        return []
    metadata = pod["metadata"]
    namespace, name = key_of(pod)
    kept = {field: metadata[field] for field in ("labels", "annotations", "ownerReferences") if metadata.get(field)}
    template = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {
            "namespace": namespace,
            "name": f"moorage-stopped-{uid_of(pod)}",
            "labels": {MANAGED_LABEL: "true"},
            "annotations": {POD_NAME: name},
        },
        "template": {"metadata": kept, "spec": _spec(pod["spec"])},
    }
    return [operations.create(template), operations.delete(PODS, namespace, name, uid=uid_of(pod))]


def brought_back(template: Document) -> list[Operation]:
    """The pod that the template was, and the template's end. Nothing for templates that people made."""
    metadata = template["metadata"]
    name = (metadata.get("annotations") or {}).get(POD_NAME)
    if name is None or (metadata.get("labels") or {}).get(MANAGED_LABEL) != "true":
        return []
    namespace, own = key_of(template)
    body = template["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**(body.get("metadata") or {}), "namespace": namespace, "name": name},
        "spec": body["spec"],
    }
    return [operations.create(pod), operations.delete(POD_TEMPLATES, namespace, own, uid=uid_of(template))]


def _spec(spec: Mapping[str, Any]) -> Document:
    """``spec`` without what the platform adds to every new pod: it will be added again."""
    found = {field: value for field, value in spec.items() if field not in _MADE_ANEW}
    if volumes := _others(spec.get("volumes") or ()):
        found["volumes"] = volumes
    else:
        found.pop("volumes", None)
    for part in _CONTAINERS:
        if spec.get(part):
            found[part] = [_container(each) for each in spec[part]]
    return found


def _container(container: Mapping[str, Any]) -> Document:
    found = {field: value for field, value in container.items() if field != "volumeMounts"}
    mounts = _others(container.get("volumeMounts") or ())
    return {**found, "volumeMounts": mounts} if mounts else found


def _others(parts: Sequence[Document]) -> list[Document]:
    """Volumes or mounts that are not those of the account's token."""
    return [each for each in parts if not str(each.get("name", "")).startswith(_TOKENS)]
