"""Volumes that are made for a claim: a folder on the node of the claim's first pod. Pure.

The volume names its node and itself, never a path: where a node keeps such folders is the node's own business.
"""

from __future__ import annotations

from collections.abc import Iterable

from moorage.client import operations
from moorage.client.objects import Document, key_of, uid_of
from moorage.client.operations import Operation
from moorage.client.resource import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from moorage.controllers.volumes.matching import asked
from moorage.controllers.volumes.plan import PROVISIONED_BY, is_delayed
from moorage.resources.local_volumes import asked_by, why_no_room
from moorage.resources.storage import FOLDER_FINALIZER, LOCAL_DRIVER, LOCAL_PROVISIONER, allows

HOSTNAME = "kubernetes.io/hostname"
SELECTED_NODE, PROVISIONER = "volume.kubernetes.io/selected-node", "volume.kubernetes.io/storage-provisioner"


def why_not(claim: Document, storage_class: Document, node: Document | None, there: Iterable[Document] = ()) -> str:
    """Why no folder can serve the claim; "" where one can. ``there``: the volumes that are folders of the node."""
    spec = claim["spec"]
    if not is_delayed(storage_class):
        name = storage_class["metadata"]["name"]
        return f'storage class "{name}": folders of nodes need volumeBindingMode WaitForFirstConsumer'
    if spec.get("volumeMode") == "Block":
        return "volumeMode Block is not supported: a folder of a node is a file system"
    if spec.get("selector"):
        return "claim.spec.selector is not supported for volumes that are provisioned"
    if spec.get("dataSource") or spec.get("dataSourceRef"):
        return "claim.spec.dataSource is not supported: volumes of nodes begin empty"
    if node is not None and HOSTNAME not in (node["metadata"].get("labels") or {}):
        return f'node "{node["metadata"]["name"]}" has no label {HOSTNAME}'
    if node is not None and not allows(storage_class, node["metadata"].get("labels") or {}):
        return f'allowedTopologies of the class leave out node "{node["metadata"]["name"]}"'
    return "" if node is None else why_no_room(node, there, asked_by(claim))


def choice(claim: Document, node: Document) -> Operation:
    """Say on the claim where its volume is made, and by whom."""
    annotations = {SELECTED_NODE: node["metadata"]["name"], PROVISIONER: LOCAL_PROVISIONER}
    change = {"metadata": {"uid": uid_of(claim), "annotations": annotations}}
    return operations.patch(PERSISTENT_VOLUME_CLAIMS, *key_of(claim), change)


def volume(claim: Document, storage_class: Document, node: Document) -> Document:
    """The volume for the claim on the node; the same claim gets the same name, so a second attempt makes no second one."""
    name, spec, metadata = f"pvc-{uid_of(claim)}", claim["spec"], node["metadata"]
    here = {"key": HOSTNAME, "operator": "In", "values": [metadata["labels"][HOSTNAME]]}
    return {
        "apiVersion": PERSISTENT_VOLUMES.api_version,
        "kind": PERSISTENT_VOLUMES.kind,
        "metadata": {
            "name": name,
            "annotations": {PROVISIONED_BY: LOCAL_PROVISIONER},
            "finalizers": [FOLDER_FINALIZER],
        },
        "spec": {
            "capacity": {"storage": asked(claim)},
            "accessModes": spec["accessModes"],
            "volumeMode": "Filesystem",
            "storageClassName": storage_class["metadata"]["name"],
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
            "csi": {"driver": LOCAL_DRIVER, "volumeHandle": name, "volumeAttributes": {"node": metadata["name"]}},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim["metadata"]["namespace"],
                "name": claim["metadata"]["name"],
                "uid": uid_of(claim),
            },
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
