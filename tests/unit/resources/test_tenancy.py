"""Tenants: defaults, rules, quota, deadlines, and what their namespaces hold."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.resources.tenancy import (
    TENANT,
    delete_at,
    hard_limits,
    is_locked,
    keeps_programs,
    service_account_namespace,
    subject_names,
)
from moorage.resources.tenancy_objects import furniture, missing_marks


def tenant(name: str = "blue", **spec: Any) -> dict[str, Any]:
    document = {"metadata": {"name": name}, "spec": spec}
    TENANT.default(document)
    return document


def test_defaults_are_the_careful_ones() -> None:
    spec = tenant(members=[{"kind": "User", "name": "bob"}], deletion={})["spec"]
    assert spec["members"][0]["role"] == "edit"
    assert spec["podSecurity"] == {"enforce": "baseline"}
    assert spec["network"] == {"isolation": True}
    assert spec["serviceTypes"]["allowed"] == ["ClusterIP", "ExternalName"]
    assert spec["deletion"] == {"keepDays": 7, "workloads": "Keep"}


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"owners": [{"kind": "Robot", "name": "x"}]}, "spec.owners[0].kind"),
        ({"owners": [{"kind": "User", "name": ""}]}, "spec.owners[0].name"),
        ({"owners": [{"kind": "ServiceAccount", "name": "x"}]}, "spec.owners[0].namespace"),
        ({"owners": [{"kind": "User", "name": "x", "namespace": "y"}]}, "spec.owners[0].namespace"),
        ({"owners": [{"kind": "Group", "name": "system:authenticated"}]}, "spec.owners[0].name"),
        ({"owners": [{"kind": "User", "name": "x"}] * 2}, "spec.owners[1]"),
        ({"members": [{"kind": "User", "name": "x", "role": "a/b"}]}, "spec.members[0].role"),
        ({"namespaces": {"limit": -1}}, "spec.namespaces.limit"),
        ({"namespaces": {"labels": {"moorage.io/x": "y"}}}, "spec.namespaces.labels"),
        ({"namespaces": {"allowedLabels": ["a b"]}}, "spec.namespaces.allowedLabels[0]"),
        ({"quota": {"hard": {"pods": "1.5"}}}, "spec.quota.hard[pods]"),
        ({"quota": {"hard": {"namespaces": "-1"}}}, "spec.quota.hard[namespaces]"),
        ({"resourceQuotas": [{"hard": {"nothing": "1"}}]}, "spec.resourceQuotas[0].hard[nothing]"),
        ({"limits": [{"type": "Pod", "default": {"cpu": "1"}}]}, "spec.limits[0].default"),
        ({"defaultRequests": {"cpu": "-1"}}, "spec.defaultRequests[cpu]"),
        ({"nodePools": {"tolerations": [{"key": "a", "operator": "Maybe"}]}}, "spec.nodePools.tolerations[0].operator"),
        ({"registries": {"allowed": ["a,b"]}}, "spec.registries.allowed[0]"),
        ({"serviceTypes": {"allowed": ["Magic"]}}, "spec.serviceTypes.allowed[0]"),
        ({"serviceTypes": {"externalIPs": ["nowhere"]}}, "spec.serviceTypes.externalIPs[0]"),
        ({"hostPaths": {"allowed": ["/srv/../etc"]}}, "spec.hostPaths.allowed[0]"),
        ({"hostPorts": {"allowed": ["8080", "30-20"]}}, "spec.hostPorts.allowed[1]"),
        ({"hostPorts": {"allowed": ["0"]}}, "spec.hostPorts.allowed[0]"),
        ({"hostPorts": {"allowed": ["1-65536"]}}, "spec.hostPorts.allowed[0]"),
        ({"podSecurity": {"enforce": "some"}}, "spec.podSecurity.enforce"),
        ({"network": {"allowFrom": ["A"]}}, "spec.network.allowFrom[0]"),
        ({"deletion": {"keepDays": -1}}, "spec.deletion.keepDays"),
        ({"deletion": {"workloads": "Burn"}}, "spec.deletion.workloads"),
    ],
)
def test_rules_name_the_field(spec: dict[str, Any], path: str) -> None:
    assert path in [error.path for error in TENANT.validate(tenant(**spec))]


@pytest.mark.parametrize("name", ["default", "kube-x", "moorage-x"])
def test_names_of_the_platform_are_no_tenants(name: str) -> None:
    assert [error.path for error in TENANT.validate(tenant(name))] == ["metadata.name"]
    assert TENANT.validate(tenant()) == []


def test_the_lowest_limit_of_namespaces_holds() -> None:
    both = tenant(namespaces={"limit": 3}, quota={"hard": {"namespaces": "5", "pods": "1"}})
    assert hard_limits(both) == {"count/namespaces": "3", "pods": "1"}
    assert hard_limits(tenant(namespaces={"limit": 0})) == {"count/namespaces": "0"}
    assert hard_limits(tenant()) == {}


def test_locks_and_deadlines() -> None:
    marked = tenant(deletion={"requestedAt": "2026-01-01T00:00:00Z", "keepDays": 1})
    assert is_locked(marked)
    assert keeps_programs(marked)
    assert delete_at(marked) == 1767225600 + 86400
    assert delete_at(tenant()) is None
    assert not is_locked(tenant())
    assert not keeps_programs(tenant(suspended=True))
    assert service_account_namespace("system:serviceaccount:shop:robot") == "shop"
    assert service_account_namespace("alice") == ""


def test_a_service_account_is_the_user_that_it_logs_in_as() -> None:
    account = {"kind": "ServiceAccount", "namespace": "ci", "name": "robot"}
    assert subject_names([account]) == {("User", "system:serviceaccount:ci:robot")}


def kinds(document: dict[str, Any]) -> list[str]:
    return [each["kind"] for each in furniture(document, "shop")]


def test_furniture_follows_what_is_asked_for() -> None:
    assert kinds(tenant()) == ["NetworkPolicy"]
    assert kinds(tenant(network={"isolation": False})) == []
    asked = tenant(defaultRequests={"cpu": "1"}, resourceQuotas=[{"hard": {}}, {"hard": {}}])
    assert kinds(asked) == ["NetworkPolicy", "LimitRange", "ResourceQuota", "ResourceQuota"]
    assert {each["metadata"]["namespace"] for each in furniture(asked, "shop")} == {"shop"}


def test_default_requests_join_the_limits_of_containers() -> None:
    item = {"type": "Container", "max": {"cpu": "4"}, "defaultRequest": {"cpu": "2"}}
    made = furniture(tenant(limits=[item], defaultRequests={"cpu": "1", "memory": "1Gi"}), "shop")[1]
    assert made["spec"]["limits"] == [{**item, "defaultRequest": {"cpu": "2", "memory": "1Gi"}}]


def test_the_outside_is_let_in_only_to_exposed_tenants() -> None:
    def blocks(document: dict[str, Any]) -> list[Any]:
        peers = furniture(document, "shop", ["10.244.0.0/16"])[0]["spec"]["ingress"][0]["from"]
        return [peer["ipBlock"] for peer in peers if "ipBlock" in peer]

    assert blocks(tenant()) == []
    exposed = blocks(tenant(serviceTypes={"allowed": ["LoadBalancer"]}))
    assert exposed == [{"cidr": "0.0.0.0/0", "except": ["10.244.0.0/16"]}, {"cidr": "::/0"}]


def test_marks_raise_levels_and_never_lower_them() -> None:
    asked = tenant(namespaces={"labels": {"cost": "1"}})
    level = "pod-security.kubernetes.io/enforce"
    assert missing_marks(asked, {"metadata": {"labels": {}}}) == {"labels": {"cost": "1", level: "baseline"}}
    strict = {"metadata": {"labels": {"cost": "1", level: "restricted"}}}
    assert missing_marks(asked, strict) == {}
    lax = {"metadata": {"labels": {"cost": "1", level: "privileged"}}}
    assert missing_marks(asked, lax) == {"labels": {level: "baseline"}}


def test_pods_of_others_do_not_come_in_as_the_outside() -> None:
    """An exposed tenant is open to the outside of the cluster, not to pods of other tenants."""
    peers = furniture(tenant(serviceTypes={"allowed": ["NodePort"]}), "shop")[0]["spec"]["ingress"][0]["from"]
    blocks = [peer["ipBlock"] for peer in peers if "ipBlock" in peer]
    assert [block.get("except") for block in blocks if block["cidr"] == "0.0.0.0/0"] == [["10.244.0.0/16"]]
