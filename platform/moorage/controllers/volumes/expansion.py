"""Claims that grow: the volume first, then what the claim says. Pure; ``controller`` carries it out.

Source: Kubernetes' ``pkg/controller/volume/expand``, the external resizer; KEP-1790: a size that cannot be had can be taken
back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from moorage.client import operations
from moorage.client.objects import Document, key_of, timestamp, uid_of
from moorage.client.operations import Operation
from moorage.client.resource import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from moorage.controllers.volumes.matching import asked, capacity
from moorage.resources import quantity
from moorage.resources.storage import home_of

FAILED = "ControllerResizeError"
_OURS = (FAILED, "Resizing")


class Growth(NamedTuple):
    """The volume is to hold this much more (``more`` bytes, to ``size`` in all)."""

    size: str
    more: int


class Elsewhere(NamedTuple):
    """Somebody else's driver has to let the volume grow."""


class Settled(NamedTuple):
    """The claim has what it asks for; ``stale``: and still says that it could not have more."""

    stale: bool


def of(claim: Document, volume: Document) -> Growth | Elsewhere | Settled:
    """What is to become of the size of a bound claim."""
    wanted = asked(claim)
    has = str(((claim.get("status") or {}).get("capacity") or {}).get("storage") or "0")
    if quantity.compare(wanted, has) <= 0:
        return Settled(any(each.get("type") in _OURS for each in _conditions(claim)))
    if not home_of(volume):
        return Elsewhere()
    return Growth(wanted, max(0, quantity.whole(wanted) - quantity.whole(capacity(volume))))


def grown(claim: Document, volume: Document, size: str) -> list[Operation]:
    """The volume holds ``size``, and then the claim says so. Written again after a crash, both change nothing."""
    where, metadata = key_of(claim), volume["metadata"]
    change: Document = {"metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}}
    steps = []
    if quantity.compare(capacity(volume), size) < 0:
        change["spec"] = {"capacity": {"storage": size}}
        steps.append(operations.patch(PERSISTENT_VOLUMES, *key_of(volume), change))
    status = {
        "capacity": {"storage": size},
        "allocatedResources": {"storage": size},
        "allocatedResourceStatuses": None,
        "conditions": _others(claim) or None,
    }
    patch = {"metadata": {"uid": uid_of(claim)}, "status": status}
    return [*steps, operations.patch(PERSISTENT_VOLUME_CLAIMS, *where, patch, subresource="status")]


def refused(claim: Document, problem: str, now: float) -> Operation:
    """Say on the claim that it cannot have what it asks for."""
    condition = {
        "type": FAILED,
        "status": "True",
        "reason": "NoRoom",
        "message": problem,
        "lastTransitionTime": timestamp(now),
    }
    status = {
        "conditions": [*_others(claim), condition],
        "allocatedResourceStatuses": {"storage": "ControllerResizeInfeasible"},
    }
    return _status(claim, status)


def is_refused(claim: Document, problem: str) -> bool:
    """Whether the claim says so already."""
    return any(each.get("type") == FAILED and each.get("message") == problem for each in _conditions(claim))


def forgotten(claim: Document) -> Operation:
    """Take back what was said of a size that is no longer asked for."""
    return _status(claim, {"conditions": _others(claim) or None, "allocatedResourceStatuses": None})


def _status(claim: Document, status: dict[str, Any]) -> Operation:
    metadata = {"uid": uid_of(claim), "resourceVersion": claim["metadata"]["resourceVersion"]}
    change = {"metadata": metadata, "status": status}
    return operations.patch(PERSISTENT_VOLUME_CLAIMS, *key_of(claim), change, subresource="status")


def _conditions(claim: Document) -> list[Document]:
    return list((claim.get("status") or {}).get("conditions") or ())


def _others(claim: Document) -> list[Document]:
    return [each for each in _conditions(claim) if each.get("type") not in _OURS]
