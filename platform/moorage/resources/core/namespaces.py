"""Namespaces."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.resources import names
from moorage.resources.declaring import CORE, by_name, status_of
from moorage.resources.kind import Column, Document, GroupVersionKind, Kind, ResourceKey, Subresource
from moorage.resources.printing import AGE, NAME, at, text


def _fields(namespace: Document) -> Mapping[str, str]:
    return {"status.phase": at(namespace, "status.phase"), "name": at(namespace, "metadata.name")}


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
    fields=_fields,
)
