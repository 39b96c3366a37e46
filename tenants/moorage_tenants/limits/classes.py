"""The class of a charge: what scoped quotas look at in a pod or a claim. Kept under "@" of the charge.

Source: "Quota scopes" in the Kubernetes documentation; KEP-2161 for affinity across namespaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moorage.resources.core.pods.amounts import BEST_EFFORT, qos_class
from moorage.resources.core.quota_rules import (
    ATTRIBUTES_CLASS,
    CROSS_NAMESPACE,
    NOT_BEST_EFFORT,
    NOT_TERMINATING,
    PRIORITY_CLASS,
    TERMINATING,
)
from moorage.resources.core.quota_rules import BEST_EFFORT as BEST_EFFORT_SCOPE
from moorage.resources.kind import Document

Class = dict[str, Any]

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def pod_class(spec: Mapping[str, Any]) -> Class:
    """Scopes and priority class of a pod with this spec."""
    scopes = [TERMINATING if spec.get("activeDeadlineSeconds") is not None else NOT_TERMINATING]
    scopes.append(BEST_EFFORT_SCOPE if qos_class({"spec": spec}) == BEST_EFFORT else NOT_BEST_EFFORT)
    if reaches_across(spec):
        scopes.append(CROSS_NAMESPACE)
    found: Class = {"scopes": scopes}
    if name := spec.get("priorityClassName"):
        found["priorityClass"] = name
    return found


def reaches_across(spec: Mapping[str, Any]) -> bool:
    """Whether the pod's affinity looks at pods of other namespaces than its own."""
    affinity: Mapping[str, Any] = spec.get("affinity") or {}
    for name in ("podAffinity", "podAntiAffinity"):
        part: Mapping[str, Any] = affinity.get(name) or {}
        terms = [*part.get(_REQUIRED, ()), *(each.get("podAffinityTerm") or {} for each in part.get(_PREFERRED, ()))]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


def claim_class(claim: Document) -> Class:
    """The classes of attributes that a claim has, asks for, or is on its way to; {} where there is none."""
    spec: Mapping[str, Any] = claim.get("spec") or {}
    status: Mapping[str, Any] = claim.get("status") or {}
    wanted = (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName")
    named = {spec.get("volumeAttributesClassName"), status.get("currentVolumeAttributesClassName"), wanted}
    names = sorted(name for name in named if name)
    return {"volumeAttributesClass": names} if names else {}


_VALUED = {PRIORITY_CLASS: "priorityClass", ATTRIBUTES_CLASS: "volumeAttributesClass"}


def matches(requirements: Iterable[Mapping[str, Any]], of: Mapping[str, Any]) -> bool:
    """Whether a charge of class ``of`` counts in a quota with these requirements; all must hold."""
    return all(_holds(each, of) for each in requirements)


def _holds(requirement: Mapping[str, Any], of: Mapping[str, Any]) -> bool:
    scope, operator = requirement["scope"], requirement["operator"]
    if scope not in _VALUED:
        return scope in of.get("scopes", ())
    given = of.get(_VALUED[scope]) or ()
    has = {given} if isinstance(given, str) else set(given)
    wanted = set(requirement.get("values") or ())
    if operator == "Exists":
        return bool(has)
    if operator == "DoesNotExist":
        return not has
    if operator == "In":
        return not has.isdisjoint(wanted)
    return not has or bool(has - wanted)
