"""LimitRanges. Source: "Limit Ranges" in the Kubernetes documentation. What they refuse is ``moorage_tenants.limits``'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import names, quantity, timestamps
from moorage.resources.checks import Errors
from moorage.resources.core.pods.resource_rules import check_container_resource, may_overcommit
from moorage.resources.core.quota_rules import check_resource_name
from moorage.resources.declaring import CORE
from moorage.resources.field_errors import duplicate, forbidden, invalid, required
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import NAME, at
from moorage.resources.quantity import canonical_resource

Part = Mapping[str, Any]

POD, CONTAINER, CLAIM = "Pod", "Container", "PersistentVolumeClaim"
_LISTS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def _default(limit_range: Document) -> None:
    """A container's default limit is the maximum, its default request the default limit, else the minimum."""
    for item in at(limit_range, "spec.limits", ()):
        for name in _LISTS:
            for resource, text in item.get(name, {}).items():
                item[name][resource] = canonical_resource(text)
        if item.get("type") != CONTAINER:
            continue
        limits = {**item.get("max", {}), **item.get("default", {})}
        requests = {**item.get("min", {}), **limits, **item.get("defaultRequest", {})}
        if limits:
            item["default"] = limits
        if requests:
            item["defaultRequest"] = requests


def _check_names(errors: Errors, path: str, item: Part) -> None:
    of_pods = item.get("type") in (POD, CONTAINER)
    for which in _LISTS:
        if item.get("type") == POD and which in ("default", "defaultRequest"):
            if item.get(which):
                errors.append(forbidden(f"{path}.{which}", "may not be specified when `type` is 'Pod'"))
            continue
        for name in item.get(which, {}):
            check = check_container_resource if of_pods else check_resource_name
            check(errors, f"{path}.{which}[{name}]", name)


def _check_order(errors: Errors, path: str, item: Part, name: str) -> None:
    """The bounds of one resource fit each other. (path's field, shown, lower with its words, upper with its words)"""
    least, most = item.get("min", {}).get(name), item.get("max", {}).get(name)
    limit, request = item.get("default", {}).get(name), item.get("defaultRequest", {}).get(name)
    for field, low, low_words, high, high_words in (
        ("min", least, "min value", most, "max value"),
        ("defaultRequest", least, "min value", request, "default request value"),
        ("defaultRequest", request, "default request value", most, "max value"),
        ("defaultRequest", request, "default request value", limit, "default limit value"),
        ("default", least, "min value", limit, "default value"),
        ("default", limit, "default value", most, "max value"),
    ):
        if low is not None and high is not None and quantity.compare(low, high) > 0:
            shown = {"min": least, "defaultRequest": request, "default": high if low is limit else low}[field]
            detail = f"{low_words} {low} is greater than {high_words} {high}"
            errors.append(invalid(f"{path}.{field}[{name}]", shown, detail))
    if not may_overcommit(name) and limit is not None and request is not None and quantity.compare(limit, request):
        detail = f"default value {limit} must equal to defaultRequest value {request} in {name}"
        errors.append(invalid(f"{path}.defaultRequest[{name}]", request, detail))


def _check_ratio(errors: Errors, path: str, item: Part, name: str) -> None:
    ratio = item.get("maxLimitRequestRatio", {}).get(name)
    if ratio is None:
        return
    here, value = f"{path}.maxLimitRequestRatio[{name}]", quantity.parse(ratio).nanos
    if value < quantity.NANO:
        errors.append(invalid(here, ratio, f"ratio {ratio} is less than 1"))
    least, most = item.get("min", {}).get(name), item.get("max", {}).get(name)
    if least is None or most is None:
        return
    bottom, top = quantity.parse(least).nanos, quantity.parse(most).nanos
    if bottom and value * bottom > top * quantity.NANO:
        errors.append(invalid(here, ratio, f"ratio {ratio} is greater than max/min = {top / bottom:f}"))


def _check_item(errors: Errors, path: str, item: Part) -> None:
    kind = item.get("type", "")
    if problem := names.qualified_name(kind):
        errors.append(invalid(f"{path}.type", kind, problem))
    elif "/" not in kind and kind not in (POD, CONTAINER, CLAIM):
        errors.append(invalid(f"{path}.type", kind, "must be a standard limit type or fully qualified"))
    _check_names(errors, path, item)
    if kind == CLAIM and "storage" not in {**item.get("min", {}), **item.get("max", {})}:
        detail = "either minimum or maximum storage value is required, but neither was provided"
        errors.append(required(f"{path}.limits", detail))
    for name in sorted({name for which in _LISTS for name in item.get(which, {})}):
        _check_order(errors, path, item, name)
        _check_ratio(errors, path, item, name)


def _errors(limit_range: Document) -> list[FieldError]:
    errors = metadata_errors(limit_range, names.dns_subdomain, namespaced=True)
    seen: set[str] = set()
    for index, item in enumerate(at(limit_range, "spec.limits", ())):
        path, kind = f"spec.limits[{index}]", item.get("type", "")
        _check_item(errors, path, item)
        if kind in seen:
            errors.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
    return errors


def _created(limit_range: Document, _now: float) -> Any:
    made = at(limit_range, "metadata.creationTimestamp", None)
    return timestamps.canonical(made) if made else None


LIMIT_RANGE = Kind(
    group="",
    version="v1",
    kind="LimitRange",
    plural="limitranges",
    singular="limitrange",
    namespaced=True,
    schema=f"{CORE}.LimitRange",
    short_names=("limits",),
    storage=ResourceKey("", "limitranges"),
    name_rule=names.dns_subdomain,
    columns=(NAME, Column("Created At", _created, "date", description="When it was created.")),
    default=_default,
    validate=_errors,
    validate_update=metadata_update_errors,
)
