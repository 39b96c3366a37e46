"""Nodes: silence, taints, tolerations, finished pods."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.client.objects import Document, timestamp
from moorage.controllers.nodes import zones
from moorage.controllers.nodes.eviction import leave_at
from moorage.controllers.nodes.health import seen, sign_of_life, silent_conditions
from moorage.controllers.nodes.pod_gc import surplus_finished
from moorage.controllers.nodes.taints import wanted_taints, without_eviction

NOW = 1_790_000_000.0
UNREACHABLE = "node.kubernetes.io/unreachable"
NOT_READY = "node.kubernetes.io/not-ready"


def _node(ready: str | None = "True", taints: list[Document] | None = None, **spec: Any) -> Document:
    conditions = [{"type": "Ready", "status": ready, "lastHeartbeatTime": "2026-01-01T00:00:00Z"}] if ready else []
    metadata = {"name": "n1", "uid": "u1", "creationTimestamp": "2025-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": {"taints": taints or [], **spec}, "status": {"conditions": conditions}}


def _taint(key: str, effect: str = "NoExecute", added: float = NOW) -> Document:
    return {"key": key, "effect": effect, "timeAdded": timestamp(added)}


def test_a_renewed_lease_is_a_sign_of_life_and_the_same_one_is_not() -> None:
    lease = {"spec": {"renewTime": "a"}}
    first = seen(None, sign_of_life(_node(), lease), 5.0)
    assert seen(first, sign_of_life(_node(), lease), 30.0) is first
    assert seen(first, sign_of_life(_node(), {"spec": {"renewTime": "b"}}), 30.0).at == 30.0
    assert seen(first, sign_of_life(_node(), None), 30.0).at == 30.0


def test_silence_turns_every_condition_unknown_once() -> None:
    node = _node()
    conditions = silent_conditions(node, NOW)
    assert conditions is not None
    by_type = {each["type"]: each for each in conditions}
    assert by_type["Ready"]["reason"] == "NodeStatusUnknown"
    assert by_type["Ready"]["message"] == "Kubelet stopped posting node status."
    assert by_type["Ready"]["lastHeartbeatTime"] == "2026-01-01T00:00:00Z"
    assert by_type["DiskPressure"]["reason"] == "NodeStatusNeverUpdated"
    assert by_type["DiskPressure"]["lastHeartbeatTime"] == "2025-01-01T00:00:00Z"
    node["status"]["conditions"] = conditions
    assert silent_conditions(node, NOW + 60) is None


@pytest.mark.parametrize(
    ("node", "evict", "expected"),
    [
        (_node("True"), True, None),
        (_node("Unknown"), False, {(UNREACHABLE, "NoSchedule")}),
        (_node("Unknown"), True, {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}),
        (_node("False"), True, {(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")}),
        (_node("True", [_taint(UNREACHABLE), _taint(NOT_READY, "NoSchedule")]), True, set()),
        (_node("True", [_taint("mine", "NoSchedule")]), True, None),
        (
            _node("False", [_taint(UNREACHABLE), _taint("mine")]),
            False,
            {("mine", "NoExecute"), (NOT_READY, "NoSchedule")},
        ),
        (_node("True", unschedulable=True), True, {("node.kubernetes.io/unschedulable", "NoSchedule")}),
        (_node(None, [_taint(NOT_READY, "NoSchedule")]), True, None),
    ],
)
def test_taints_follow_conditions_and_leave_others_alone(
    node: Document, evict: bool, expected: set[tuple[str, str]] | None
) -> None:
    found = wanted_taints(node, evict=evict, now=NOW)
    assert (None if found is None else {(each["key"], each["effect"]) for each in found}) == expected


@given(
    st.sampled_from([None, "True", "False", "Unknown"]),
    st.lists(
        st.tuples(st.sampled_from([UNREACHABLE, NOT_READY, "mine"]), st.sampled_from(["NoSchedule", "NoExecute"])),
        unique=True,
    ),
    st.booleans(),
)
def test_taints_come_to_rest(ready: str | None, present: list[tuple[str, str]], evict: bool) -> None:
    node = _node(ready, [_taint(key, effect) for key, effect in present])
    found = wanted_taints(node, evict=evict, now=NOW)
    if found is not None:
        node["spec"]["taints"] = found
        assert wanted_taints(node, evict=evict, now=NOW) is None
    assert {pair for pair in present if pair[0] == "mine"} <= {
        (each["key"], each["effect"]) for each in node["spec"]["taints"]
    }


@pytest.mark.parametrize(
    ("ready", "unready", "state"),
    [
        (0, 0, zones.State.NORMAL),
        (5, 0, zones.State.NORMAL),
        (1, 2, zones.State.NORMAL),
        (2, 3, zones.State.PARTIAL),
        (3, 3, zones.State.NORMAL),
        (0, 1, zones.State.FULL),
    ],
)
def test_a_zone_is_disturbed_when_most_of_several_nodes_are_silent(ready: int, unready: int, state: str) -> None:
    assert zones.state_of(ready, unready) is state


def test_pods_leave_a_disturbed_zone_slowly_or_not_at_all() -> None:
    assert zones.pause(zones.State.NORMAL, 3, 10.0) == zones.pause(zones.State.FULL, 3, 10.0) == 10.0
    assert zones.pause(zones.State.PARTIAL, 50, 10.0) == math.inf
    assert zones.pause(zones.State.PARTIAL, 51, 10.0) == 100.0


def test_zones_are_counted_apart() -> None:
    def node(zone: str) -> Document:
        labels = {"topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": zone} if zone else {}
        return {"metadata": {"name": "n", "labels": labels}}

    found = zones.states([(node("a"), True), (node("a"), False), (node("b"), False), (node(""), True)])
    assert found == {
        ("r", "a"): (zones.State.NORMAL, 2),
        ("r", "b"): (zones.State.FULL, 1),
        ("", ""): (zones.State.NORMAL, 1),
    }


def test_only_our_evicting_taints_are_taken_back() -> None:
    node = _node("Unknown", [_taint(UNREACHABLE), _taint(UNREACHABLE, "NoSchedule"), _taint("mine")])
    assert without_eviction(node) == [_taint(UNREACHABLE, "NoSchedule"), _taint("mine")]
    assert without_eviction(_node("Unknown", [_taint("mine")])) is None


@pytest.mark.parametrize(
    ("tolerations", "cap", "expected"),
    [
        ([], None, NOW),
        ([{"key": UNREACHABLE, "operator": "Exists"}], None, None),
        ([{"key": UNREACHABLE, "operator": "Exists", "tolerationSeconds": 300}], None, NOW + 200),
        ([{"key": UNREACHABLE, "operator": "Exists", "tolerationSeconds": 300}], 30.0, NOW - 70),
        ([{"key": UNREACHABLE, "operator": "Exists"}], 30.0, None),
        ([{"operator": "Exists", "effect": "NoSchedule"}], None, NOW),
        ([{"operator": "Exists"}], None, None),
        ([{"key": UNREACHABLE, "operator": "Equal", "value": "x"}], None, NOW),
        ([{"key": UNREACHABLE}], None, None),
    ],
)
def test_when_a_pod_leaves(tolerations: list[Document], cap: float | None, expected: float | None) -> None:
    pod = {"spec": {"tolerations": tolerations}}
    taints = [_taint(UNREACHABLE, added=NOW - 100), _taint(UNREACHABLE, "NoSchedule")]
    assert leave_at(pod, taints, NOW, cap) == expected


def test_a_node_without_evicting_taints_keeps_everybody() -> None:
    assert leave_at({"spec": {}}, [_taint("mine", "NoSchedule")], NOW) is None


def test_the_oldest_finished_pods_go_first() -> None:
    def pod(name: str, phase: str, created: str) -> Document:
        return {"metadata": {"name": name, "creationTimestamp": created}, "status": {"phase": phase}}

    pods = [pod("c", "Failed", "3"), pod("a", "Succeeded", "1"), pod("r", "Running", "0"), pod("b", "Failed", "2")]
    assert [each["metadata"]["name"] for each in surplus_finished(pods, 1)] == ["a", "b"]
    assert surplus_finished(pods, 3) == []
