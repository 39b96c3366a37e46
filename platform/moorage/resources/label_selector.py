"""``LabelSelector`` objects (matchLabels, matchExpressions): matching, printing, and their rules.

Source: "Labels and Selectors", apimachinery ``metav1.LabelSelector``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.field_errors import forbidden, invalid, required
from moorage.resources.kind import FieldError

LabelSelector = Mapping[str, Any]

_SETS = ("In", "NotIn")
_PRESENCE = ("Exists", "DoesNotExist")


def matches(selector: LabelSelector | None, labels: Mapping[str, str] | None) -> bool:
    """Whether ``labels`` satisfy ``selector``. No selector (None) matches nothing, an empty one everything."""
    if selector is None:
        return False
    present = labels or {}
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    for key, value in wanted.items():
        if present.get(key) != value or key not in present:
            return False
    return all(_holds(each, present) for each in selector.get("matchExpressions") or ())


def _holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator = requirement.get("key", ""), requirement.get("operator", "")
    values = requirement.get("values") or ()
    if operator == "In":
        return key in labels and labels[key] in values
    if operator == "NotIn":
        return key not in labels or labels[key] not in values
    if operator == "Exists":
        return key in labels
    return operator == "DoesNotExist" and key not in labels


def formatted(selector: LabelSelector | None) -> str:
    """``app=web,tier in (a,b),!old`` as kubectl prints it; ``<none>`` where it is empty."""
    if not selector:
        return "<none>"
    parts = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    parts += [(each.get("key", ""), _formatted(each)) for each in selector.get("matchExpressions") or ()]
    return ",".join(text for _key, text in sorted(parts)) or "<none>"


def _formatted(requirement: Mapping[str, Any]) -> str:
    key: str = requirement.get("key", "")
    values = ",".join(sorted(requirement.get("values") or ()))
    shapes = {
        "In": f"{key} in ({values})",
        "NotIn": f"{key} notin ({values})",
        "Exists": key,
        "DoesNotExist": f"!{key}",
    }
    return shapes.get(requirement.get("operator", ""), "<error>")


def selector_text(selector: LabelSelector | None) -> str:
    """As ``formatted``, empty where the selector is: the form of ``Scale.status.selector`` and of query parameters."""
    text = formatted(selector)
    return "" if text == "<none>" else text


def label_errors(path: str, labels: Mapping[str, str] | None) -> list[FieldError]:
    """Rules of a map of labels."""
    errors: list[FieldError] = []
    for key, value in (labels or {}).items():
        if problem := names.qualified_name(key):
            errors.append(invalid(path, key, problem))
        if problem := names.label_value(value):
            errors.append(invalid(path, value, problem))
    return errors


def selector_errors(path: str, selector: LabelSelector | None) -> list[FieldError]:
    """Rules of a LabelSelector."""
    if not selector:
        return []
    errors = label_errors(f"{path}.matchLabels", selector.get("matchLabels"))
    for index, requirement in enumerate(selector.get("matchExpressions") or ()):
        errors += _requirement_errors(f"{path}.matchExpressions[{index}]", requirement)
    return errors


def _requirement_errors(path: str, requirement: Mapping[str, Any]) -> list[FieldError]:
    errors: list[FieldError] = []
    operator = requirement.get("operator", "")
    values: Sequence[str] = requirement.get("values") or ()
    if operator in _SETS and not values:
        errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in _PRESENCE and values:
        errors.append(forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    elif operator not in _SETS and operator not in _PRESENCE:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    if problem := names.qualified_name(requirement.get("key", "")):
        errors.append(invalid(f"{path}.key", requirement.get("key", ""), problem))
    for index, value in enumerate(values):
        if problem := names.label_value(value):
            errors.append(invalid(f"{path}.values[{index}]", value, problem))
    return errors
