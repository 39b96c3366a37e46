"""Rules of ResourceQuotas: which resources can be limited, and which scopes go with which of them.

Source: "Resource Quotas" in the Kubernetes documentation; KEP-172 (priority), KEP-2161 (namespace selectors), KEP-3751 (volume
attributes).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moorage.resources import names
from moorage.resources.checks import Errors
from moorage.resources.core.access_modes import check_version
from moorage.resources.core.pods.resource_rules import HUGE_PAGES, check_amount
from moorage.resources.field_errors import immutable, invalid, required
from moorage.resources.kind import Document, FieldError
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import at

Part = Mapping[str, Any]

TERMINATING, NOT_TERMINATING = "Terminating", "NotTerminating"
BEST_EFFORT, NOT_BEST_EFFORT = "BestEffort", "NotBestEffort"
PRIORITY_CLASS, CROSS_NAMESPACE = "PriorityClass", "CrossNamespacePodAffinity"
ATTRIBUTES_CLASS = "VolumeAttributesClass"

_POD_COUNT = frozenset({"pods"})
_POD_COMPUTE = frozenset({"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
_OF_PODS = _POD_COUNT | _POD_COMPUTE
_OF_SCOPE: Mapping[str, frozenset[str]] = {
    TERMINATING: _OF_PODS,
    NOT_TERMINATING: _OF_PODS,
    BEST_EFFORT: _POD_COUNT,
    NOT_BEST_EFFORT: _OF_PODS,
    PRIORITY_CLASS: _OF_PODS,
    CROSS_NAMESPACE: _OF_PODS,
    ATTRIBUTES_CLASS: frozenset({"persistentvolumeclaims", "requests.storage"}),
}
"""Scope -> the standard resources that it can go with."""
_WITH_VALUES = frozenset({PRIORITY_CLASS, ATTRIBUTES_CLASS})
_CONFLICTING = ((BEST_EFFORT, NOT_BEST_EFFORT), (TERMINATING, NOT_TERMINATING))
_STANDARD = _OF_PODS | frozenset(
    {
        "ephemeral-storage",
        "requests.ephemeral-storage",
        "limits.ephemeral-storage",
        "requests.storage",
        "resourcequotas",
        "services",
        "services.nodeports",
        "services.loadbalancers",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
    }
)
_EXISTS_ONLY = (
    "must be 'Exist' only operator when scope is any of ResourceQuotaScopeTerminating, "
    "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
    "ResourceQuotaScopeCrossNamespacePodAffinity"
)


def _is_huge_pages(name: str) -> bool:
    return name.startswith((HUGE_PAGES, f"requests.{HUGE_PAGES}"))


def is_standard(name: str) -> bool:
    """Whether a quota knows the resource by a name of its own (not ``prefix/name``)."""
    return name in _STANDARD or _is_huge_pages(name)


def check_resource_name(errors: Errors, path: str, name: str) -> None:
    """The name of any resource: a standard one, or a qualified name."""
    if problem := names.qualified_name(name):
        errors.append(invalid(path, name, problem))
    elif "/" not in name and name != "storage" and not is_standard(name):
        errors.append(invalid(path, name, "must be a standard resource type or fully qualified"))


def _check_resource(errors: Errors, path: str, name: str) -> None:
    check_resource_name(errors, path, name)
    if "/" not in name and not is_standard(name):
        errors.append(invalid(path, name, "must be a standard resource for quota"))


def _check_amounts(errors: Errors, path: str, amounts: Mapping[str, str]) -> None:
    for name, text in amounts.items():
        here = f"{path}[{name}]"
        _check_resource(errors, here, name)
        check_amount(errors, here, name, text)


def _check_suits(errors: Errors, path: str, shown: Any, scope: str, hard: Iterable[str]) -> None:
    suits = _OF_SCOPE.get(scope)
    if suits is None:
        return
    for name in sorted(hard):
        if is_standard(name) and name not in suits:
            errors.append(invalid(path, shown, "unsupported scope applied to resource"))


def _check_conflicts(errors: Errors, path: str, shown: Any, scopes: set[str]) -> None:
    for pair in _CONFLICTING:
        if scopes.issuperset(pair):
            errors.append(invalid(path, shown, "conflicting scopes"))


def _check_scopes(errors: Errors, spec: Part, hard: Iterable[str]) -> None:
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in _OF_SCOPE:
            errors.append(invalid("spec.scopes", scopes, "unsupported scope"))
        _check_suits(errors, "spec.scopes", scopes, scope, hard)
    _check_conflicts(errors, "spec.scopes", scopes, set(scopes))


def _check_operator(errors: Errors, path: str, expression: Part) -> None:
    operator, values = expression.get("operator", ""), expression.get("values") or []
    if expression.get("scopeName") in _OF_SCOPE.keys() - _WITH_VALUES and operator != "Exists":
        errors.append(invalid(f"{path}.operator", operator, _EXISTS_ONLY))
    if operator in ("In", "NotIn"):
        if not values:
            detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            errors.append(required(f"{path}.values", detail))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            errors.append(invalid(f"{path}.values", values, detail))
    else:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))


def _check_selector(errors: Errors, spec: Part, hard: Iterable[str]) -> None:
    selector = spec.get("scopeSelector")
    if not selector:
        return
    path = "spec.scopeSelector.matchExpressions"
    expressions = selector.get("matchExpressions") or ()
    for expression in expressions:
        scope = expression.get("scopeName", "")
        if scope not in _OF_SCOPE:
            errors.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
        _check_suits(errors, path, selector, scope, hard)
        _check_operator(errors, path, expression)
    _check_conflicts(errors, path, spec.get("scopes"), {each.get("scopeName", "") for each in expressions})


def _check_status(errors: Errors, quota: Document) -> None:
    for which in ("hard", "used"):
        _check_amounts(errors, f"status.{which}", at(quota, f"status.{which}", {}))


def quota_errors(quota: Document) -> list[FieldError]:
    """What is wrong with a ResourceQuota, whether new or changed."""
    errors = metadata_errors(quota, names.dns_subdomain, namespaced=True)
    spec: Part = quota.get("spec") or {}
    hard = spec.get("hard") or {}
    _check_amounts(errors, "spec.hard", hard)
    _check_scopes(errors, spec, hard)
    _check_selector(errors, spec, hard)
    return errors


def quota_update_errors(new: Document, old: Document) -> list[FieldError]:
    """The scopes stay: what was counted could not be counted again under others."""
    errors = metadata_update_errors(new, old)
    after, before = (at(each, "spec.scopes", None) or [] for each in (new, old))
    return errors + (immutable("spec.scopes", after, before) if set(after) != set(before) else [])


def quota_status_errors(new: Document, old: Document) -> list[FieldError]:
    """Amounts of a ResourceQuota's status."""
    errors = metadata_update_errors(new, old)
    check_version(errors, new)
    _check_status(errors, new)
    return errors
