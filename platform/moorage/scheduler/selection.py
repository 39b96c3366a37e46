"""Whether a pod may run on a node by the node's own properties: name, selector, affinity, taints.

Source: "Assigning Pods to Nodes", "Taints and Tolerations"; Kubernetes' plugins nodeunschedulable, tainttoleration, nodeaffinity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources.node_selector import compare, term_matches

Document = dict[str, Any]

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
_BLOCKING = ("NoSchedule", "NoExecute")


def effective_taints(node: Document) -> list[Document]:
    """``spec.taints``, and what the Ready condition calls for where the node controller has not said so yet."""
    taints = list((node.get("spec") or {}).get("taints") or ())
    ready = next(
        (each for each in (node.get("status") or {}).get("conditions") or () if each.get("type") == "Ready"), None
    )
    status = ready.get("status") if ready else None
    implied = {"True": None, "Unknown": UNREACHABLE}.get(str(status), NOT_READY)
    if implied and not any(taint.get("key") == implied for taint in taints):
        taints.append({"key": implied, "effect": "NoSchedule"})
    return taints


def tolerated(taint: Mapping[str, Any], tolerations: Sequence[Mapping[str, Any]]) -> bool:
    """Whether one of ``tolerations`` matches ``taint``."""
    return any(_tolerates(each, taint) for each in tolerations)


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    key, operator = toleration.get("key") or "", toleration.get("operator") or "Equal"
    if key and key != taint.get("key"):
        return False
    value, given = toleration.get("value") or "", taint.get("value") or ""
    if operator == "Exists":
        return True
    if operator in ("Gt", "Lt"):
        return compare(given, operator, value)
    return bool(key) and value == given


def untolerated(taints: Sequence[Document], tolerations: Sequence[Mapping[str, Any]]) -> Document | None:
    """The first taint that keeps the pod away."""
    for taint in taints:
        if taint.get("effect") in _BLOCKING and not tolerated(taint, tolerations):
            return taint
    return None


def unwelcome(taints: Sequence[Document], tolerations: Sequence[Mapping[str, Any]]) -> int:
    """How many PreferNoSchedule taints the pod does not tolerate."""
    return sum(taint.get("effect") == "PreferNoSchedule" and not tolerated(taint, tolerations) for taint in taints)


def selected(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """``nodeSelector``: every entry is a label of the node."""
    return all(labels.get(key) == value for key, value in selector.items())


def preference(name: str, labels: Mapping[str, str], preferred: Sequence[Mapping[str, Any]]) -> int:
    """Sum of the weights of the preferred node affinity terms that match."""
    return sum(
        int(each.get("weight") or 0) for each in preferred if term_matches(name, labels, each.get("preference") or {})
    )
