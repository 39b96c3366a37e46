"""node.k8s.io/v1: RuntimeClasses. Source: "Runtime Class" in the Kubernetes documentation."""

from __future__ import annotations

from moorage.resources import names
from moorage.resources.checks import check_name
from moorage.resources.core.pods.resource_rules import check_amount, check_container_resource
from moorage.resources.core.pods.scheduling_rules import check_tolerations
from moorage.resources.field_errors import duplicate, immutable
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.label_selector import label_errors
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, at, text


def _errors(runtime: Document) -> list[FieldError]:
    errors = metadata_errors(runtime, names.dns_subdomain, namespaced=False)
    check_name(errors, "handler", runtime.get("handler", ""), names.dns_label)
    for name, amount in at(runtime, "overhead.podFixed", {}).items():
        path = f"overhead.podFixed[{name}]"
        check_container_resource(errors, path, name)
        check_amount(errors, path, name, amount)
    errors += label_errors("scheduling.nodeSelector", at(runtime, "scheduling.nodeSelector", {}))
    tolerations = at(runtime, "scheduling.tolerations", ())
    check_tolerations(errors, "scheduling.tolerations", tolerations)
    for index, toleration in enumerate(tolerations):
        if toleration in tolerations[:index]:
            errors.append(duplicate(f"scheduling.tolerations[{index}]", toleration))
    return errors


def _update_errors(new: Document, old: Document) -> list[FieldError]:
    return metadata_update_errors(new, old) + immutable("handler", new.get("handler"), old.get("handler"))


RUNTIME_CLASS = Kind(
    group="node.k8s.io",
    version="v1",
    kind="RuntimeClass",
    plural="runtimeclasses",
    singular="runtimeclass",
    namespaced=False,
    schema="io.k8s.api.node.v1.RuntimeClass",
    storage=ResourceKey("node.k8s.io", "runtimeclasses"),
    name_rule=names.dns_subdomain,
    columns=(NAME, Column("Handler", text("handler"), description="What runs its pods on a node."), AGE),
    validate=_errors,
    validate_update=_update_errors,
)
