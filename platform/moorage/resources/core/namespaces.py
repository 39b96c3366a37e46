"""Namespaces."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.resources import names
from moorage.resources.declaring import CORE, by_name, status_of
from moorage.resources.field_errors import invalid
from moorage.resources.kind import (
    Column,
    Document,
    FieldError,
    GroupVersionKind,
    Kind,
    ResourceKey,
    Subresource,
)
from moorage.resources.metadata import finalizer_errors, metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, at, text

NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"


def _fields(namespace: Document) -> Mapping[str, str]:
    return {"status.phase": at(namespace, "status.phase"), "name": at(namespace, "metadata.name")}


def _label_with_name(namespace: Document) -> None:
    """Selectors can then name a namespace."""
    if name := at(namespace, "metadata.name"):
        namespace["metadata"].setdefault("labels", {})[NAME_LABEL] = name


def _default(namespace: Document) -> None:
    _label_with_name(namespace)
    status = namespace.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Active"


def _prepare_create(namespace: Document) -> None:
    """A namespace starts active, and goes only once what it holds is gone."""
    _label_with_name(namespace)
    namespace["status"] = {"phase": "Active"}
    finalizers = namespace.setdefault("spec", {}).setdefault("finalizers", [])
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)


def _prepare_update(new: Document, old: Document) -> None:
    """``spec.finalizers`` changes through ``/finalize`` only."""
    if "spec" in old:
        new["spec"] = old["spec"]
    else:
        new.pop("spec", None)


def _errors(namespace: Document) -> list[FieldError]:
    errors = metadata_errors(namespace, names.dns_label, namespaced=False)
    return errors + finalizer_errors("spec.finalizers", at(namespace, "spec.finalizers", ()))


def _status_errors(new: Document, old: Document) -> list[FieldError]:
    errors = metadata_update_errors(new, old)
    phase = at(new, "status.phase")
    if not at(new, "metadata.deletionTimestamp"):
        if phase != "Active":
            errors.append(invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty"))
    elif phase != "Terminating":
        detail = "may only be 'Terminating' if `deletionTimestamp` is not empty"
        errors.append(invalid("status.Phase", phase, detail))
    return errors


NAMESPACE = Kind(
    group="",
    version="v1",
    kind="Namespace",
    plural="namespaces",
    singular="namespace",
    namespaced=False,
    schema=f"{CORE}.Namespace",
    short_names=("ns",),
    storage=ResourceKey("", "namespaces"),
    name_rule=names.dns_label,
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    subresources=by_name(
        (
            status_of("", "v1", "Namespace"),
            Subresource("finalize", GroupVersionKind("", "v1", "Namespace"), ("update",)),
        )
    ),
    columns=(NAME, Column("Status", text("status.phase"), description="The status of the namespace"), AGE),
    default=_default,
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
    validate=_errors,
    validate_update=metadata_update_errors,
    validate_status_update=_status_errors,
    fields=_fields,
)
