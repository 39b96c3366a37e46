"""The kinds of resource.k8s.io/v1; columns as kubectl prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.core.pods.resource_rules import is_extended
from moorage.resources.declaring import by_name, status_of
from moorage.resources.devices.allocation_rules import forget_released, status_errors
from moorage.resources.devices.checks import (
    MOST_CONFIGURATIONS,
    check_items,
    check_opaque,
    check_selectors,
    check_template_metadata,
)
from moorage.resources.devices.claim_rules import check_devices, default_devices
from moorage.resources.devices.slice_rules import slice_errors, slice_update_errors
from moorage.resources.field_errors import immutable, invalid
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, at, text

GROUP = "resource.k8s.io"
_DEVICES = "io.k8s.api.resource.v1"


def _class_errors(document: Document) -> list[FieldError]:
    errors = metadata_errors(document, names.dns_subdomain, namespaced=False)
    check_selectors(errors, "spec.selectors", at(document, "spec.selectors", ()))
    given: Sequence[Document] = at(document, "spec.config", ())
    check_items(errors, "spec.config", given, MOST_CONFIGURATIONS, check_opaque)
    name = at(document, "spec.extendedResourceName", None)
    if name is not None and ("/" not in name or not is_extended(name) or names.qualified_name(name)):
        errors.append(invalid("spec.extendedResourceName", name, "must be a valid extended resource name"))
    return errors


def _fill_class(document: Document) -> None:
    document.setdefault("spec", {})


DEVICE_CLASS = Kind(
    group=GROUP,
    version="v1",
    kind="DeviceClass",
    plural="deviceclasses",
    singular="deviceclass",
    namespaced=False,
    schema=f"{_DEVICES}.DeviceClass",
    storage=ResourceKey(GROUP, "deviceclasses"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    columns=(NAME, AGE),
    default=_fill_class,
    validate=_class_errors,
    validate_update=metadata_update_errors,
)


def _default_claim(claim: Document) -> None:
    devices = claim.setdefault("spec", {}).get("devices")
    if devices:
        default_devices(devices)


def _claim_errors(claim: Document) -> list[FieldError]:
    errors = metadata_errors(claim, names.dns_subdomain, namespaced=True)
    check_devices(errors, "spec.devices", at(claim, "spec.devices", {}))
    return errors


def _frozen(new: Document, old: Document) -> list[FieldError]:
    return metadata_update_errors(new, old) + immutable("spec", new.get("spec"), old.get("spec"))


def _begin(claim: Document) -> None:
    claim["status"] = {}


def _prepare_status(new: Document, old: Document, _now: str) -> None:
    forget_released(new, old)


def _state(claim: Document, _now: float) -> Any:
    deleted, allocated = at(claim, "metadata.deletionTimestamp"), at(claim, "status.allocation", None) is not None
    states = ["deleted"] if deleted else []
    if allocated:
        states += ["allocated", *(["reserved"] if at(claim, "status.reservedFor", ()) else [])]
    elif not deleted:
        states.append("pending")
    return ",".join(states)


RESOURCE_CLAIM = Kind(
    group=GROUP,
    version="v1",
    kind="ResourceClaim",
    plural="resourceclaims",
    singular="resourceclaim",
    namespaced=True,
    schema=f"{_DEVICES}.ResourceClaim",
    storage=ResourceKey(GROUP, "resourceclaims"),
    name_rule=names.dns_subdomain,
    subresources=by_name((status_of(GROUP, "v1", "ResourceClaim"),)),
    columns=(NAME, Column("State", _state, description="What has become of it."), AGE),
    default=_default_claim,
    prepare_create=_begin,
    prepare_status=_prepare_status,
    validate=_claim_errors,
    validate_update=_frozen,
    validate_status_update=status_errors,
)


def _default_template(template: Document) -> None:
    devices = at(template, "spec.spec.devices", None)
    if devices:
        default_devices(devices)


def _template_errors(template: Document) -> list[FieldError]:
    errors = metadata_errors(template, names.dns_subdomain, namespaced=True)
    check_template_metadata(errors, "spec.metadata", at(template, "spec.metadata", {}))
    check_devices(errors, "spec.spec.devices", at(template, "spec.spec.devices", {}))
    return errors


RESOURCE_CLAIM_TEMPLATE = Kind(
    group=GROUP,
    version="v1",
    kind="ResourceClaimTemplate",
    plural="resourceclaimtemplates",
    singular="resourceclaimtemplate",
    namespaced=True,
    schema=f"{_DEVICES}.ResourceClaimTemplate",
    storage=ResourceKey(GROUP, "resourceclaimtemplates"),
    name_rule=names.dns_subdomain,
    columns=(NAME, AGE),
    default=_default_template,
    validate=_template_errors,
    validate_update=_frozen,
)


def _slice_fields(document: Document) -> Mapping[str, str]:
    return {"spec.driver": at(document, "spec.driver"), "spec.nodeName": at(document, "spec.nodeName")}


def _begin_slice(document: Document) -> None:
    """A taint holds since the device was named with it."""
    for device in at(document, "spec.devices", ()):
        for taint in device.get("taints") or ():
            taint.setdefault("timeAdded", document["metadata"].get("creationTimestamp"))


RESOURCE_SLICE = Kind(
    group=GROUP,
    version="v1",
    kind="ResourceSlice",
    plural="resourceslices",
    singular="resourceslice",
    namespaced=False,
    schema=f"{_DEVICES}.ResourceSlice",
    storage=ResourceKey(GROUP, "resourceslices"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    columns=(
        NAME,
        Column("Node", text("spec.nodeName"), description="The node that its devices are on."),
        Column("Driver", text("spec.driver"), description="The driver that has them."),
        Column("Pool", text("spec.pool.name"), description="The pool that they are of."),
        AGE,
    ),
    prepare_create=_begin_slice,
    validate=slice_errors,
    validate_update=slice_update_errors,
    fields=_slice_fields,
)
