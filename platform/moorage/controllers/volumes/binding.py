"""The writes that bind claim and volume, in an order in which a crash between any two loses nothing."""

from __future__ import annotations

from collections.abc import Iterator

from moorage.client import operations
from moorage.client.objects import Document, key_of, uid_of
from moorage.client.operations import Operation
from moorage.client.resource import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, Resource
from moorage.controllers.volumes.matching import claim_of
from moorage.controllers.volumes.plan import BY_CONTROLLER, COMPLETED


def steps(volume: Document, claim: Document) -> Iterator[list[Operation | None]]:
    """Batches, each to be written after the one before: the volume names the claim, the claim the volume, both say so."""
    yield [_volume_to_claim(volume, claim)]
    yield [_claim_to_volume(volume, claim)]
    spec = volume["spec"]
    fields = {"phase": "Bound", "accessModes": spec.get("accessModes")}
    # Once it is bound, its size is what it was given when it grew (``expansion``).
    if (claim.get("status") or {}).get("phase") != "Bound":
        fields["capacity"] = spec.get("capacity")
    yield [_status(PERSISTENT_VOLUME_CLAIMS, claim, fields), volume_phase(volume, "Bound")]


def claim_phase(claim: Document, phase: str) -> Operation | None:
    """Say how the claim stands, where it does not say so."""
    return _status(PERSISTENT_VOLUME_CLAIMS, claim, {"phase": phase})


def volume_phase(volume: Document, phase: str, message: str = "") -> Operation | None:
    """Say how the volume stands, where it does not say so."""
    if (volume.get("status") or {}).get("phase") == phase:
        return None
    return _status(PERSISTENT_VOLUMES, volume, {"phase": phase, "message": message or None})


def assign(claim: Document, name: str) -> Operation:
    """The claim, which names no class, gets the default one (KEP-3333)."""
    change = {"metadata": _on_version(claim), "spec": {"storageClassName": name}}
    return operations.patch(PERSISTENT_VOLUME_CLAIMS, *key_of(claim), change)


def unbind(volume: Document, *, whole: bool) -> Operation:
    """The volume forgets its claim; where it was made for one of that name, only which one it was."""
    change: Document = {"metadata": _on_version(volume)}
    if whole:
        change["spec"] = {"claimRef": None}
        change["metadata"]["annotations"] = {BY_CONTROLLER: None}
    else:
        change["spec"] = {"claimRef": {"uid": None, "resourceVersion": None}}
    return operations.patch(PERSISTENT_VOLUMES, *key_of(volume), change)


def _volume_to_claim(volume: Document, claim: Document) -> Operation | None:
    before = claim_of(volume)
    if before.get("uid") == uid_of(claim):
        return None
    metadata = claim["metadata"]
    reference = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
    }
    change: Document = {"metadata": _on_version(volume), "spec": {"claimRef": reference}}
    if not before:
        change["metadata"]["annotations"] = {BY_CONTROLLER: "yes"}
    return operations.patch(PERSISTENT_VOLUMES, *key_of(volume), change)


def _claim_to_volume(volume: Document, claim: Document) -> Operation | None:
    name, annotations = volume["metadata"]["name"], claim["metadata"].get("annotations") or {}
    change: Document = {"metadata": {"uid": uid_of(claim)}}
    added = {} if COMPLETED in annotations else {COMPLETED: "yes"}
    if claim["spec"].get("volumeName") != name:
        change["spec"] = {"volumeName": name}
        added[BY_CONTROLLER] = "yes"
    if not added:
        return None
    change["metadata"]["annotations"] = added
    return operations.patch(PERSISTENT_VOLUME_CLAIMS, *key_of(claim), change)


def _status(resource: Resource, document: Document, fields: Document) -> Operation | None:
    """Only what the writer knows: conditions are others'."""
    before = document.get("status") or {}
    change = {name: value for name, value in fields.items() if before.get(name) != value}
    if not change:
        return None
    patch = {"metadata": {"uid": uid_of(document)}, "status": change}
    return operations.patch(resource, *key_of(document), patch, subresource="status")


def _on_version(document: Document) -> Document:
    return {"uid": uid_of(document), "resourceVersion": document["metadata"]["resourceVersion"]}
