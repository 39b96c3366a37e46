"""Rules of ``metadata`` that every kind shares. Source: API conventions, "Metadata"; "Object Names and IDs"; "Finalizers"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.field_errors import forbidden, immutable, invalid, not_negative, required, shown, too_long
from moorage.resources.kind import Document, FieldError
from moorage.resources.label_selector import label_errors

NameRule = Callable[[str], str | None]

ANNOTATIONS_LIMIT = 256 * 1024
ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
_STANDARD_FINALIZERS = frozenset({"kubernetes", ORPHAN, FOREGROUND})
_UNCHANGING = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_EMPTY: Mapping[str, Any] = {}


def annotation_errors(path: str, annotations: Mapping[str, str] | None) -> list[FieldError]:
    """Keys are qualified names whatever their case; all together at most 256 KiB."""
    errors: list[FieldError] = []
    size = 0
    for key, value in (annotations or _EMPTY).items():
        if problem := names.qualified_name(key.lower()):
            errors.append(invalid(path, key, problem))
        size += len(key.encode()) + len(value.encode())
    if size > ANNOTATIONS_LIMIT:
        errors.append(too_long(path, ANNOTATIONS_LIMIT))
    return errors


def finalizer_errors(path: str, finalizers: Sequence[str]) -> list[FieldError]:
    """Finalizers are qualified names; the two standard ones exclude each other."""
    errors: list[FieldError] = []
    for index, name in enumerate(finalizers):
        if problem := names.qualified_name(name):
            errors.append(invalid(path, name, problem))
        if "/" not in name and name not in _STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(f"{path}[{index}]", name, detail))
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        errors.append(invalid(path, list(finalizers), f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"))
    return errors


def owner_errors(path: str, owners: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Owners are named whole; one of them at most is the controller; an Event owns nothing."""
    errors: list[FieldError] = []
    controller = ""
    for owner in owners:
        for name, detail in (
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ):
            if not owner.get(name):
                errors.append(invalid(f"{path}.{name}", "", detail))
        if owner.get("apiVersion") == "v1" and owner.get("kind") == "Event":
            errors.append(invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            current = f"{owner.get('kind', '')}/{owner.get('name', '')}"
            if controller:
                detail = (
                    'Only one reference can have Controller set to true. Found "true" in references for '
                    f"{controller} and {current}"
                )
                errors.append(invalid(path, list(owners), detail))
            else:
                controller = current
    return errors


def _name_errors(metadata: Mapping[str, Any], rule: NameRule) -> list[FieldError]:
    errors: list[FieldError] = []
    prefix: str = metadata.get("generateName", "")
    # A prefix may end in a dash: what is generated continues it.
    checked = prefix[:-1] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix
    if prefix and (problem := rule(checked)):
        errors.append(invalid("metadata.generateName", prefix, problem))
    name: str = metadata.get("name", "")
    if not name:
        errors.append(required("metadata.name", "name or generateName is required"))
    elif problem := rule(name):
        errors.append(invalid("metadata.name", name, problem))
    return errors


def _namespace_errors(metadata: Mapping[str, Any], *, namespaced: bool) -> list[FieldError]:
    namespace: str = metadata.get("namespace", "")
    if not namespaced:
        return [forbidden("metadata.namespace", "not allowed on this type")] if namespace else []
    if not namespace:
        return [required("metadata.namespace")]
    problem = names.dns_label(namespace)
    return [invalid("metadata.namespace", namespace, problem)] if problem else []


def metadata_errors(document: Document, rule: NameRule, *, namespaced: bool) -> list[FieldError]:
    """All rules of ``metadata`` of a document whose name has been generated."""
    metadata = document.get("metadata") or _EMPTY
    errors = _name_errors(metadata, rule) + _namespace_errors(metadata, namespaced=namespaced)
    if "generation" in metadata:
        errors += not_negative("metadata.generation", metadata["generation"])
    if "labels" in metadata:
        errors += label_errors("metadata.labels", metadata["labels"])
    if "annotations" in metadata:
        errors += annotation_errors("metadata.annotations", metadata["annotations"])
    if "ownerReferences" in metadata:
        errors += owner_errors("metadata.ownerReferences", metadata["ownerReferences"])
    if "finalizers" in metadata:
        errors += finalizer_errors("metadata.finalizers", metadata["finalizers"])
    return errors


def metadata_update_errors(new: Document, old: Document) -> list[FieldError]:
    """What an update must leave as it is. Expects that the API has carried over what the update did not mention."""
    errors: list[FieldError] = []
    after, before = new.get("metadata") or _EMPTY, old.get("metadata") or _EMPTY
    if before.get("deletionTimestamp"):
        added = sorted(set(after.get("finalizers", ())) - set(before.get("finalizers", ())))
        if added:
            listed = ", ".join(map(shown, added))
            detail = (
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}"
            )
            errors.append(forbidden("metadata.finalizers", detail))
    if after.get("generation", 0) < before.get("generation", 0):
        errors.append(invalid("metadata.generation", after.get("generation", 0), "must not be decremented"))
    for name in _UNCHANGING:
        errors += immutable(f"metadata.{name}", after.get(name), before.get(name))
    return errors
