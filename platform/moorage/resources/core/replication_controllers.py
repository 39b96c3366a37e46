"""ReplicationControllers: what ReplicaSets were before. Their selector is a plain map of labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import names
from moorage.resources.apps_rules import check_not_negative, check_pod_template, replica_set_status_errors
from moorage.resources.core.pods.defaults import default_pod_spec
from moorage.resources.declaring import CORE, by_name, scale, status_of
from moorage.resources.field_errors import required
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, at, container_images, container_names, labels, number


def _default(controller: Document) -> None:
    """What is not said of labels and selector is what the template's labels are."""
    spec = controller.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    if "template" in spec:
        default_pod_spec(spec["template"].setdefault("spec", {}))
    given = at(spec, "template.metadata.labels", {})
    if given:
        if not spec.get("selector"):
            spec["selector"] = dict(given)
        metadata = controller.setdefault("metadata", {})
        if not metadata.get("labels"):
            metadata["labels"] = dict(given)


def _prepare_create(controller: Document) -> None:
    controller["status"] = {"replicas": 0}


def _errors(controller: Document) -> list[FieldError]:
    errors = metadata_errors(controller, names.dns_subdomain, namespaced=True)
    spec = controller.get("spec") or {}
    check_not_negative(errors, "spec", spec, "replicas", "minReadySeconds")
    selector = spec.get("selector") or {}
    if not selector:
        errors.append(required("spec.selector"))
    if "template" not in spec:
        errors.append(required("spec.template"))
    else:
        check_pod_template(errors, spec, {"matchLabels": selector}, "ReplicationController")
    return errors


def _selector(controller: Document, _now: float) -> Any:
    return labels(at(controller, "spec.selector", {}))


def _fields(controller: Document) -> Mapping[str, str]:
    return {"status.replicas": str(at(controller, "status.replicas", 0)), "name": at(controller, "metadata.name")}


REPLICATION_CONTROLLER = Kind(
    group="",
    version="v1",
    kind="ReplicationController",
    plural="replicationcontrollers",
    singular="replicationcontroller",
    namespaced=True,
    schema=f"{CORE}.ReplicationController",
    short_names=("rc",),
    categories=("all",),
    storage=ResourceKey("", "replicationcontrollers"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    subresources=by_name((status_of("", "v1", "ReplicationController"), scale())),
    columns=(
        NAME,
        Column("Desired", number("spec.replicas"), "integer", description="How many pods are wanted."),
        Column("Current", number("status.replicas"), "integer", description="How many pods there are."),
        Column("Ready", number("status.readyReplicas"), "integer", description="How many of them are ready."),
        AGE,
        Column("Containers", container_names("spec.template"), priority=1, description="Names of its containers."),
        Column("Images", container_images("spec.template"), priority=1, description="Images of its containers."),
        Column("Selector", _selector, priority=1, description="Which pods belong to it."),
    ),
    default=_default,
    prepare_create=_prepare_create,
    validate=_errors,
    validate_update=metadata_update_errors,
    validate_status_update=replica_set_status_errors,
    fields=_fields,
)
