"""autoscaling/v1: the Scale view of kinds with replicas."""

from __future__ import annotations

from moorage.resources import label_selector, names
from moorage.resources.field_errors import not_negative
from moorage.resources.kind import Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors
from moorage.resources.printing import at


def _errors(scale: Document) -> list[FieldError]:
    errors = metadata_errors(scale, names.dns_subdomain, namespaced=True)
    return errors + not_negative("spec.replicas", at(scale, "spec.replicas", 0))


SCALE = Kind(
    group="autoscaling",
    version="v1",
    kind="Scale",
    plural="scales",
    singular="scale",
    namespaced=True,
    schema="io.k8s.api.autoscaling.v1.Scale",
    storage=ResourceKey("autoscaling", "scales"),
    name_rule=names.dns_subdomain,
    verbs=(),
    validate=_errors,
)
"""The body of ``/scale``. It is not kept: it is a view of the scaled object."""

_SHARED_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def pod_selector(document: Document) -> label_selector.LabelSelector | None:
    """Which pods belong to the object. A ReplicationController's selector is a plain map of labels."""
    selector: label_selector.LabelSelector | None = at(document, "spec.selector", None)
    if selector is not None and document.get("kind") == "ReplicationController":
        return {"matchLabels": selector}
    return selector


def scale_of(document: Document) -> Document:
    """The Scale that ``document`` (a Deployment, a ReplicaSet) shows."""
    metadata = document.get("metadata") or {}
    scale: Document = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in _SHARED_METADATA if key in metadata},
        "spec": {},
        "status": {"replicas": at(document, "status.replicas", 0)},
    }
    if replicas := at(document, "spec.replicas", 0):
        scale["spec"]["replicas"] = replicas
    if selector := label_selector.selector_text(pod_selector(document)):
        scale["status"]["selector"] = selector
    return scale


def scaled(document: Document, scale: Document) -> Document:
    """``document`` with the replicas that ``scale`` asks for. Shares the rest with ``document``."""
    spec = {**(document.get("spec") or {}), "replicas": at(scale, "spec.replicas", 0)}
    return {**document, "spec": spec}
