"""Node selectors: which nodes pods and volumes may be on. Source: API reference, ``NodeSelector``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def any_matches(name: str, labels: Mapping[str, str], terms: Sequence[Mapping[str, Any]]) -> bool:
    """Whether one term at least matches the node; an empty term matches nothing."""
    return any(term_matches(name, labels, term) for term in terms)


def term_matches(name: str, labels: Mapping[str, str], term: Mapping[str, Any]) -> bool:
    """Whether all expressions of a NodeSelectorTerm hold for the node."""
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(_holds(labels, each) for each in expressions) and all(
        _holds({"metadata.name": name}, each) for each in fields
    )


def compare(left: str, operator: str, right: str) -> bool:
    """``Gt`` and ``Lt`` over integers; anything else does not match."""
    try:
        a, b = int(left), int(right)
    except ValueError:
        return False
    return a > b if operator == "Gt" else operator == "Lt" and a < b


def _holds(labels: Mapping[str, str], expression: Mapping[str, Any]) -> bool:
    key, operator = expression["key"], expression["operator"]
    values: Sequence[str] = expression.get("values") or ()
    present = key in labels
    if operator == "In":
        return present and labels[key] in values
    if operator == "NotIn":
        return not present or labels[key] not in values
    if operator == "Exists":
        return present
    if operator == "DoesNotExist":
        return not present
    return present and len(values) == 1 and compare(labels[key], operator, values[0])


def volume_reaches(volume: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    """Whether the PersistentVolume can be used on the node (``spec.nodeAffinity``)."""
    required = ((volume.get("spec") or {}).get("nodeAffinity") or {}).get("required")
    if required is None:
        return True
    metadata = node["metadata"]
    return any_matches(metadata["name"], metadata.get("labels") or {}, required.get("nodeSelectorTerms") or ())
