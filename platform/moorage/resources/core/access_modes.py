"""What PersistentVolumes and PersistentVolumeClaims share: access modes, volume modes, class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names, quantity
from moorage.resources.checks import Errors
from moorage.resources.field_errors import forbidden, invalid, not_supported, required

Part = Mapping[str, Any]

ONE_POD = "ReadWriteOncePod"
ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", ONE_POD)
_SHORT = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", ONE_POD: "RWOP"}
VOLUME_MODES = ("Block", "Filesystem")
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
UNSET = "<unset>"


def short_modes(modes: Sequence[str]) -> str:
    """``RWO,ROX`` in the order in which kubectl prints them, each once."""
    return ",".join(short for mode, short in _SHORT.items() if mode in modes)


def storage_class_of(document: Mapping[str, Any]) -> str:
    """The class that a claim or a volume names, "" for none; an old annotation goes before the field."""
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    if CLASS_ANNOTATION in annotations:
        return str(annotations[CLASS_ANNOTATION])
    return (document.get("spec") or {}).get("storageClassName") or ""


def has_class(claim: Mapping[str, Any]) -> bool:
    """Whether a claim names a class, be it none (""), rather than leaving it open."""
    annotations = (claim.get("metadata") or {}).get("annotations") or {}
    return CLASS_ANNOTATION in annotations or (claim.get("spec") or {}).get("storageClassName") is not None


def check_modes(errors: Errors, path: str, spec: Part) -> None:
    """``accessModes``, which both kinds must give, and ``volumeMode``."""
    modes = spec.get("accessModes") or ()
    here = f"{path}.accessModes"
    unknown = [mode for mode in modes if mode not in ACCESS_MODES]
    errors.extend(not_supported(here, mode, ACCESS_MODES) for mode in unknown)
    if ONE_POD in modes and len(set(modes)) > 1:
        errors.append(forbidden(here, f"may not use {ONE_POD} with other access modes"))
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        errors.append(not_supported(f"{path}.volumeMode", mode, VOLUME_MODES))


def check_class(errors: Errors, path: str, name: str | None) -> None:
    """The name of a class, where one is given."""
    if name and (problem := names.dns_subdomain(name)):
        errors.append(invalid(path, name, problem))


def check_positive(errors: Errors, path: str, text: str) -> None:
    """A quantity above zero."""
    if quantity.parse(text).nanos <= 0:
        errors.append(invalid(path, text, "must be greater than zero"))


def check_version(errors: Errors, document: Mapping[str, Any]) -> None:
    """A status is written on top of a version that the writer has read."""
    if not (document.get("metadata") or {}).get("resourceVersion"):
        errors.append(required("metadata.resourceVersion"))
