"""Rules of resource amounts: names that containers may ask for, no negative amounts, requests within limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names, quantity
from moorage.resources.checks import Errors
from moorage.resources.field_errors import NOT_NEGATIVE, duplicate, forbidden, invalid, not_supported, required
from moorage.resources.kind import FieldError

Part = Mapping[str, Any]

HUGE_PAGES = "hugepages-"
_CONTAINER_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
_STANDARD_RESOURCES = _CONTAINER_RESOURCES | {
    "storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "requests.storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
}
_WHOLE = frozenset(
    {
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
_POD_LEVEL = ("cpu", "hugepages-", "memory")


def _is_native(name: str) -> bool:
    return "/" not in name or name.partition("/")[0].endswith("kubernetes.io")


def is_extended(name: str) -> bool:
    """A resource of somebody else's: counted in whole units, and never promised twice."""
    return not _is_native(name) and not name.startswith("requests.")


def may_overcommit(name: str) -> bool:
    """Whether limits may exceed requests."""
    return _is_native(name) and not name.startswith(HUGE_PAGES)


def _name_errors(path: str, name: str) -> list[FieldError]:
    if name in _CONTAINER_RESOURCES:
        return []
    errors: list[FieldError] = []
    if problem := names.qualified_name(name):
        return [invalid(path, name, problem)]
    if "/" not in name:
        if name not in _STANDARD_RESOURCES and not name.startswith(HUGE_PAGES):
            errors.append(invalid(path, name, "must be a standard resource type or fully qualified"))
        if not name.startswith(HUGE_PAGES):
            errors.append(invalid(path, name, "must be a standard resource for containers"))
    elif not _is_native(name) and not is_extended(name):
        errors.append(invalid(path, name, "doesn't follow extended resource name standard"))
    return errors


def check_container_resource(errors: Errors, path: str, name: str) -> None:
    """The name of a resource that a container may ask for."""
    errors += _name_errors(path, name)


def check_amount(errors: Errors, path: str, name: str, text: str) -> None:
    """An amount of a resource: not negative, and whole where the resource is counted."""
    amount = quantity.parse(text)
    if amount.nanos < 0:
        errors.append(invalid(path, text, NOT_NEGATIVE))
    if amount.nanos % quantity.NANO and (name in _WHOLE or is_extended(name)):
        errors.append(invalid(path, text, "must be an integer"))


def _check_huge_page(errors: Errors, path: str, name: str, text: str) -> None:
    if not name.startswith(HUGE_PAGES):
        return
    try:
        size = quantity.parse(name.removeprefix(HUGE_PAGES)).nanos
    except quantity.QuantityError:
        size = 0
    if size <= 0 or quantity.parse(text).nanos % size:
        errors.append(invalid(path, text, f"{text} is not positive integer multiple of {name}"))


def _check_request(errors: Errors, path: str, name: str, text: str, limits: Mapping[str, str]) -> None:
    limit = limits.get(name)
    if limit is None:
        if not may_overcommit(name):
            errors.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
        return
    order = quantity.compare(text, limit) if text != limit else 0
    if order and not may_overcommit(name):
        errors.append(invalid(f"{path}.requests", text, f"must be equal to {name} limit of {limit}"))
    elif order > 0:
        errors.append(invalid(f"{path}.requests", text, f"must be less than or equal to {name} limit of {limit}"))


def check_requirements(errors: Errors, path: str, resources: Part, claims: Sequence[str]) -> None:
    """``resources`` of a container."""
    if not resources:
        return
    limits: Mapping[str, str] = resources.get("limits") or {}
    requests: Mapping[str, str] = resources.get("requests") or {}
    for which, amounts in (("limits", limits), ("requests", requests)):
        for name, text in amounts.items():
            here = f"{path}.{which}[{name}]"
            errors += _name_errors(here, name)
            check_amount(errors, here, name, text)
            if which == "requests":
                _check_request(errors, path, name, text, limits)
            _check_huge_page(errors, here, name, text)
    asked = {*limits, *requests}
    if not asked & {"cpu", "memory"} and any(name.startswith(HUGE_PAGES) for name in asked):
        errors.append(forbidden(path, "HugePages require cpu or memory"))
    if "claims" in resources:
        _check_claims(errors, f"{path}.claims", resources["claims"], claims)


def _check_claims(errors: Errors, path: str, used: Sequence[Part], declared: Sequence[str]) -> None:
    seen: set[tuple[str, str]] = set()
    for index, claim in enumerate(used):
        name, request = claim.get("name", ""), claim.get("request", "")
        if not name:
            errors.append(required(f"{path}[{index}]"))
            continue
        if (name, "") in seen or (name, request) in seen or (not request and any(each[0] == name for each in seen)):
            errors.append(duplicate(f"{path}[{index}]", f"{name}/{request}" if request else name))
        seen.add((name, request))
        if name not in declared:
            tail = ": " + ", ".join(sorted(declared)) if declared else " which is empty"
            message = f'Not found: "{name}": must be one of the names in pod.spec.resourceClaims{tail}'
            errors.append(FieldError(f"{path}[{index}]", "FieldValueNotFound", message))


def check_pod_level(errors: Errors, path: str, resources: Part) -> None:
    """``spec.resources``: amounts for the pod as a whole (KEP-2837)."""
    if "claims" in resources:
        errors.append(forbidden(f"{path}.claims", "claims cannot be set for Resources at pod-level"))
    limits: Mapping[str, str] = resources.get("limits") or {}
    for which in ("limits", "requests"):
        for name, text in (resources.get(which) or {}).items():
            here = f"{path}.{which}[{name}]"
            if name not in _POD_LEVEL and not name.startswith(HUGE_PAGES):
                errors.append(not_supported(here, name, _POD_LEVEL))
            check_amount(errors, here, name, text)
            if which == "requests":
                _check_request(errors, path, name, text, limits)
