"""The priority levels and flow schemas of a new installation: Kubernetes' own, and our parts where Kubernetes has its.

Source: apiserver/pkg/apis/flowcontrol/bootstrap/default.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moorage.resources.flowcontrol import GROUP
from moorage.resources.kind import Document

_ANNOTATIONS = {"apf.kubernetes.io/autoupdate-spec": "true"}
_EVERYTHING = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}]
_EVERY_PATH = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]


def _level(name: str, shares: int, lendable: int, *, queues: bool = True) -> Document:
    response: dict[str, Any] = {"type": "Reject"}
    if queues:
        response = {"type": "Queue", "queuing": {"queues": 64, "handSize": 6, "queueLengthLimit": 128}}
    limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
    return _object("PriorityLevelConfiguration", name, {"type": "Limited", "limited": limited})


def _schema(
    name: str, level: str, precedence: int, distinguisher: str, subjects: Sequence[Document], *rules: Document
) -> Document:
    spec: dict[str, Any] = {
        "matchingPrecedence": precedence,
        "priorityLevelConfiguration": {"name": level},
        "rules": [{"subjects": list(subjects), **rule} for rule in rules],
    }
    if distinguisher:
        spec["distinguisherMethod"] = {"type": distinguisher}
    return _object("FlowSchema", name, spec)


def _object(kind: str, name: str, spec: Document) -> Document:
    metadata = {"name": name, "annotations": dict(_ANNOTATIONS)}
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _group(*names: str) -> list[Document]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


def _user(*names: str) -> list[Document]:
    return [{"kind": "User", "user": {"name": name}} for name in names]


def _accounts(namespace: str) -> list[Document]:
    return [{"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": "*"}}]


def _resources(verbs: list[str], groups: list[str], resources: list[str], *, cluster: bool = True) -> Document:
    rule: Document = {"verbs": verbs, "apiGroups": groups, "resources": resources, "namespaces": ["*"]}
    if cluster:
        rule["clusterScope"] = True
    return {"resourceRules": [rule]}


_ALL: Document = {"resourceRules": _EVERYTHING, "nonResourceRules": _EVERY_PATH}
_EXEMPT_LEVEL = _object(
    "PriorityLevelConfiguration",
    "exempt",
    {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
)

DEFAULTS: Sequence[Document] = (
    _EXEMPT_LEVEL,
    _level("catch-all", 5, 0, queues=False),
    _level("node-high", 40, 25),
    _level("system", 30, 33),
    _level("leader-election", 10, 0),
    _level("workload-high", 40, 50),
    _level("workload-low", 100, 90),
    _level("global-default", 20, 50),
    _schema("exempt", "exempt", 1, "", _group("system:masters"), _ALL),
    _schema(
        "probes",
        "exempt",
        2,
        "",
        _group("system:authenticated", "system:unauthenticated"),
        {"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]},
    ),
    _schema(
        "system-leader-election",
        "leader-election",
        100,
        "ByUser",
        _user("system:controllers", "system:kube-controller-manager", "system:kube-scheduler"),
        _resources(["get", "create", "update"], ["coordination.k8s.io"], ["leases"], cluster=False),
    ),
    _schema(
        "system-node-high",
        "node-high",
        400,
        "ByUser",
        _group("system:nodes"),
        _resources(["*"], [""], ["nodes", "nodes/status"]),
        _resources(["*"], ["coordination.k8s.io"], ["leases"], cluster=False),
    ),
    _schema("system-nodes", "system", 500, "ByUser", _group("system:nodes"), _ALL),
    _schema(
        "kube-controller-manager",
        "workload-high",
        800,
        "ByNamespace",
        _user("system:controllers", "system:kube-controller-manager"),
        _ALL,
    ),
    _schema("kube-scheduler", "workload-high", 800, "ByNamespace", _user("system:kube-scheduler"), _ALL),
    _schema("kube-system-service-accounts", "workload-high", 900, "ByNamespace", _accounts("kube-system"), _ALL),
    _schema("service-accounts", "workload-low", 9000, "ByUser", _group("system:serviceaccounts"), _ALL),
    _schema(
        "global-default",
        "global-default",
        9900,
        "ByUser",
        _group("system:unauthenticated", "system:authenticated"),
        _ALL,
    ),
    _schema(
        "catch-all",
        "catch-all",
        10_000,
        "ByUser",
        _group("system:unauthenticated", "system:authenticated"),
        _ALL,
    ),
)
