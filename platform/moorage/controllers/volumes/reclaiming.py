"""What follows when a volume's claim is gone. Source: "Persistent Volumes", reclaiming."""

from __future__ import annotations

from typing import NamedTuple

from moorage.client.objects import Document
from moorage.controllers.volumes import recycling
from moorage.controllers.volumes.plan import PROVISIONED_BY


class Problem(NamedTuple):
    """Why the reclaim policy cannot be carried out; ``reason`` is an event's."""

    reason: str
    message: str


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
