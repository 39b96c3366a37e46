"""Volumes with the (deprecated) policy ``Recycle``: a pod empties them, and they can be had again. Pure.

Source: "Persistent Volumes", Recycle; Kubernetes' ``pkg/volume/util/recyclerclient`` and its default pod template.
"""

from __future__ import annotations

import hashlib

from moorage.client.objects import Document, ObjectKey, controller_of, controller_reference
from moorage.client.resource import PERSISTENT_VOLUMES, PODS
from moorage.resources import quantity

NAMESPACE = "kube-system"
IMAGE = "docker.io/library/busybox:1.37"
IMAGE_ANNOTATION = "volumes.moorage.io/recycler-image"
"""On a volume: the image of its recycler, which must have ``sh``, ``rm``, ``ls`` and ``test``."""
CLAIM_ANNOTATION = "volumes.moorage.io/emptied-of"
"""On a recycler: the uid of the claim whose data it removes. One of an earlier claim has emptied nothing of a later one."""
_SOURCES = ("hostPath", "nfs")
_SCRIPT = 'rm -rf /scrub/..?* /scrub/.[!.]* /scrub/* && test -z "$(ls -A /scrub)"'
_LONGEST_NAME = 253
_SECONDS, _SECONDS_PER_GIB = 60, 30


def can(volume: Document) -> bool:
    """Whether a pod can empty the volume."""
    return any(volume["spec"].get(source) for source in _SOURCES)


def name_of(volume: Document) -> ObjectKey:
    """Where the volume's recycler is."""
    name = f"recycler-for-{volume['metadata']['name']}"
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:12]
        name = f"{name[: _LONGEST_NAME - 13].rstrip('.-')}-{digest}"
    return ObjectKey(NAMESPACE, name)


def pod(volume: Document) -> Document:
    """The recycler: it goes with the volume, and has the longer the larger the volume is."""
    spec, metadata, where = volume["spec"], volume["metadata"], name_of(volume)
    gibibytes = quantity.whole(str((spec.get("capacity") or {}).get("storage") or "0")) >> 30
    source = next(each for each in _SOURCES if spec.get(each))
    owner = {"apiVersion": PERSISTENT_VOLUMES.api_version, "kind": PERSISTENT_VOLUMES.kind, "metadata": metadata}
    made: Document = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": _SECONDS + _SECONDS_PER_GIB * gibibytes,
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": "recycler",
                "image": (metadata.get("annotations") or {}).get(IMAGE_ANNOTATION) or IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-c", _SCRIPT],
                "volumeMounts": [{"name": "scrub", "mountPath": "/scrub"}],
            }
        ],
        "volumes": [{"name": "scrub", source: spec[source]}],
    }
    if required := (spec.get("nodeAffinity") or {}).get("required"):
        made["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return {
        "apiVersion": PODS.api_version,
        "kind": PODS.kind,
        "metadata": {
            "namespace": where.namespace,
            "name": where.name,
            "annotations": {CLAIM_ANNOTATION: claim_of(volume)},
            "ownerReferences": [controller_reference(owner)],
        },
        "spec": made,
    }


def claim_of(volume: Document) -> str:
    """The uid of the claim that a volume was last bound to, "" where none is known."""
    return str((volume["spec"].get("claimRef") or {}).get("uid") or "")


def emptied_of(recycler: Document) -> str:
    """The uid of the claim whose data a recycler removes."""
    return str((recycler["metadata"].get("annotations") or {}).get(CLAIM_ANNOTATION) or "")


def volume_of(recycler: Document) -> str:
    """The name of the volume that a pod empties, "" for any other pod."""
    owner = controller_of(recycler) or {}
    return str(owner.get("name") or "") if owner.get("kind") == PERSISTENT_VOLUMES.kind else ""
