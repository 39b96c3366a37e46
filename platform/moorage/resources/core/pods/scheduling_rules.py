"""Rules of what steers a pod to nodes: tolerations, affinity, spreading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.checks import Errors, check_name
from moorage.resources.field_errors import duplicate, forbidden, invalid, not_supported, required
from moorage.resources.label_selector import selector_errors

Part = Mapping[str, Any]

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_BAD_OPERATOR = "not a valid selector operator"
_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
_INCLUSION = ("Honor", "Ignore")


def _check_toleration(errors: Errors, path: str, toleration: Part) -> None:
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    value, effect = toleration.get("value", ""), toleration.get("effect", "")
    if key:
        check_name(errors, f"{path}.key", key, names.qualified_name)
    elif operator != "Exists":
        detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.append(invalid(f"{path}.operator", operator, detail))
    if "tolerationSeconds" in toleration and effect != "NoExecute":
        detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(invalid(f"{path}.effect", effect, detail))
    if operator in ("", "Equal"):
        check_name(errors, f"{path}.operator", value, names.label_value)
    elif operator == "Exists":
        if value:
            errors.append(invalid(f"{path}.operator", value, "value must be empty when `operator` is 'Exists'"))
    else:
        errors.append(not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    if effect and effect not in TAINT_EFFECTS:
        errors.append(not_supported(f"{path}.effect", effect, TAINT_EFFECTS))


def check_tolerations(errors: Errors, path: str, tolerations: Sequence[Part]) -> None:
    """``tolerations``."""
    for index, toleration in enumerate(tolerations):
        _check_toleration(errors, f"{path}[{index}]", toleration)


def _check_node_expression(errors: Errors, path: str, expression: Part, *, check_values: bool) -> None:
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden(f"{path}.values", detail))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            errors.append(required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        errors.append(invalid(f"{path}.operator", operator, _BAD_OPERATOR))
    check_name(errors, f"{path}.key", expression.get("key", ""), names.qualified_name)
    if check_values:
        for index, value in enumerate(values):
            check_name(errors, f"{path}.values[{index}]", value, names.label_value)


def _check_node_field(errors: Errors, path: str, expression: Part) -> None:
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator not in ("In", "NotIn"):
        errors.append(invalid(f"{path}.operator", operator, _BAD_OPERATOR))
    elif len(values) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(required(f"{path}.values", detail))
    if expression.get("key") != "metadata.name":
        errors.append(invalid(f"{path}.key", expression.get("key", ""), "not a valid field selector key"))
        return
    for index, value in enumerate(values):
        check_name(errors, f"{path}.values[{index}]", value, names.dns_subdomain)


def _check_node_term(errors: Errors, path: str, term: Part, *, check_values: bool) -> None:
    for index, expression in enumerate(term.get("matchExpressions", ())):
        here = f"{path}.matchExpressions[{index}]"
        _check_node_expression(errors, here, expression, check_values=check_values)
    for index, expression in enumerate(term.get("matchFields", ())):
        _check_node_field(errors, f"{path}.matchFields[{index}]", expression)


def check_node_selector(errors: Errors, path: str, selector: Part) -> None:
    """``NodeSelector``: terms of which one must hold."""
    here = f"{path}.nodeSelectorTerms"
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        errors.append(required(here, "must have at least one node selector term"))
    for index, term in enumerate(terms):
        _check_node_term(errors, f"{here}[{index}]", term, check_values=True)


def _check_node_affinity(errors: Errors, path: str, affinity: Part) -> None:
    if _REQUIRED in affinity:
        check_node_selector(errors, f"{path}.{_REQUIRED}", affinity[_REQUIRED])
    for index, preferred in enumerate(affinity.get(_PREFERRED, ())):
        here = f"{path}.{_PREFERRED}[{index}]"
        _check_weight(errors, f"{here}.weight", preferred.get("weight", 0))
        _check_node_term(errors, f"{here}.preference", preferred.get("preference", {}), check_values=False)


def _check_weight(errors: Errors, path: str, weight: int) -> None:
    if not 1 <= weight <= 100:
        errors.append(invalid(path, weight, "must be in the range 1-100"))


def _check_label_keys(errors: Errors, path: str, term: Part) -> None:
    for name in ("matchLabelKeys", "mismatchLabelKeys"):
        keys = term.get(name, ())
        if keys and "labelSelector" not in term:
            errors.append(forbidden(f"{path}.{name}", "must not be specified when labelSelector is not set"))
            continue
        for index, key in enumerate(keys):
            check_name(errors, f"{path}.{name}[{index}]", key, names.qualified_name)
    for index, key in enumerate(term.get("matchLabelKeys", ())):
        if key in term.get("mismatchLabelKeys", ()):
            detail = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(invalid(f"{path}.matchLabelKeys[{index}]", key, detail))


def _check_pod_term(errors: Errors, path: str, term: Part) -> None:
    errors += selector_errors(f"{path}.labelSelector", term.get("labelSelector"))
    errors += selector_errors(f"{path}.namespaceSelector", term.get("namespaceSelector"))
    for namespace in term.get("namespaces", ()):
        check_name(errors, f"{path}.namespace", namespace, names.dns_label)
    _check_label_keys(errors, path, term)
    key = term.get("topologyKey", "")
    if not key:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    check_name(errors, f"{path}.topologyKey", key, names.qualified_name)


def _check_pod_affinity(errors: Errors, path: str, affinity: Part) -> None:
    for index, term in enumerate(affinity.get(_REQUIRED, ())):
        _check_pod_term(errors, f"{path}.{_REQUIRED}[{index}]", term)
    for index, preferred in enumerate(affinity.get(_PREFERRED, ())):
        here = f"{path}.{_PREFERRED}[{index}]"
        _check_weight(errors, f"{here}.weight", preferred.get("weight", 0))
        _check_pod_term(errors, f"{here}.podAffinityTerm", preferred.get("podAffinityTerm", {}))


def check_affinity(errors: Errors, path: str, affinity: Part) -> None:
    """``affinity``."""
    if "nodeAffinity" in affinity:
        _check_node_affinity(errors, f"{path}.nodeAffinity", affinity["nodeAffinity"])
    for name in ("podAffinity", "podAntiAffinity"):
        if name in affinity:
            _check_pod_affinity(errors, f"{path}.{name}", affinity[name])


def _check_spread(errors: Errors, path: str, constraint: Part) -> None:
    skew, unsatisfiable = constraint.get("maxSkew", 0), constraint.get("whenUnsatisfiable", "")
    if skew <= 0:
        errors.append(invalid(f"{path}.maxSkew", skew, "must be greater than zero"))
    key = constraint.get("topologyKey", "")
    if not key:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    if unsatisfiable not in _UNSATISFIABLE:
        errors.append(not_supported(f"{path}.whenUnsatisfiable", unsatisfiable, _UNSATISFIABLE))
    domains = constraint.get("minDomains")
    if domains is not None:
        if domains <= 0:
            errors.append(invalid(f"{path}.minDomains", domains, "must be greater than zero"))
        if unsatisfiable != "DoNotSchedule":
            detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {unsatisfiable}"
            errors.append(invalid(f"{path}.minDomains", domains, detail))
    for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        if name in constraint and constraint[name] not in _INCLUSION:
            errors.append(not_supported(f"{path}.{name}", constraint[name], _INCLUSION))
    selector = constraint.get("labelSelector")
    keys = constraint.get("matchLabelKeys", ())
    if keys and selector is None:
        errors.append(forbidden(f"{path}.matchLabelKeys", "must not be specified when labelSelector is not set"))
    for index, match in enumerate(keys):
        check_name(errors, f"{path}.matchLabelKeys[{index}]", match, names.qualified_name)
    errors += selector_errors(f"{path}.labelSelector", selector)


def check_spreading(errors: Errors, path: str, constraints: Sequence[Part]) -> None:
    """``topologySpreadConstraints``: one for each pair of key and action."""
    pairs = [(each.get("topologyKey", ""), each.get("whenUnsatisfiable", "")) for each in constraints]
    for index, constraint in enumerate(constraints):
        _check_spread(errors, f"{path}[{index}]", constraint)
        key, action = pairs[index]
        if pairs[index] in pairs[index + 1 :]:
            errors.append(duplicate(f"{path}[{index}].{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}"))
