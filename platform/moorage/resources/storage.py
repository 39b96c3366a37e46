"""storage.k8s.io/v1: classes of volumes. Source: "Storage Classes", "Volume Attributes Classes" in the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moorage.resources import names
from moorage.resources.checks import Errors, check_name
from moorage.resources.field_errors import duplicate, forbidden, immutable, invalid, not_supported, required, too_long
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, at, text

_STORAGE = "io.k8s.api.storage.v1"
DEFAULT_ANNOTATION = "storageclass.kubernetes.io/is-default-class"
_OLD_DEFAULT_ANNOTATION = "storageclass.beta.kubernetes.io/is-default-class"
CLAIM_PROTECTION, VOLUME_PROTECTION = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"
CLASS_PROTECTION = "kubernetes.io/vac-protection"
"""Finalizers of claims that pods mount, of volumes that claims have, and of classes of attributes that either has."""
FOLDER_FINALIZER = "volumes.moorage.io/folder"
"""Of volumes that are folders of a node: who deletes one by hand does not keep it from being emptied, where it is to be."""
RECLAIM_POLICIES = ("Delete", "Retain")
LOCAL_PROVISIONER, LOCAL_DRIVER = "moorage.io/local", "local.moorage.io"
"""Folders of nodes: what classes name, and what volumes of them name (a CSI driver's name may have no slash)."""
LOCAL_CLASS: Document = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "local", "annotations": {DEFAULT_ANNOTATION: "true"}},
    "provisioner": LOCAL_PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
    "allowVolumeExpansion": True,
}
"""What a server makes when it starts, where there is no class of this name."""
HOME_FIELD = "spec.csi.volumeAttributes.node"
"""The field by which the volumes that are folders of one node are selected: an agent follows its own."""
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
_MOST_PARAMETERS = 512
_PARAMETER_BYTES = 256 * 1024


def home_of(volume: Document) -> str:
    """The node whose folder the volume is; "" for a volume of another kind."""
    source = at(volume, "spec.csi", {})
    if source.get("driver") != LOCAL_DRIVER:
        return ""
    return str((source.get("volumeAttributes") or {}).get("node") or "")


def is_to_be_emptied(volume: Document) -> bool:
    """Whether nobody uses the volume any more, and it is not to be kept."""
    released = at(volume, "status.phase") in ("Released", "Failed")
    return released and at(volume, "spec.persistentVolumeReclaimPolicy") == "Delete"


def is_default_class(storage_class: Document) -> bool:
    """Whether claims without a class get this one."""
    annotations = at(storage_class, "metadata.annotations", {})
    return any(annotations.get(name) == "true" for name in (DEFAULT_ANNOTATION, _OLD_DEFAULT_ANNOTATION))


def allows(storage_class: Document, labels: Mapping[str, str]) -> bool:
    """Whether volumes of the class may be made for a node with these labels (``allowedTopologies``)."""
    terms = storage_class.get("allowedTopologies") or ()
    return not terms or any(
        all(labels.get(each["key"]) in each["values"] for each in term.get("matchLabelExpressions") or ())
        for term in terms
    )


def default_class(classes: Iterable[Document]) -> str | None:
    """The name of the newest default class; of several as new, of the first by name."""
    defaults = [each for each in classes if is_default_class(each)]
    if not defaults:
        return None
    newest = max(str(each["metadata"].get("creationTimestamp") or "") for each in defaults)
    as_new = (each["metadata"] for each in defaults if str(each["metadata"].get("creationTimestamp") or "") == newest)
    return min(str(metadata["name"]) for metadata in as_new)


def _name(storage_class: Document, _now: float) -> Any:
    name = at(storage_class, "metadata.name")
    return f"{name} (default)" if is_default_class(storage_class) else name


def _default_class(storage_class: Document) -> None:
    if not storage_class.get("reclaimPolicy"):
        storage_class["reclaimPolicy"] = "Delete"
    if not storage_class.get("volumeBindingMode"):
        storage_class["volumeBindingMode"] = "Immediate"


def _check_driver(errors: Errors, path: str, name: str) -> None:
    if not name:
        errors.append(required(path))
    elif problem := names.qualified_name(name.lower()):
        errors.append(invalid(path, name, problem))


def _check_parameters(errors: Errors, parameters: Mapping[str, str], *, needed: bool = False) -> None:
    if needed and not parameters:
        errors.append(required("parameters", "must contain at least one key/value pair"))
    if len(parameters) > _MOST_PARAMETERS:
        errors.append(too_long("Provisioner Parameters Length", _MOST_PARAMETERS))
        return
    for key in parameters:
        if not key:
            errors.append(invalid("parameters", key, "field can not be empty."))
    if sum(len(key.encode()) + len(value.encode()) for key, value in parameters.items()) > _PARAMETER_BYTES:
        errors.append(too_long("parameters", _PARAMETER_BYTES))


def _check_topologies(errors: Errors, terms: list[Document]) -> None:
    for index, term in enumerate(terms):
        seen: set[str] = set()
        for place, expression in enumerate(term.get("matchLabelExpressions") or ()):
            path = f"allowedTopologies[{index}].matchLabelExpressions[{place}]"
            key = expression.get("key", "")
            check_name(errors, f"{path}.key", key, names.qualified_name)
            if key in seen:
                errors.append(duplicate(f"{path}.key", key))
            seen.add(key)
            values = expression.get("values") or ()
            if not values:
                errors.append(required(f"{path}.values"))
            for number, value in enumerate(values):
                check_name(errors, f"{path}.values[{number}]", value, names.label_value)
                if value in values[:number]:
                    errors.append(duplicate(f"{path}.values[{number}]", value))


def _class_errors(storage_class: Document) -> list[FieldError]:
    errors = metadata_errors(storage_class, names.dns_subdomain, namespaced=False)
    _check_driver(errors, "provisioner", storage_class.get("provisioner", ""))
    _check_parameters(errors, storage_class.get("parameters") or {})
    policy, mode = storage_class.get("reclaimPolicy"), storage_class.get("volumeBindingMode")
    if policy not in RECLAIM_POLICIES:
        errors.append(not_supported("reclaimPolicy", policy, RECLAIM_POLICIES))
    if mode not in BINDING_MODES:
        errors.append(not_supported("volumeBindingMode", mode, BINDING_MODES))
    _check_topologies(errors, storage_class.get("allowedTopologies") or [])
    return errors


def _class_update_errors(new: Document, old: Document) -> list[FieldError]:
    errors = metadata_update_errors(new, old)
    for name in ("parameters", "provisioner", "reclaimPolicy"):
        if (new.get(name) or None) != (old.get(name) or None):
            errors.append(forbidden(name, f"updates to {name} are forbidden."))
    return errors + immutable("volumeBindingMode", new.get("volumeBindingMode"), old.get("volumeBindingMode"))


def _attributes_errors(attributes: Document) -> list[FieldError]:
    errors = metadata_errors(attributes, names.dns_subdomain, namespaced=False)
    _check_driver(errors, "driverName", attributes.get("driverName", ""))
    _check_parameters(errors, attributes.get("parameters") or {}, needed=True)
    return errors


def _attributes_update_errors(new: Document, old: Document) -> list[FieldError]:
    errors = metadata_update_errors(new, old)
    for name in ("driverName", "parameters"):
        if new.get(name) != old.get(name):
            errors.append(forbidden(name, f"updates to {name} are forbidden."))
    return errors


STORAGE_CLASS = Kind(
    group="storage.k8s.io",
    version="v1",
    kind="StorageClass",
    plural="storageclasses",
    singular="storageclass",
    namespaced=False,
    schema=f"{_STORAGE}.StorageClass",
    short_names=("sc",),
    storage=ResourceKey("storage.k8s.io", "storageclasses"),
    name_rule=names.dns_subdomain,
    columns=(
        Column("Name", _name, format="name", description=NAME.description),
        Column("Provisioner", text("provisioner"), description="What makes the volumes."),
        Column("ReclaimPolicy", text("reclaimPolicy"), description="What follows the release of a volume."),
        Column("VolumeBindingMode", text("volumeBindingMode"), description="When volumes are made and bound."),
        Column(
            "AllowVolumeExpansion",
            lambda storage_class, _now: bool(storage_class.get("allowVolumeExpansion")),
            "boolean",
            description="Whether volumes can grow.",
        ),
        AGE,
    ),
    default=_default_class,
    validate=_class_errors,
    validate_update=_class_update_errors,
)

VOLUME_ATTRIBUTES_CLASS = Kind(
    group="storage.k8s.io",
    version="v1",
    kind="VolumeAttributesClass",
    plural="volumeattributesclasses",
    singular="volumeattributesclass",
    namespaced=False,
    schema=f"{_STORAGE}.VolumeAttributesClass",
    short_names=("vac",),
    storage=ResourceKey("storage.k8s.io", "volumeattributesclasses"),
    name_rule=names.dns_subdomain,
    columns=(NAME, Column("DriverName", text("driverName"), description="The driver that it is for."), AGE),
    validate=_attributes_errors,
    validate_update=_attributes_update_errors,
)
