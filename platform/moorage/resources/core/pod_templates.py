"""PodTemplates: a template of pods that is kept by itself."""

from __future__ import annotations

from typing import Any

from moorage.resources import names
from moorage.resources.core.pods.defaults import default_pod_spec
from moorage.resources.core.pods.pod_rules import check_template
from moorage.resources.declaring import CORE
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, at, container_images, container_names, labels


def _default(document: Document) -> None:
    default_pod_spec(document.setdefault("template", {}).setdefault("spec", {}))


def _errors(document: Document) -> list[FieldError]:
    errors = metadata_errors(document, names.dns_subdomain, namespaced=True)
    check_template(errors, "template", document["template"])
    return errors


def _pod_labels(document: Document, _now: float) -> Any:
    return labels(at(document, "template.metadata.labels", {}))


POD_TEMPLATE = Kind(
    group="",
    version="v1",
    kind="PodTemplate",
    plural="podtemplates",
    singular="podtemplate",
    namespaced=True,
    schema=f"{CORE}.PodTemplate",
    storage=ResourceKey("", "podtemplates"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    columns=(
        NAME,
        Column("Containers", container_names("template"), description="Names of its containers."),
        Column("Images", container_images("template"), description="Images of its containers."),
        Column("Pod Labels", _pod_labels, description="Labels of pods made of it."),
        AGE,
    ),
    default=_default,
    validate=_errors,
    validate_update=metadata_update_errors,
)
