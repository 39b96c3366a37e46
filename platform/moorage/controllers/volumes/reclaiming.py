"""What follows when a volume's claim is gone. Source: "Persistent Volumes", reclaiming."""

from __future__ import annotations

from typing import NamedTuple

from moorage.client import operations
from moorage.client.objects import Document, is_deleting, key_of, uid_of
from moorage.client.operations import Operation
from moorage.client.resource import PERSISTENT_VOLUMES
from moorage.controllers.volumes import recycling
from moorage.controllers.volumes.plan import PROVISIONED_BY
from moorage.resources.storage import FOLDER_FINALIZER, is_to_be_emptied


class Problem(NamedTuple):
    """Why the reclaim policy cannot be carried out; ``reason`` is an event's."""

    reason: str
    message: str


def is_left_alone(volume: Document) -> bool:
    """Whether the volume is to go, and nobody will empty its folder: it is kept, or never was given to a claim for good."""
    held = FOLDER_FINALIZER in (volume["metadata"].get("finalizers") or ())
    bound = (volume.get("status") or {}).get("phase") == "Bound"
    return is_deleting(volume) and held and not bound and not is_to_be_emptied(volume)


def give_up(volume: Document) -> Operation:
    """The folder holds the volume back no longer."""
    metadata = volume["metadata"]
    left = [each for each in metadata.get("finalizers") or () if each != FOLDER_FINALIZER]
    change = {"metadata": {"uid": uid_of(volume), "resourceVersion": metadata["resourceVersion"], "finalizers": left}}
    return operations.patch(PERSISTENT_VOLUMES, *key_of(volume), change)


def why_not_reclaimed(volume: Document) -> Problem | None:
    """None where nothing is to be done here: the volume is kept, or its provisioner deletes it."""
    policy = volume["spec"].get("persistentVolumeReclaimPolicy")
    if policy == "Recycle" and not recycling.can(volume):
        return Problem("VolumeFailedRecycle", "No recycler plugin found for the volume!")
    if policy == "Delete" and PROVISIONED_BY not in (volume["metadata"].get("annotations") or {}):
        name = volume["metadata"]["name"]
        message = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
        return Problem("VolumeFailedDelete", message)
    return None
