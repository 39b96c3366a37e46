"""Which of a node's pods a policy's rules are loaded for."""

from __future__ import annotations

from typing import Any

from moorage_agent.network.rules import base
from moorage_agent.network.rules.policies import OwnPod, render

PACKED = bytes((10, 0, 0, 2))


def policy(*targets: str, **spec: Any) -> dict[str, Any]:
    entries = [{"address": each, "node": "n1"} for each in targets]
    return {
        "metadata": {"namespace": "shop", "name": "p"},
        "spec": {"isolatesIngress": True, "targets": entries, **spec},
    }


def isolated(*policies: dict[str, Any], own: tuple[OwnPod, ...] = (), node: str = "n1") -> list[bytes]:
    return list(render(policies, node, own).elements[base.ISOLATED_IN])


def test_targets_of_this_node_are_isolated() -> None:
    assert isolated(policy("10.0.0.2")) == [PACKED]
    assert isolated(policy("10.0.0.2"), node="n2") == []


def test_a_pod_that_was_just_connected_is_isolated_before_anybody_has_resolved_that() -> None:
    selector = {"matchLabels": {"app": "web"}}
    web = OwnPod("shop", "10.0.0.2", {"app": "web"})
    assert isolated(policy(podSelector=selector), own=(web,)) == [PACKED]
    assert isolated(policy(podSelector={}), own=(web,)) == [PACKED]
    assert isolated(policy(podSelector=selector), own=(web._replace(labels={}),)) == []
    assert isolated(policy(podSelector=selector), own=(web._replace(namespace="other"),)) == []


def test_rules_without_a_selector_are_about_their_targets_only() -> None:
    assert isolated(policy(), own=(OwnPod("shop", "10.0.0.2", {}),)) == []
