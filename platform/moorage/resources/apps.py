"""apps/v1: Deployments and ReplicaSets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import label_selector, names
from moorage.resources.apps_rules import (
    deployment_errors,
    deployment_status_errors,
    replica_set_errors,
    replica_set_status_errors,
    selector_update_errors,
)
from moorage.resources.core.pods.defaults import default_pod_spec
from moorage.resources.declaring import by_name, scale, status_of
from moorage.resources.kind import Column, Document, Kind, ResourceKey
from moorage.resources.printing import AGE, NAME, at, container_images, container_names, number

_APPS = "io.k8s.api.apps.v1"


def _ready(deployment: Document, _now: float) -> Any:
    return f"{at(deployment, 'status.readyReplicas', 0)}/{at(deployment, 'spec.replicas', 0)}"


def _selector(document: Document, _now: float) -> Any:
    return label_selector.formatted(at(document, "spec.selector", None))


def _replica_set_fields(replica_set: Document) -> Mapping[str, str]:
    return {"status.replicas": str(at(replica_set, "status.replicas", 0))}


def _default_template(spec: Document) -> None:
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def _default_replica_set(replica_set: Document) -> None:
    spec = replica_set.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _default_template(spec)


def _default_deployment(deployment: Document) -> None:
    spec = deployment.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    strategy = spec.setdefault("strategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    _default_template(spec)


def _begin_replica_set(replica_set: Document) -> None:
    replica_set["status"] = {"replicas": 0}


def _begin_deployment(deployment: Document) -> None:
    # Clients read and patch parts of the status from the start: it is never missing.
    deployment["status"] = {}


_TEMPLATE_COLUMNS = (
    Column(
        "Containers",
        container_names("spec.template"),
        priority=1,
        description="Names of each container in the template.",
    ),
    Column(
        "Images",
        container_images("spec.template"),
        priority=1,
        description="Images referenced by each container in the template.",
    ),
    Column("Selector", _selector, priority=1, description="Which pods belong to it."),
)

DEPLOYMENT = Kind(
    group="apps",
    version="v1",
    kind="Deployment",
    plural="deployments",
    singular="deployment",
    namespaced=True,
    schema=f"{_APPS}.Deployment",
    short_names=("deploy",),
    categories=("all",),
    storage=ResourceKey("apps", "deployments"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    subresources=by_name((status_of("apps", "v1", "Deployment"), scale())),
    columns=(
        NAME,
        Column("Ready", _ready, description="Number of the pod with ready state"),
        Column("Up-to-date", number("status.updatedReplicas"), description="Pods made from the current template."),
        Column("Available", number("status.availableReplicas"), description="Pods ready for long enough."),
        AGE,
        *_TEMPLATE_COLUMNS,
    ),
    default=_default_deployment,
    prepare_create=_begin_deployment,
    validate=deployment_errors,
    validate_update=selector_update_errors,
    validate_status_update=deployment_status_errors,
)

REPLICA_SET = Kind(
    group="apps",
    version="v1",
    kind="ReplicaSet",
    plural="replicasets",
    singular="replicaset",
    namespaced=True,
    schema=f"{_APPS}.ReplicaSet",
    short_names=("rs",),
    categories=("all",),
    storage=ResourceKey("apps", "replicasets"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    subresources=by_name((status_of("apps", "v1", "ReplicaSet"), scale())),
    columns=(
        NAME,
        Column("Desired", number("spec.replicas"), "integer", description="How many pods are wanted."),
        Column("Current", number("status.replicas"), "integer", description="How many pods there are."),
        Column("Ready", number("status.readyReplicas"), "integer", description="How many of them are ready."),
        AGE,
        *_TEMPLATE_COLUMNS,
    ),
    default=_default_replica_set,
    prepare_create=_begin_replica_set,
    validate=replica_set_errors,
    validate_update=selector_update_errors,
    validate_status_update=replica_set_status_errors,
    fields=_replica_set_fields,
)
