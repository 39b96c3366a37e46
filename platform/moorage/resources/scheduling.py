"""scheduling.k8s.io/v1: PriorityClasses. Source: "Pod Priority and Preemption" in the Kubernetes documentation."""

from __future__ import annotations

from moorage.resources import names
from moorage.resources.field_errors import forbidden, immutable, not_supported
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, number, text

SYSTEM_PREFIX = "system-"
HIGHEST = 1_000_000_000
"""The largest value that is not the system's."""
PREEMPT, NEVER = "PreemptLowerPriority", "Never"


def _system(name: str, value: int, purpose: str) -> Document:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        "description": purpose,
    }


SYSTEM_CLASSES = (
    _system(
        "system-cluster-critical",
        2 * HIGHEST,
        "For pods that the cluster cannot do without, on whatever node they are.",
    ),
    _system("system-node-critical", 2 * HIGHEST + 1000, "For pods that their node cannot do without."),
)
"""What a server makes when it starts."""


def _default(priority: Document) -> None:
    priority.setdefault("value", 0)
    if not priority.get("preemptionPolicy"):
        priority["preemptionPolicy"] = PREEMPT


def _system_problem(priority: Document) -> str:
    name = priority["metadata"].get("name", "")
    for known in SYSTEM_CLASSES:
        if known["metadata"]["name"] == name:
            if priority["value"] != known["value"]:
                return f"value of {name} PriorityClass must be {known['value']}"
            return f"globalDefault of {name} PriorityClass must be false" if priority.get("globalDefault") else ""
    return f"{name} is not a known system priority class"


def _errors(priority: Document) -> list[FieldError]:
    errors = metadata_errors(priority, names.dns_subdomain, namespaced=False)
    if priority["metadata"].get("name", "").startswith(SYSTEM_PREFIX):
        if problem := _system_problem(priority):
            detail = (
                f"priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {problem}"
            )
            errors.append(forbidden("metadata.name", detail))
    elif priority["value"] > HIGHEST:
        errors.append(forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST}"))
    policy = priority["preemptionPolicy"]
    if policy not in (NEVER, PREEMPT):
        errors.append(not_supported("preemptionPolicy", policy, (NEVER, PREEMPT)))
    return errors


def _update_errors(new: Document, old: Document) -> list[FieldError]:
    errors = metadata_update_errors(new, old)
    if new["value"] != old["value"]:
        errors.append(forbidden("value", "may not be changed in an update."))
    return errors + immutable("preemptionPolicy", new["preemptionPolicy"], old["preemptionPolicy"])


PRIORITY_CLASS = Kind(
    group="scheduling.k8s.io",
    version="v1",
    kind="PriorityClass",
    plural="priorityclasses",
    singular="priorityclass",
    namespaced=False,
    schema="io.k8s.api.scheduling.v1.PriorityClass",
    short_names=("pc",),
    storage=ResourceKey("scheduling.k8s.io", "priorityclasses"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    columns=(
        NAME,
        Column("Value", number("value"), "integer", description="Higher goes first."),
        Column(
            "Global-Default",
            lambda priority, _now: bool(priority.get("globalDefault")),
            "boolean",
            description="Whether pods without a class get this one.",
        ),
        AGE,
        Column("PreemptionPolicy", text("preemptionPolicy"), description="Whether its pods may push others away."),
    ),
    default=_default,
    validate=_errors,
    validate_update=_update_errors,
)
