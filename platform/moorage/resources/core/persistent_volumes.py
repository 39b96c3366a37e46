"""PersistentVolumes. Source: "Persistent Volumes" in the Kubernetes documentation; columns as kubectl prints them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import names
from moorage.resources.core.access_modes import UNSET, short_modes, storage_class_of
from moorage.resources.core.persistent_volume_rules import volume_errors, volume_status_errors, volume_update_errors
from moorage.resources.declaring import CORE, by_name, status_of
from moorage.resources.kind import Column, Document, Kind, ResourceKey
from moorage.resources.printing import AGE, NAME, at, text
from moorage.resources.storage import HOME_FIELD, home_of

_SOURCE_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
}


def _default(volume: Document) -> None:
    spec = volume.setdefault("spec", {})
    if not spec.get("persistentVolumeReclaimPolicy"):
        spec["persistentVolumeReclaimPolicy"] = "Retain"
    spec.setdefault("volumeMode", "Filesystem")
    for source, defaults in _SOURCE_DEFAULTS.items():
        if source in spec:
            for name, value in defaults.items():
                spec[source].setdefault(name, value)
    status = volume.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Pending"


def _prepare_create(volume: Document) -> None:
    volume["status"] = {"phase": "Pending", "lastPhaseTransitionTime": volume["metadata"].get("creationTimestamp")}


def _prepare_status(new: Document, old: Document, now: str) -> None:
    """When the phase changes, so does the time since when it holds (KEP-3762), unless the writer gives one."""
    after, before = new.setdefault("status", {}), old.get("status") or {}
    since = before.get("lastPhaseTransitionTime")
    if after.get("phase") != before.get("phase") and after.get("lastPhaseTransitionTime") in (None, since):
        after["lastPhaseTransitionTime"] = now


def _phase(document: Document, _now: float) -> Any:
    return "Terminating" if at(document, "metadata.deletionTimestamp") else at(document, "status.phase")


def _modes(volume: Document, _now: float) -> Any:
    return short_modes(at(volume, "spec.accessModes", ()))


def _claim(volume: Document, _now: float) -> Any:
    claim = at(volume, "spec.claimRef", None)
    return f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""


def _fields(volume: Document) -> Mapping[str, str]:
    return {"name": at(volume, "metadata.name"), HOME_FIELD: home_of(volume)}


PERSISTENT_VOLUME = Kind(
    group="",
    version="v1",
    kind="PersistentVolume",
    plural="persistentvolumes",
    singular="persistentvolume",
    namespaced=False,
    schema=f"{CORE}.PersistentVolume",
    short_names=("pv",),
    storage=ResourceKey("", "persistentvolumes"),
    name_rule=names.dns_subdomain,
    subresources=by_name((status_of("", "v1", "PersistentVolume"),)),
    columns=(
        NAME,
        Column("Capacity", text("spec.capacity.storage"), description="How much it holds."),
        Column("Access Modes", _modes, description="How it can be used."),
        Column("Reclaim Policy", text("spec.persistentVolumeReclaimPolicy"), description="What follows its release."),
        Column("Status", _phase, description="Whether a claim has it."),
        Column("Claim", _claim, description="The claim that has it."),
        Column("StorageClass", lambda volume, _now: storage_class_of(volume), description="Its class."),
        Column("VolumeAttributesClass", text("spec.volumeAttributesClassName", UNSET), description="Its attributes."),
        Column("Reason", text("status.reason"), description="Why it is in this state."),
        AGE,
        Column("VolumeMode", text("spec.volumeMode", UNSET), priority=1, description="File system or block device."),
    ),
    default=_default,
    prepare_create=_prepare_create,
    prepare_status=_prepare_status,
    validate=volume_errors,
    validate_update=volume_update_errors,
    validate_status_update=volume_status_errors,
    fields=_fields,
)
