"""Who uses a claim, and what releases an object. Source: Kubernetes' ``pvcprotection`` and ``pvprotection`` controllers."""

from __future__ import annotations

from collections.abc import Iterator

from moorage.client import operations
from moorage.client.objects import Document, is_deleting, key_of, uid_of
from moorage.client.operations import Operation
from moorage.client.resource import Resource
from moorage.controllers.pods import node_name
from moorage.resources.storage import CLAIM_PROTECTION, CLASS_PROTECTION, VOLUME_PROTECTION

FINALIZERS = {
    "persistentvolumeclaims": CLAIM_PROTECTION,
    "persistentvolumes": VOLUME_PROTECTION,
    "volumeattributesclasses": CLASS_PROTECTION,
}


def claims_of(pod: Document) -> Iterator[str]:
    """Names of the claims that a pod mounts. One without a node mounts nothing yet, and no node starts it with a claim that is
    going. A generic ephemeral volume's claim is named after pod and volume; it is free as soon as the node is done with the pod,
    which may wait for the claim to go first (foreground deletion).
    """
    if not node_name(pod):
        return
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            yield str(volume["persistentVolumeClaim"].get("claimName", ""))
        elif "ephemeral" in volume and not is_shut_down(pod):
            yield f"{pod['metadata']['name']}-{volume.get('name', '')}"


def is_shut_down(pod: Document) -> bool:
    """Whether the node is done with a pod that goes, or nobody waits for the node."""
    return is_deleting(pod) and pod["metadata"].get("deletionGracePeriodSeconds") == 0


def waits(resource: Resource, document: Document) -> bool:
    """Whether the object is to go and only our finalizer may be in the way."""
    return is_deleting(document) and FINALIZERS[resource.plural] in (document["metadata"].get("finalizers") or ())


def is_bound(volume: Document) -> bool:
    """Whether a claim has the volume."""
    return (volume.get("status") or {}).get("phase") == "Bound"


def attributes_classes(document: Document) -> set[str]:
    """The classes of attributes that a claim or a volume has, asks for, or is on its way to (KEP-3751)."""
    status = document.get("status") or {}
    named = {
        (document.get("spec") or {}).get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    }
    return {str(name) for name in named if name}


def release(resource: Resource, document: Document) -> Operation:
    """Take our finalizer away from the object as it was read."""
    metadata = document["metadata"]
    left = [each for each in metadata["finalizers"] if each != FINALIZERS[resource.plural]]
    change = {"metadata": {"uid": uid_of(document), "resourceVersion": metadata["resourceVersion"], "finalizers": left}}
    return operations.patch(resource, *key_of(document), change)
