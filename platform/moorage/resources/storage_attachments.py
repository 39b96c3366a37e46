"""storage.k8s.io/v1: VolumeAttachments, by which CSI drivers are asked to attach a volume to a node.

Nothing here attaches: the volumes of this platform need no attaching. The objects are for those that bring a driver along.
Source: "VolumeAttachment" in the API reference; pkg/apis/storage/validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import names
from moorage.resources.checks import LARGEST_INT32, Errors
from moorage.resources.core.access_modes import check_modes
from moorage.resources.core.persistent_volume_rules import check_csi, check_csi_driver
from moorage.resources.declaring import by_name, status_of
from moorage.resources.field_errors import forbidden, immutable, invalid, required, too_long
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, at, text

Part = Mapping[str, Any]

GROUP = "storage.k8s.io"
_METADATA_BYTES = 256 * 1024
_MESSAGE_BYTES = 1024
_ONE_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
_NOT_INLINE = (
    "claimRef",
    "capacity",
    "persistentVolumeReclaimPolicy",
    "nodeAffinity",
    "storageClassName",
    "volumeMode",
)
"""Fields of a PersistentVolume's spec that mean nothing without the PersistentVolume."""


def _check_inline(errors: Errors, path: str, spec: Part) -> None:
    errors.extend(
        forbidden(f"{path}.{name}", "may not be specified in the context of inline volumes")
        for name in _NOT_INLINE
        if spec.get(name)
    )
    if "csi" not in spec:
        errors.append(required(f"{path}.csi", "has to be specified in the context of inline volumes"))
    else:
        check_csi(errors, f"{path}.csi", spec["csi"])
    if not spec.get("accessModes"):
        errors.append(required(f"{path}.accessModes"))
    check_modes(errors, path, spec)


def _check_source(errors: Errors, source: Part) -> None:
    path = "spec.source"
    inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    if inline is None and name is None:
        errors.append(required(path, _ONE_SOURCE))
    elif inline is not None and name is not None:
        errors.append(forbidden(path, _ONE_SOURCE))
    elif inline is not None:
        _check_inline(errors, f"{path}.inlineVolumeSpec", inline)
    elif not name:
        errors.append(required(f"{path}.persistentVolumeName", "must specify non empty persistentVolumeName"))
    elif problem := names.dns_subdomain(name):
        errors.append(invalid(f"{path}.persistentVolumeName", name, problem))


def _check_status(errors: Errors, status: Part) -> None:
    told = status.get("attachmentMetadata") or {}
    if sum(len(key.encode()) + len(value.encode()) for key, value in told.items()) > _METADATA_BYTES:
        errors.append(too_long("status.attachmentMetadata", _METADATA_BYTES))
    for name in ("attachError", "detachError"):
        error: Part = status.get(name) or {}
        if len(error.get("message", "").encode()) > _MESSAGE_BYTES:
            errors.append(too_long(f"status.{name}.message", _MESSAGE_BYTES))
        if error.get("errorCode", 0) < 0:
            detail = f"must be between 0 and {LARGEST_INT32}, inclusive"
            errors.append(invalid(f"status.{name}.errorCode", error["errorCode"], detail))


def _errors(attachment: Document) -> list[FieldError]:
    errors = metadata_errors(attachment, names.dns_subdomain, namespaced=False)
    spec: Part = attachment.get("spec") or {}
    check_csi_driver(errors, "spec.attacher", spec.get("attacher", ""))
    _check_source(errors, spec.get("source") or {})
    node = spec.get("nodeName", "")
    if problem := names.dns_subdomain(node):
        errors.append(invalid("spec.nodeName", node, problem))
    _check_status(errors, attachment.get("status") or {})
    return errors


def _update_errors(new: Document, old: Document) -> list[FieldError]:
    return metadata_update_errors(new, old) + immutable("spec", new.get("spec"), old.get("spec"))


def _status_errors(new: Document, old: Document) -> list[FieldError]:
    errors = metadata_update_errors(new, old)
    _check_status(errors, new.get("status") or {})
    return errors


def _begin(attachment: Document) -> None:
    attachment["status"] = {"attached": False}


def _default(attachment: Document) -> None:
    attachment.setdefault("status", {}).setdefault("attached", False)


VOLUME_ATTACHMENT = Kind(
    group=GROUP,
    version="v1",
    kind="VolumeAttachment",
    plural="volumeattachments",
    singular="volumeattachment",
    namespaced=False,
    schema="io.k8s.api.storage.v1.VolumeAttachment",
    storage=ResourceKey(GROUP, "volumeattachments"),
    subresources=by_name((status_of(GROUP, "v1", "VolumeAttachment"),)),
    unconditional_update=False,
    name_rule=names.dns_subdomain,
    columns=(
        NAME,
        Column("Attacher", text("spec.attacher"), "string", "name", description="The driver that attaches."),
        Column("PV", text("spec.source.persistentVolumeName"), description="The volume."),
        Column("Node", text("spec.nodeName"), description="The node that it is to be attached to."),
        Column(
            "Attached",
            lambda attachment, _now: bool(at(attachment, "status.attached", False)),
            "boolean",
            description="Whether it is.",
        ),
        AGE,
    ),
    default=_default,
    prepare_create=_begin,
    validate=_errors,
    validate_update=_update_errors,
    validate_status_update=_status_errors,
)
