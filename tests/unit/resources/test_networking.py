"""NetworkPolicies: defaults, rules, columns."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.resources.networking import NETWORK_POLICY


def policy(**spec: Any) -> dict[str, Any]:
    document = {"metadata": {"name": "p", "namespace": "shop"}, "spec": {"podSelector": {}, **spec}}
    NETWORK_POLICY.default(document)
    return document


def test_types_follow_from_the_rules() -> None:
    assert policy()["spec"]["policyTypes"] == ["Ingress"]
    assert policy(egress=[{}])["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy(egress=[], policyTypes=["Egress"])["spec"]["policyTypes"] == ["Egress"]
    assert policy(ingress=[{"ports": [{"port": 80}]}])["spec"]["ingress"][0]["ports"][0]["protocol"] == "TCP"


def port(**fields: Any) -> dict[str, Any]:
    return {"ingress": [{"ports": [fields]}]}


def peer(**fields: Any) -> dict[str, Any]:
    return {"egress": [{"to": [fields]}]}


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (port(protocol="ICMP"), "spec.ingress[0].ports[0].protocol"),
        (port(port=0), "spec.ingress[0].ports[0].port"),
        (port(port="no_name"), "spec.ingress[0].ports[0].port"),
        (port(endPort=80), "spec.ingress[0].ports[0].endPort"),
        (port(port="http", endPort=80), "spec.ingress[0].ports[0].endPort"),
        (port(port=90, endPort=80), "spec.ingress[0].ports[0].endPort"),
        (port(port=90, endPort=70000), "spec.ingress[0].ports[0].endPort"),
        (peer(), "spec.egress[0].to[0]"),
        (peer(podSelector={}, ipBlock={"cidr": "10.0.0.0/8"}), "spec.egress[0].to[0]"),
        (peer(ipBlock={"cidr": ""}), "spec.egress[0].to[0].ipBlock.cidr"),
        (peer(ipBlock={"cidr": "10.0.0.0"}), "spec.egress[0].to[0].ipBlock.cidr"),
        (peer(ipBlock={"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}), "spec.egress[0].to[0].ipBlock.except[0]"),
        (peer(ipBlock={"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}), "spec.egress[0].to[0].ipBlock.except[0]"),
        (peer(ipBlock={"cidr": "10.0.0.0/8", "except": ["fd00::/16"]}), "spec.egress[0].to[0].ipBlock.except[0]"),
        ({"policyTypes": ["Sideways"]}, "spec.policyTypes[0]"),
        ({"policyTypes": ["Ingress", "Egress", "Ingress"]}, "spec.policyTypes"),
        ({"podSelector": {"matchLabels": {"a b": "c"}}}, "spec.podSelector.matchLabels"),
    ],
)
def test_rules_name_the_field(spec: dict[str, Any], path: str) -> None:
    assert path in [error.path for error in NETWORK_POLICY.validate(policy(**spec))]


def test_what_is_right_passes() -> None:
    block = {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}
    rules = {"ingress": [{"ports": [{"port": 80, "endPort": 90}], "from": [{"ipBlock": block}, {"podSelector": {}}]}]}
    assert NETWORK_POLICY.validate(policy(**rules)) == []


def test_columns() -> None:
    cells = [
        column.cell(policy(podSelector={"matchLabels": {"app": "web"}}), 0.0) for column in NETWORK_POLICY.columns[:2]
    ]
    assert cells == ["p", "app=web"]
