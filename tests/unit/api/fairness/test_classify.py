"""FlowSchemas against requests; the defaults of a new installation."""

from __future__ import annotations

from copy import deepcopy

import pytest

from moorage.api.contracts import Identity
from moorage.api.fairness.classify import Asked, compiled
from moorage.api.fairness.defaults import DEFAULTS
from moorage.resources.builtin import builtin_registry
from moorage.resources.kind import Document, GroupVersionKind

SCHEMAS = sorted(
    (compiled(each) for each in DEFAULTS if each["kind"] == "FlowSchema"),
    key=lambda schema: (schema.precedence, schema.name),
)
PODS = Asked("list", "", "pods", "", "shop", "")


def schema_of(identity: Identity, asked: Asked) -> str:
    return next(schema.name for schema in SCHEMAS if schema.matches(identity, asked))


def who(name: str, *groups: str) -> Identity:
    return Identity(name, frozenset((*groups, "system:authenticated")))


@pytest.mark.parametrize(
    ("identity", "asked", "name"),
    [
        (who("admin", "system:masters"), PODS, "exempt"),
        (who("anna"), PODS, "global-default"),
        (who("anna"), Asked("get", "", "", "", "", "/readyz"), "probes"),
        (who("anna"), Asked("get", "", "", "", "", "/version"), "global-default"),
        (who("system:node:a", "system:nodes"), PODS, "system-nodes"),
        (who("system:node:a", "system:nodes"), Asked("patch", "", "nodes", "status", "", ""), "system-node-high"),
        (
            who("system:node:a", "system:nodes"),
            Asked("update", "coordination.k8s.io", "leases", "", "kube-node-lease", ""),
            "system-node-high",
        ),
        (who("system:controllers", "system:controllers"), PODS, "kube-controller-manager"),
        (
            who("system:controllers", "system:controllers"),
            Asked("update", "coordination.k8s.io", "leases", "", "kube-system", ""),
            "system-leader-election",
        ),
        (
            who("system:serviceaccount:kube-system:dns", "system:serviceaccounts"),
            PODS,
            "kube-system-service-accounts",
        ),
        (who("system:serviceaccount:shop:web", "system:serviceaccounts"), PODS, "service-accounts"),
    ],
)
def test_each_has_its_place(identity: Identity, asked: Asked, name: str) -> None:
    assert schema_of(identity, asked) == name


def test_flows_are_told_apart_as_the_schema_says() -> None:
    by_user = next(schema for schema in SCHEMAS if schema.name == "global-default")
    by_namespace = next(schema for schema in SCHEMAS if schema.name == "kube-controller-manager")
    assert by_user.flow(who("anna"), PODS) == "anna"
    assert by_namespace.flow(who("system:controllers"), PODS) == "shop"


def test_a_cluster_wide_request_needs_cluster_scope() -> None:
    document: Document = {
        "metadata": {"name": "s"},
        "spec": {
            "priorityLevelConfiguration": {"name": "l"},
            "rules": [
                {
                    "subjects": [{"kind": "User", "user": {"name": "*"}}],
                    "resourceRules": [{"verbs": ["*"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["*"]}],
                }
            ],
        },
    }
    schema = compiled(document)
    assert schema.matches(who("anna"), PODS)
    assert not schema.matches(who("anna"), PODS._replace(namespace=""))
    assert not schema.matches(who("anna"), PODS._replace(subresource="status"))


@pytest.mark.parametrize(
    "document", DEFAULTS, ids=lambda document: f"{document['kind']}-{document['metadata']['name']}"
)
def test_the_defaults_keep_the_rules_of_their_kinds(document: Document) -> None:
    group, _, version = document["apiVersion"].rpartition("/")
    kind = builtin_registry().by_kind(GroupVersionKind(group, version, document["kind"]))
    assert kind is not None
    own = deepcopy(document)
    kind.default(own)
    assert list(kind.validate(own)) == []
