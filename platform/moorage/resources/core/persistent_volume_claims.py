"""PersistentVolumeClaims. Source: "Persistent Volumes" in the Kubernetes documentation; columns as kubectl prints them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import names
from moorage.resources.core.access_modes import UNSET, short_modes, storage_class_of
from moorage.resources.core.claim_rules import claim_errors, claim_status_errors, claim_update_errors
from moorage.resources.declaring import CORE, by_name, status_of
from moorage.resources.kind import Column, Document, Kind, ResourceKey
from moorage.resources.printing import AGE, NAME, at, text

_SNAPSHOT = ("snapshot.storage.k8s.io", "VolumeSnapshot")


def default_claim_spec(spec: Document) -> None:
    """Fill in the spec of a claim, or of a template of claims."""
    spec.setdefault("volumeMode", "Filesystem")


def _default(claim: Document) -> None:
    default_claim_spec(claim.setdefault("spec", {}))
    status = claim.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Pending"


def _is_old_source(source: Document) -> bool:
    group, kind = source.get("apiGroup") or "", source.get("kind", "")
    return (group, kind) == _SNAPSHOT or (not group and kind == "PersistentVolumeClaim")


def _align_sources(claim: Document) -> None:
    """``dataSource`` and ``dataSourceRef`` say the same where both can (KEP-1495); the older one knows two kinds only. Sources
    in other namespaces (KEP-3294, an alpha feature that is off) are not kept.
    """
    spec = claim.setdefault("spec", {})
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if reference is not None:
        reference.pop("namespace", None)
    if source is not None and not _is_old_source(source):
        del spec["dataSource"]
        source = None
    if source is not None and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif source is None and reference is not None and _is_old_source(reference):
        spec["dataSource"] = dict(reference)


def _prepare_create(claim: Document) -> None:
    claim["status"] = {"phase": "Pending"}
    _align_sources(claim)


def _prepare_update(new: Document, _old: Document) -> None:
    _align_sources(new)


def _phase(claim: Document, _now: float) -> Any:
    return "Terminating" if at(claim, "metadata.deletionTimestamp") else at(claim, "status.phase")


def _of_volume(path: str) -> Any:
    """A cell that is empty until the claim has a volume."""
    return lambda claim, _now: at(claim, path) if at(claim, "spec.volumeName") else ""


def _modes(claim: Document, _now: float) -> Any:
    return short_modes(at(claim, "status.accessModes", ())) if at(claim, "spec.volumeName") else ""


def _fields(claim: Document) -> Mapping[str, str]:
    return {"name": at(claim, "metadata.name")}


PERSISTENT_VOLUME_CLAIM = Kind(
    group="",
    version="v1",
    kind="PersistentVolumeClaim",
    plural="persistentvolumeclaims",
    singular="persistentvolumeclaim",
    namespaced=True,
    schema=f"{CORE}.PersistentVolumeClaim",
    short_names=("pvc",),
    storage=ResourceKey("", "persistentvolumeclaims"),
    name_rule=names.dns_subdomain,
    subresources=by_name((status_of("", "v1", "PersistentVolumeClaim"),)),
    columns=(
        NAME,
        Column("Status", _phase, description="Whether it has a volume."),
        Column("Volume", text("spec.volumeName"), description="The volume that it has."),
        Column("Capacity", _of_volume("status.capacity.storage"), description="How much the volume holds."),
        Column("Access Modes", _modes, description="How the volume can be used."),
        Column("StorageClass", lambda claim, _now: storage_class_of(claim), description="Its class."),
        Column("VolumeAttributesClass", text("spec.volumeAttributesClassName", UNSET), description="Its attributes."),
        AGE,
        Column("VolumeMode", text("spec.volumeMode", UNSET), priority=1, description="File system or block device."),
    ),
    default=_default,
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
    validate=claim_errors,
    validate_update=claim_update_errors,
    validate_status_update=claim_status_errors,
    fields=_fields,
)
