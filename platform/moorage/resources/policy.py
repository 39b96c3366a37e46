"""policy/v1: PodDisruptionBudgets, and the Eviction that is the body of ``pods/NAME/eviction``.

Source: "Disruptions", "API-initiated Eviction" in the Kubernetes documentation; pkg/apis/policy/validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import intstr, names
from moorage.resources.checks import Errors
from moorage.resources.declaring import by_name, status_of
from moorage.resources.field_errors import NOT_NEGATIVE, invalid, not_supported, required
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.label_selector import selector_errors
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, at, number

GROUP = "policy"
IF_HEALTHY, ALWAYS = "IfHealthyBudget", "AlwaysAllow"
"""When a pod that is not ready may be evicted: while the others meet the budget, or in any case."""
DISRUPTION_ALLOWED = "DisruptionAllowed"
"""The condition of a budget."""
SUFFICIENT, INSUFFICIENT, SYNC_FAILED = "SufficientPods", "InsufficientPods", "SyncFailed"
"""Its reasons."""
DISRUPTION_TARGET = "DisruptionTarget"
"""The condition of a pod that somebody is about to end."""

_COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


def is_violation_tolerated(budget: Document) -> bool:
    """Whether pods that are not ready may be evicted whatever the others do."""
    return bool(at(budget, "spec.unhealthyPodEvictionPolicy") == ALWAYS)


def _check_amount(errors: Errors, path: str, value: intstr.IntOrString | None) -> None:
    if isinstance(value, int):
        if value < 0:
            errors.append(invalid(path, value, NOT_NEGATIVE))
    elif value is not None:
        share = intstr.percent(value)
        if share is None:
            errors.append(invalid(path, value, intstr.PERCENT_MESSAGE))
        elif share > 100:
            errors.append(invalid(path, value, "must not be greater than 100%"))


def _errors(budget: Document) -> list[FieldError]:
    errors = metadata_errors(budget, names.dns_subdomain, namespaced=True)
    spec: Mapping[str, Any] = budget.get("spec") or {}
    if "minAvailable" in spec and "maxUnavailable" in spec:
        errors.append(invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
    for name in ("minAvailable", "maxUnavailable"):
        _check_amount(errors, f"spec.{name}", spec.get(name))
    errors += selector_errors("spec.selector", spec.get("selector"))
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in (ALWAYS, IF_HEALTHY):
        errors.append(not_supported("spec.unhealthyPodEvictionPolicy", policy, (ALWAYS, IF_HEALTHY)))
    return errors


def _status_errors(new: Document, old: Document) -> list[FieldError]:
    errors = metadata_update_errors(new, old)
    status: Mapping[str, Any] = new.get("status") or {}
    for name in _COUNTS:
        if status.get(name, 0) < 0:
            errors.append(invalid(f"status.{name}", status[name], NOT_NEGATIVE))
    seen: set[str] = set()
    for index, condition in enumerate(status.get("conditions", ())):
        path = f"status.conditions[{index}]"
        errors += [required(f"{path}.{name}") for name in ("type", "status", "reason") if not condition.get(name)]
        if (kind := condition.get("type", "")) in seen:
            errors.append(FieldError(f"{path}.type", "FieldValueDuplicate", f'Duplicate value: "{kind}"'))
        seen.add(kind)
    return errors


def _begin(budget: Document) -> None:
    budget["status"] = dict.fromkeys(_COUNTS, 0)


def _amount(path: str) -> Any:
    return lambda budget, _now: str(at(budget, path, "N/A"))


POD_DISRUPTION_BUDGET = Kind(
    group=GROUP,
    version="v1",
    kind="PodDisruptionBudget",
    plural="poddisruptionbudgets",
    singular="poddisruptionbudget",
    namespaced=True,
    schema="io.k8s.api.policy.v1.PodDisruptionBudget",
    short_names=("pdb",),
    storage=ResourceKey(GROUP, "poddisruptionbudgets"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    subresources=by_name((status_of(GROUP, "v1", "PodDisruptionBudget"),)),
    columns=(
        NAME,
        Column("Min Available", _amount("spec.minAvailable"), description="The least that must stay available."),
        Column("Max Unavailable", _amount("spec.maxUnavailable"), description="The most that may be missing."),
        Column(
            "Allowed Disruptions", number("status.disruptionsAllowed"), "integer", description="Pods that may go now."
        ),
        AGE,
    ),
    prepare_create=_begin,
    validate=_errors,
    validate_update=metadata_update_errors,
    validate_status_update=_status_errors,
)


EVICTION = Kind(
    group=GROUP,
    version="v1",
    kind="Eviction",
    plural="evictions",
    singular="eviction",
    namespaced=True,
    schema="io.k8s.api.policy.v1.Eviction",
    storage=ResourceKey("", "pods"),
    name_rule=names.dns_subdomain,
    verbs=("create",),
)
"""The body of ``pods/NAME/eviction``. It is not kept: it is a deletion that asks the budgets first."""
