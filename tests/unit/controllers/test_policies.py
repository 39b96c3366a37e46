"""NetworkPolicies resolved to addresses: who is a target, who is a peer, at which ports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from moorage.controllers.policies.plan import Spaces, concerns, reached_namespaces, resolve

Document = dict[str, Any]
LABELS = {"shop": {"team": "red"}, "back": {"team": "red"}, "other": {"team": "blue"}}


def pod(name: str, address: str, namespace: str = "shop", **spec: Any) -> Document:
    ports = [{"name": "web", "containerPort": 8080 if address.endswith("2") else 9090}]
    whole = {"nodeName": "n1", "containers": [{"name": "c", "ports": ports}], **spec}
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    return {"metadata": metadata, "spec": whole, "status": {"podIP": address, "phase": "Running"}}


PODS = [
    pod("web", "10.0.0.2"),
    pod("web", "10.0.0.3"),
    pod("db", "10.0.0.4"),
    pod("web", "10.0.1.2", "back"),
    pod("web", "10.0.2.2", "other"),
    pod("host", "192.0.2.1", hostNetwork=True),
    pod("new", ""),
]


def pods_of(namespace: str) -> Iterable[Document]:
    return [each for each in PODS if each["metadata"]["namespace"] == namespace]


def rules(**spec: Any) -> Document:
    policy = {"metadata": {"name": "p", "namespace": "shop", "uid": "u"}, "spec": {"podSelector": {}, **spec}}
    return dict(resolve(policy, Spaces(LABELS, pods_of))["spec"])


def test_targets_are_pods_with_addresses_of_their_own() -> None:
    found = rules(policyTypes=["Ingress"])
    assert [each["address"] for each in found["targets"]] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    assert found["isolatesIngress"]
    assert found["ingress"] == []
    assert "isolatesEgress" not in found


@pytest.mark.parametrize(
    ("peer", "addresses"),
    [
        ({"podSelector": {"matchLabels": {"app": "web"}}}, ["10.0.0.2", "10.0.0.3"]),
        ({"podSelector": {}}, ["10.0.0.2", "10.0.0.3", "10.0.0.4"]),
        ({"namespaceSelector": {"matchLabels": {"team": "blue"}}}, ["10.0.2.2"]),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "db"}}}, ["10.0.0.4"]),
        (
            {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["blue"]}]}},
            ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.1.2"],
        ),
    ],
)
def test_peers_are_found_by_their_selectors(peer: Document, addresses: list[str]) -> None:
    found = rules(ingress=[{"from": [peer]}])
    assert found["ingress"] == [{"addresses": addresses, "anyPort": True}]


def test_peers_that_select_nobody_admit_nobody() -> None:
    found = rules(ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "none"}}}]}])
    assert found["ingress"] == [{"anyPort": True}]


def test_a_rule_without_peers_admits_everybody() -> None:
    assert rules(ingress=[{}])["ingress"] == [{"anyPeer": True, "anyPort": True}]


def test_blocks_stay_as_they_are() -> None:
    block = {"cidr": "10.1.0.0/16", "except": ["10.1.2.0/24"]}
    assert rules(egress=[{"to": [{"ipBlock": block}]}], policyTypes=["Egress"])["egress"][0]["blocks"] == [block]


def test_a_port_by_name_is_the_receivers_own() -> None:
    port = {"protocol": "TCP", "port": "web"}
    incoming = rules(ingress=[{"ports": [port]}])["ingress"][0]["ports"]
    assert incoming == [
        {"protocol": "TCP", "port": 8080, "addresses": ["10.0.0.2"]},
        {"protocol": "TCP", "port": 9090, "addresses": ["10.0.0.3", "10.0.0.4"]},
    ]
    blue = {"namespaceSelector": {"matchLabels": {"team": "blue"}}}
    outgoing = rules(egress=[{"to": [blue], "ports": [port]}], policyTypes=["Egress"])["egress"][0]
    assert outgoing["ports"] == [{"protocol": "TCP", "port": 8080, "addresses": ["10.0.2.2"]}]


def test_ports_by_number_and_in_ranges() -> None:
    given = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 80, "endPort": 90}, {"protocol": "SCTP"}]
    assert rules(ingress=[{"ports": given}])["ingress"][0]["ports"] == given


def test_the_types_follow_from_the_rules_where_they_are_not_said() -> None:
    both = rules(egress=[{}])
    assert both["isolatesIngress"]
    assert both["isolatesEgress"]


def test_a_policy_looks_at_its_own_namespace_and_those_of_its_peers() -> None:
    def reached(*peers: Document) -> set[str]:
        spec = {"podSelector": {}, "ingress": [{"from": list(peers)}]}
        return reached_namespaces({"metadata": {"namespace": "shop"}, "spec": spec}, LABELS)

    assert reached({"podSelector": {}}) == {"shop"}
    assert reached({"namespaceSelector": {"matchLabels": {"team": "blue"}}}) == {"shop", "other"}
    assert reached({"namespaceSelector": {}}) == {"shop", "back", "other"}


def test_a_finished_pod_concerns_nobody() -> None:
    done = pod("web", "10.0.0.9")
    assert concerns(done) is not None
    done["status"]["phase"] = "Succeeded"
    assert concerns(done) is None
