"""Rules of PersistentVolumes: one source, a capacity, where it can be used; what may change afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moorage.resources import names
from moorage.resources.checks import Errors, check_no_backsteps
from moorage.resources.core.access_modes import check_class, check_modes, check_positive, check_version
from moorage.resources.core.pods.scheduling_rules import check_node_selector
from moorage.resources.core.pods.volume_rules import check_volume_source
from moorage.resources.field_errors import forbidden, immutable, invalid, not_supported, required, too_long
from moorage.resources.kind import Document, FieldError
from moorage.resources.metadata import metadata_errors, metadata_update_errors

Part = Mapping[str, Any]

POLICIES = ("Delete", "Recycle", "Retain")
_SOURCES = (
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
)
_CSI_REFERENCES = (
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
    "nodeStageSecretRef",
)


def _check_local(errors: Errors, path: str, source: Part) -> None:
    where = source.get("path", "")
    if not where:
        errors.append(required(f"{path}.path"))
        return
    if not where.startswith("/"):
        errors.append(invalid(path, where, "must be an absolute path"))
    check_no_backsteps(errors, f"{path}.path", where)


def check_csi_driver(errors: Errors, path: str, driver: str) -> None:
    """The name of a CSI driver: a subdomain in any case, no longer than a label."""
    if not driver:
        errors.append(required(path))
        return
    if len(driver) > names.LABEL_LENGTH:
        errors.append(too_long(path, names.LABEL_LENGTH))
    if problem := names.dns_subdomain(driver.lower()):
        errors.append(invalid(path, driver, problem))


def check_csi(errors: Errors, path: str, source: Part) -> None:
    """A volume of a CSI driver, as a PersistentVolume names it."""
    check_csi_driver(errors, f"{path}.driver", source.get("driver", ""))
    if not source.get("volumeHandle"):
        errors.append(required(f"{path}.volumeHandle"))
    for name in _CSI_REFERENCES:
        if name not in source:
            continue
        for field in ("name", "namespace"):
            if not source[name].get(field):
                errors.append(required(f"{path}.{name}.{field}"))


_OWN: Mapping[str, Callable[[Errors, str, Part], None]] = {"local": _check_local, "csi": check_csi}


def _check_source(errors: Errors, spec: Part) -> None:
    found = False
    for kind in _SOURCES:
        if kind not in spec:
            continue
        here = f"spec.{kind}"
        if found:
            errors.append(forbidden(here, "may not specify more than 1 volume type"))
            continue
        found = True
        if kind in _OWN:
            _OWN[kind](errors, here, spec[kind])
        else:
            check_volume_source(errors, here, kind, spec[kind])
    if not found:
        errors.append(required("spec", "must specify a volume type"))


def _check_capacity(errors: Errors, spec: Part) -> None:
    capacity: Mapping[str, str] = spec.get("capacity") or {}
    if not capacity:
        errors.append(required("spec.capacity"))
    if "storage" not in capacity or len(capacity) > 1:
        errors.append(not_supported("spec.capacity", dict(capacity), ("storage",)))
    for name, text in capacity.items():
        check_positive(errors, f"spec.capacity[{name}]", text)


def _check_affinity(errors: Errors, spec: Part) -> None:
    affinity = spec.get("nodeAffinity")
    if affinity is None:
        if "local" in spec:
            errors.append(required("spec.nodeAffinity", "Local volume requires node affinity"))
    elif "required" not in affinity:
        errors.append(required("spec.nodeAffinity.required", "must specify required node constraints"))
    else:
        check_node_selector(errors, "spec.nodeAffinity.required", affinity["required"])


def _check_attributes_class(errors: Errors, spec: Part) -> None:
    name = spec.get("volumeAttributesClassName")
    if name is None:
        return
    if not name:
        errors.append(required("spec.volumeAttributesClassName", "an empty string is disallowed"))
    check_class(errors, "spec.volumeAttributesClassName", name)
    if "csi" not in spec:
        errors.append(required("spec.csi", "has to be specified when using volumeAttributesClassName"))


def volume_errors(volume: Document) -> list[FieldError]:
    """What is wrong with a PersistentVolume, whether new or changed."""
    errors = metadata_errors(volume, names.dns_subdomain, namespaced=False)
    spec: Part = volume.get("spec") or {}
    if not spec.get("accessModes"):
        errors.append(required("spec.accessModes"))
    check_modes(errors, "spec", spec)
    _check_capacity(errors, spec)
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in POLICIES:
        errors.append(not_supported("spec.persistentVolumeReclaimPolicy", policy, POLICIES))
    _check_affinity(errors, spec)
    _check_source(errors, spec)
    if policy == "Recycle" and (spec.get("hostPath") or {}).get("path", "").rstrip("/") == "" and "hostPath" in spec:
        detail = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(forbidden("spec.persistentVolumeReclaimPolicy", detail))
    check_class(errors, "spec.storageClassName", spec.get("storageClassName"))
    _check_attributes_class(errors, spec)
    return errors


def _source(spec: Part) -> dict[str, Any]:
    """The source; CSI drivers may be given secrets for expansion later."""
    source = {name: spec[name] for name in _SOURCES if name in spec}
    if "csi" in source:
        source["csi"] = {name: value for name, value in source["csi"].items() if not name.endswith("ExpandSecretRef")}
    return source


def volume_update_errors(new: Document, old: Document) -> list[FieldError]:
    """What an update must leave as it is."""
    errors = metadata_update_errors(new, old)
    after: Part = new.get("spec") or {}
    before: Part = old.get("spec") or {}
    if _source(after) != _source(before):
        detail = "spec.persistentvolumesource is immutable after creation"
        errors.append(forbidden("spec.persistentvolumesource", detail))
    errors += immutable("volumeMode", after.get("volumeMode"), before.get("volumeMode"))
    if "nodeAffinity" in before:
        errors += immutable("spec.nodeAffinity", after.get("nodeAffinity"), before["nodeAffinity"])
    if before.get("volumeAttributesClassName") is not None and after.get("volumeAttributesClassName") is None:
        errors.append(forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden"))
    return errors


def volume_status_errors(new: Document, old: Document) -> list[FieldError]:
    """A status is written on top of a version that the writer has read."""
    errors = metadata_update_errors(new, old)
    check_version(errors, new)
    return errors
