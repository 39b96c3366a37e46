"""Rules of Deployments and ReplicaSets: selectors, templates, rollouts, counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import intstr, names
from moorage.resources.checks import Errors
from moorage.resources.core.pods.pod_rules import check_template
from moorage.resources.field_errors import (
    NOT_NEGATIVE,
    forbidden,
    immutable,
    invalid,
    not_supported,
    required,
)
from moorage.resources.kind import Document, FieldError
from moorage.resources.label_selector import matches, selector_errors
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import at
from moorage.resources.rollout import annotation_errors

Part = Mapping[str, Any]

_STRATEGIES = ("Recreate", "RollingUpdate")
_TOO_MANY = "cannot be greater than status.replicas"


def check_not_negative(errors: Errors, path: str, part: Part, *fields: str) -> None:
    """Numbers of ``part`` that are given are not below 0."""
    for name in fields:
        if part.get(name, 0) < 0:
            errors.append(invalid(f"{path}.{name}", part[name], NOT_NEGATIVE))


def _check_selector(errors: Errors, spec: Part) -> None:
    selector = spec.get("selector")
    if selector is None:
        errors.append(required("spec.selector"))
        return
    errors += selector_errors("spec.selector", selector)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(invalid("spec.selector", selector, "empty selector is invalid for deployment"))


def check_pod_template(errors: Errors, spec: Part, selector: Part | None, owner: str) -> None:
    """``spec.template`` of what keeps pods running: its labels are selected, its pods run for good. ``owner`` is the kind
    that messages name.
    """
    path = "spec.template"
    template: Part = spec.get("template") or {}
    labels = at(template, "metadata.labels", None)
    if (selector is None or selector) and not matches(selector, labels):
        detail = "`selector` does not match template `labels`"
        errors.append(invalid(f"{path}.metadata.labels", labels, detail))
    check_template(errors, path, template)
    policy = at(template, "spec.restartPolicy")
    if policy != "Always":
        errors.append(not_supported(f"{path}.spec.restartPolicy", policy, ("Always",)))
    if "activeDeadlineSeconds" in (template.get("spec") or {}):
        detail = f"activeDeadlineSeconds in {owner} is not Supported"
        errors.append(forbidden(f"{path}.spec.activeDeadlineSeconds", detail))


def _check_template(errors: Errors, spec: Part) -> None:
    check_pod_template(errors, spec, spec.get("selector"), "ReplicaSet")


def _check_amount(errors: Errors, path: str, value: int | str) -> None:
    if isinstance(value, int):
        if value < 0:
            errors.append(invalid(path, value, NOT_NEGATIVE))
    elif intstr.percent(value) is None:
        errors.append(invalid(path, value, intstr.PERCENT_MESSAGE))


def _is_zero(value: int | str) -> bool:
    return value == 0 or intstr.percent(value) == 0


def _check_rolling(errors: Errors, path: str, rolling: Part) -> None:
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    _check_amount(errors, f"{path}.maxUnavailable", unavailable)
    _check_amount(errors, f"{path}.maxSurge", surge)
    if _is_zero(unavailable) and _is_zero(surge):
        errors.append(invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0"))
    if (intstr.percent(unavailable) or 0) > 100:
        errors.append(invalid(f"{path}.maxUnavailable", unavailable, "must not be greater than 100%"))


def _check_strategy(errors: Errors, strategy: Part) -> None:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind not in _STRATEGIES:
        errors.append(not_supported("spec.strategy", strategy, _STRATEGIES))
    elif kind == "Recreate":
        if rolling is not None:
            detail = "may not be specified when strategy `type` is 'Recreate'"
            errors.append(forbidden("spec.strategy.rollingUpdate", detail))
    elif rolling is None:
        errors.append(required("spec.strategy.rollingUpdate", "this should be defaulted and never be nil"))
    else:
        _check_rolling(errors, "spec.strategy.rollingUpdate", rolling)


def deployment_errors(deployment: Document) -> list[FieldError]:
    """What is wrong with a Deployment, whether new or changed."""
    errors = metadata_errors(deployment, names.dns_subdomain, namespaced=True)
    errors += annotation_errors(deployment)
    spec: Part = deployment.get("spec") or {}
    check_not_negative(errors, "spec", spec, "replicas")
    _check_selector(errors, spec)
    _check_template(errors, spec)
    _check_strategy(errors, spec.get("strategy") or {})
    check_not_negative(errors, "spec", spec, "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        errors.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return errors


def replica_set_errors(replica_set: Document) -> list[FieldError]:
    """What is wrong with a ReplicaSet, whether new or changed."""
    errors = metadata_errors(replica_set, names.dns_subdomain, namespaced=True)
    spec: Part = replica_set.get("spec") or {}
    check_not_negative(errors, "spec", spec, "replicas", "minReadySeconds")
    _check_selector(errors, spec)
    _check_template(errors, spec)
    return errors


def selector_update_errors(new: Document, old: Document) -> list[FieldError]:
    """The selector stays: pods that it no longer chose would be left behind."""
    errors = metadata_update_errors(new, old)
    return errors + immutable("spec.selector", at(new, "spec.selector", None), at(old, "spec.selector", None))


def _check_counts(errors: Errors, status: Part, *parts: str) -> None:
    total = status.get("replicas", 0)
    check_not_negative(errors, "status", status, "observedGeneration", "replicas", *parts, "unavailableReplicas")
    for name in parts:
        if (count := status.get(name, 0)) > total:
            errors.append(invalid(f"status.{name}", count, _TOO_MANY))
    available = status.get("availableReplicas", 0)
    if available > status.get("readyReplicas", 0):
        errors.append(invalid("status.availableReplicas", available, "cannot be greater than readyReplicas"))


def deployment_status_errors(new: Document, old: Document) -> list[FieldError]:
    """Counts of a Deployment's status must fit together; collisions only become more."""
    errors = metadata_update_errors(new, old)
    status: Part = new.get("status") or {}
    _check_counts(errors, status, "updatedReplicas", "readyReplicas", "availableReplicas")
    count = status.get("collisionCount", 0)
    if count < at(old, "status.collisionCount", 0):
        errors.append(invalid("status.collisionCount", count, "cannot be decremented"))
    return errors


def replica_set_status_errors(new: Document, old: Document) -> list[FieldError]:
    """Counts of a ReplicaSet's status must fit together."""
    errors = metadata_update_errors(new, old)
    _check_counts(errors, new.get("status") or {}, "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    return errors
