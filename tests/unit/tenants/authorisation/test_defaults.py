"""The default roles: that they are sound, what they must never hold, and how a newer server brings them up to date."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from moorage.resources.builtin import builtin_registry
from moorage_tenants.authorisation.defaults import brought_up_to_date, default_documents
from moorage_tenants.authorisation.defaults.making import AUTOUPDATE
from moorage_tenants.authorisation.permissions import Permissions
from moorage_tenants.authorisation.roles import ClusterRole, aggregated
from moorage_tenants.authorisation.rules import Rule, read_rules

REGISTRY = builtin_registry()
DOCUMENTS = default_documents(REGISTRY)
ROLES = {each["metadata"]["name"]: each for each in DOCUMENTS if each["kind"] == "ClusterRole"}
KUBERNETES = """
admin cluster-admin edit view system:aggregate-to-admin system:aggregate-to-edit system:aggregate-to-view
system:auth-delegator system:basic-user system:discovery system:heapster system:kube-aggregator
system:kube-controller-manager system:kube-dns system:kube-scheduler system:kubelet-api-admin system:monitoring system:node
system:node-bootstrapper system:node-problem-detector system:node-proxier system:persistent-volume-provisioner
system:public-info-viewer system:service-account-issuer-discovery system:volume-scheduler
system:certificates.k8s.io:certificatesigningrequests:nodeclient
system:certificates.k8s.io:certificatesigningrequests:selfnodeclient
system:certificates.k8s.io:kube-apiserver-client-approver
system:certificates.k8s.io:kube-apiserver-client-kubelet-approver
system:certificates.k8s.io:kubelet-serving-approver system:certificates.k8s.io:legacy-unknown-approver
"""
BINDINGS = {each["metadata"]["name"]: each for each in DOCUMENTS if each["kind"] == "ClusterRoleBinding"}


def permissions(name: str) -> Permissions:
    """What a role allows, gathered."""
    roles = [ClusterRole.of(document) for document in ROLES.values()]
    return Permissions(aggregated(ClusterRole.of(ROLES[name]), roles))


def test_every_role_and_binding_is_one_that_the_api_takes() -> None:
    for document in DOCUMENTS:
        group, _, version = document["apiVersion"].partition("/")
        kind = next(
            each for each in REGISTRY if (each.group, each.version, each.kind) == (group, version, document["kind"])
        )
        assert list(kind.validate(deepcopy(document))) == [], document["metadata"]["name"]
        assert document["metadata"]["labels"]["kubernetes.io/bootstrapping"] == "rbac-defaults"
        assert document["metadata"]["annotations"][AUTOUPDATE] == "true"
    assert all(each["roleRef"]["name"] in ROLES for each in BINDINGS.values())


def test_the_roles_of_kubernetes_are_there() -> None:
    assert set(KUBERNETES.split()) - set(ROLES) == set()


@pytest.mark.parametrize(("smaller", "larger"), [("view", "edit"), ("edit", "admin"), ("admin", "cluster-admin")])
def test_each_role_of_people_holds_the_one_below(smaller: str, larger: str) -> None:
    rules = aggregated(ClusterRole.of(ROLES[smaller]), map(ClusterRole.of, ROLES.values()))
    assert permissions(larger).missing(rules) == []


@pytest.mark.parametrize("name", ["view", "edit", "admin"])
def test_roles_of_people_reach_every_kind_of_a_namespace(name: str) -> None:
    """What teams work with may be read by all who view, with the exceptions that are written down."""
    nobodys = {"podtemplates", "policyrules", "csistoragecapacities"}
    unseen = {"secrets", "roles", "rolebindings", "leases", "localsubjectaccessreviews", *nobodys}
    shown = {
        kind.plural for kind in REGISTRY if kind.namespaced and permissions(name).allows("get", kind.group, kind.plural)
    }
    every = {kind.plural for kind in REGISTRY if kind.namespaced}
    hidden = {"view": unseen, "edit": unseen - {"secrets", "leases"}, "admin": nobodys}
    assert every - shown - {"localsubjectaccessreviews"} == hidden[name] - {"localsubjectaccessreviews"}


@pytest.mark.parametrize("name", ["view", "edit", "admin", "system:moorage:controllers", "system:kube-scheduler"])
def test_what_only_administrators_may(name: str) -> None:
    held = permissions(name)
    for verb, group, resource, subresource in (
        ("create", "rbac.authorization.k8s.io", "clusterroles", ""),
        ("update", "rbac.authorization.k8s.io", "clusterrolebindings", ""),
        ("escalate", "rbac.authorization.k8s.io", "roles", ""),
        ("bind", "rbac.authorization.k8s.io", "clusterroles", ""),
        ("impersonate", "", "users", ""),
        ("impersonate", "", "groups", ""),
        ("create", "", "nodes", ""),
        ("manage", "tenancy.moorage.io", "tenants", ""),
        ("create", "moorage.io", "tokens", ""),
        ("create", "certificates.k8s.io", "certificatesigningrequests", ""),
    ):
        assert not held.allows(verb, group, resource, subresource), (verb, resource)
    assert not held.allows_path("get", "/metrics")


def test_controllers_read_but_run_nothing_in_pods() -> None:
    held = permissions("system:moorage:controllers")
    assert held.allows("list", "", "pods")
    assert held.allows("update", "apps", "deployments", "status")
    for subresource in ("exec", "attach", "portforward", "log", "ephemeralcontainers"):
        for verb in ("get", "create", "patch"):
            assert not held.allows(verb, "", "pods", subresource), (verb, subresource)
    assert not held.allows("create", "", "serviceaccounts", "token")
    assert not held.allows("create", "", "secrets")


def stored(wanted: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """``wanted`` as the store has it, with ``changes`` by an administrator."""
    document = deepcopy(wanted)
    document["metadata"] |= {"uid": "u", "resourceVersion": "7"}
    return document | changes


def test_what_is_as_it_should_be_is_left_alone() -> None:
    for document in DOCUMENTS:
        assert brought_up_to_date(deepcopy(document), document) is None


def test_missing_rules_come_back_and_added_ones_stay() -> None:
    name = "system:aggregate-to-view"
    own = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["things"]}
    old = stored(ROLES[name], rules=[*ROLES[name]["rules"][1:], own])
    new = brought_up_to_date(old, ROLES[name])
    assert new is not None
    assert own in new["rules"]
    assert Permissions(read_rules(new)).missing(read_rules(ROLES[name])) == []
    assert (new["metadata"]["uid"], new["metadata"]["resourceVersion"]) == ("u", "7")
    assert brought_up_to_date(new, ROLES[name]) is None


def test_missing_subjects_labels_and_selectors_come_back() -> None:
    added = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "ann"}
    wanted = BINDINGS["system:discovery"]
    new = brought_up_to_date(stored(wanted, subjects=[added]), wanted)
    assert new is not None
    assert new["subjects"] == [added, *wanted["subjects"]]
    bare = stored(ROLES["edit"], aggregationRule={"clusterRoleSelectors": []})
    bare["metadata"]["labels"] = {"mine": "yes"}
    new = brought_up_to_date(bare, ROLES["edit"])
    assert new is not None
    assert new["aggregationRule"] == ROLES["edit"]["aggregationRule"]
    assert new["metadata"]["labels"] == {**ROLES["edit"]["metadata"]["labels"], "mine": "yes"}


@pytest.mark.parametrize("name", ["system:basic-user", "view"])
def test_autoupdate_false_keeps_a_role_as_it_is(name: str) -> None:
    old = stored(ROLES[name], rules=[])
    old.pop("aggregationRule", None)
    old["metadata"]["annotations"] = {AUTOUPDATE: "false"}
    assert brought_up_to_date(old, ROLES[name]) is None


def test_a_star_needs_no_more_rules() -> None:
    old = stored(ROLES["system:basic-user"], rules=[Rule(("*",), ("*",), ("*",)).document()])
    assert brought_up_to_date(old, ROLES["system:basic-user"]) is None
