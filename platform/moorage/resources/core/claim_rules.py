"""Rules of PersistentVolumeClaims: what is asked for, and what may change once it is bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import names, quantity
from moorage.resources.checks import Errors
from moorage.resources.core.access_modes import (
    CLASS_ANNOTATION,
    check_class,
    check_modes,
    check_positive,
    check_version,
)
from moorage.resources.core.pods.resource_rules import check_amount
from moorage.resources.field_errors import forbidden, immutable, invalid, required
from moorage.resources.kind import Document, FieldError
from moorage.resources.label_selector import selector_errors
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import at

Part = Mapping[str, Any]

IMMUTABLE = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def _check_source(errors: Errors, path: str, source: Part) -> None:
    if not source.get("name"):
        errors.append(required(f"{path}.name"))
    if not source.get("kind"):
        errors.append(required(f"{path}.kind"))
    group = source.get("apiGroup") or ""
    if not group and source.get("kind") != "PersistentVolumeClaim":
        detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(invalid(path, source.get("kind", ""), detail))
    if group and (problem := names.dns_subdomain(group)):
        errors.append(invalid(path, group, problem))


def check_claim_spec(errors: Errors, path: str, spec: Part) -> None:
    """The spec of a claim, or of a template of claims, at ``path``."""
    if not spec.get("accessModes"):
        errors.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    errors += selector_errors(f"{path}.selector", spec.get("selector"))
    check_modes(errors, path, spec)
    asked = at(spec, "resources.requests.storage", None)
    if asked is None:
        errors.append(required(f"{path}.resources[storage]"))
    else:
        check_amount(errors, f"{path}.resources[storage]", "storage", asked)
        check_positive(errors, f"{path}.resources[storage]", asked)
    check_class(errors, f"{path}.storageClassName", spec.get("storageClassName"))
    for name in ("dataSource", "dataSourceRef"):
        if name in spec:
            _check_source(errors, f"{path}.{name}", spec[name])
    check_class(errors, f"{path}.volumeAttributesClassName", spec.get("volumeAttributesClassName"))


def claim_errors(claim: Document) -> list[FieldError]:
    """What is wrong with a PersistentVolumeClaim, whether new or changed."""
    errors = metadata_errors(claim, names.dns_subdomain, namespaced=True)
    check_claim_spec(errors, "spec", claim.get("spec") or {})
    return errors


def _comparable(new: Document, old: Document) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both specs without what may change from ``old`` to ``new``."""
    after, before = dict(new.get("spec") or {}), dict(old.get("spec") or {})
    if not before.get("volumeName"):
        before.pop("volumeName", None)
        after.pop("volumeName", None)
    if before.get("storageClassName") is None:
        # A claim without a class may be given the default one later (KEP-3333).
        annotated = at(old, "metadata.annotations", {}).get(CLASS_ANNOTATION)
        if annotated in (None, after.get("storageClassName")):
            after.pop("storageClassName", None)
            before.pop("storageClassName", None)
    if at(new, "status.phase") == "Bound":
        for spec in (after, before):
            spec.pop("volumeAttributesClassName", None)
            resources = dict(spec.get("resources") or {})
            resources["requests"] = {
                name: text for name, text in (resources.get("requests") or {}).items() if name != "storage"
            }
            spec["resources"] = resources
    return after, before


def claim_update_errors(new: Document, old: Document) -> list[FieldError]:
    """What an update must leave as it is; a bound claim may grow."""
    errors = metadata_update_errors(new, old)
    annotations = [at(each, "metadata.annotations", {}).get(CLASS_ANNOTATION, "") for each in (new, old)]
    errors += immutable(f"metadata.annotations.{CLASS_ANNOTATION}", annotations[0], annotations[1])
    after, before = _comparable(new, old)
    if after != before:
        errors.append(forbidden("spec", IMMUTABLE))
    wanted, asked = (at(each, "spec.resources.requests.storage", "0") for each in (new, old))
    has = at(old, "status.capacity.storage", "0")
    if quantity.compare(wanted, asked) < 0 and quantity.compare(wanted, has) <= 0:
        detail = "field can not be less than status.capacity"
        errors.append(forbidden("spec.resources.requests.storage", detail))
    errors += immutable("volumeMode", at(new, "spec.volumeMode", None), at(old, "spec.volumeMode", None))
    return errors + _attributes_class_errors(new, old)


def _attributes_class_errors(new: Document, old: Document) -> list[FieldError]:
    path = "spec.volumeAttributesClassName"
    after, before = at(new, path, None), at(old, path, None)
    if after == before or before is None:
        return []
    if after is None:
        return [forbidden(path, "update from non-nil value to nil is forbidden")]
    if not after:
        return [forbidden(path, "update from non-nil value to an empty string is forbidden")]
    return []


def claim_status_errors(new: Document, old: Document) -> list[FieldError]:
    """Amounts of a claim's status."""
    errors = metadata_update_errors(new, old)
    check_version(errors, new)
    if not at(new, "spec.accessModes", ()):
        errors.append(required("spec.accessModes"))
    for name, text in at(new, "status.capacity", {}).items():
        check_amount(errors, f"status.capacity[{name}]", name, text)
    for name, text in at(new, "status.allocatedResources", {}).items():
        path = f"status.allocatedResources[{name}]"
        if name != "storage" and (problem := names.qualified_name(name)):
            errors.append(invalid(path, name, problem))
        check_amount(errors, path, name, text)
    return errors
