"""Placement: filters, scores and messages on given states, safety on generated ones."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.client.objects import Document
from moorage.resources import quantity
from tests.unit.scheduler.documents import node, place, pod, table, where, why


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(1, 16), st.integers(1, 6)), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 9), st.sampled_from([0, 0, 0, 80, 81])), max_size=40),
    st.integers(0, 1000),
)
def test_no_node_is_ever_given_more_than_it_has(
    sizes: list[tuple[int, int, int]], wishes: list[tuple[int, int, int]], seed: int
) -> None:
    nodes = table(*(node(f"n{i}", str(cpu), f"{gi}Gi", str(most)) for i, (cpu, gi, most) in enumerate(sizes)))
    pods = [pod(f"p{i}", f"{cpu}m", f"{gi}Gi", port=port) for i, (cpu, gi, port) in enumerate(wishes)]
    half = len(pods) // 2
    placements = place(nodes, pods[:half], seed) + place(nodes, pods[half:], seed)
    taken: dict[str, Counter[str]] = {f"n{i}": Counter() for i in range(len(sizes))}
    by_name = {f"p{i}": wish for i, wish in enumerate(wishes)}
    for each in placements:
        if each.node:
            cpu, gi, port = by_name[each.pod.uid]
            taken[each.node].update({"cpu": cpu, "memory": gi, "pods": 1, f"port {port}": 1 if port else 0})
    for (cpu, gi, most), used in zip(sizes, taken.values(), strict=True):
        assert used["cpu"] <= cpu * 1000
        assert used["memory"] <= gi
        assert used["pods"] <= most
        assert used["port 80"] <= 1
        assert used["port 81"] <= 1
    assert (nodes.requested >= 0).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(100, 900), st.sampled_from("abc")), min_size=1, max_size=20), st.integers(0, 99))
def test_what_is_released_is_free_again(wishes: list[tuple[int, str]], seed: int) -> None:
    nodes = table(node("n0"), node("n1", labels={"topology.kubernetes.io/zone": "z"}))
    before = nodes.requested.copy()
    pods = [pod(f"p{i}", f"{cpu}m", labels={"app": app}, port=9000 + i) for i, (cpu, app) in enumerate(wishes)]
    place(nodes, pods, seed)
    for each in pods:
        nodes.release(each.uid)
    assert (nodes.requested == before).all()
    assert not nodes.scoring.any()
    assert not any(nodes.group_counts(each.profile.group).any() for each in pods)


def test_pods_of_one_owner_spread_over_nodes_and_zones() -> None:
    zones = ["a", "a", "b", "c"]
    nodes = table(*(node(f"n{i}", labels={"topology.kubernetes.io/zone": zone}) for i, zone in enumerate(zones)))
    found = where(nodes, *(pod(f"p{i}", "100m", labels={"app": "web"}) for i in range(3)))
    assert {zones[int(name[1:])] for name in found} == {"a", "b", "c"}
    nodes = table(*(node(f"n{i}") for i in range(5)))
    assert len(set(where(nodes, *(pod(f"p{i}", labels={"app": "web"}) for i in range(5))))) == 5


def test_the_emptier_node_is_preferred() -> None:
    nodes = table(node("n0"), node("n1"))
    nodes.assign(pod("there", "3", "1Gi"), "n0")
    assert where(nodes, pod("new", "500m", "1Gi")) == ["n1"]


def test_higher_priority_goes_first_whatever_the_order() -> None:
    nodes = table(node("n0", cpu="1"))
    low, high = pod("low", "1", priority=1), pod("high", "1", priority=1000)
    assert where(nodes, low, high) == ["", "n0"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"nodeSelector": {"disk": "ssd"}}, ["fast"]),
        ({"nodeSelector": {"disk": "tape"}}, [""]),
        ({"tolerations": [{"key": "dedicated", "operator": "Exists"}], "nodeSelector": {"kind": "own"}}, ["own"]),
        ({"nodeSelector": {"kind": "own"}}, [""]),
        ({"nodeSelector": {"kind": "closed"}}, [""]),
        ({"nodeSelector": {"kind": "sick"}}, [""]),
        ({"tolerations": [{"operator": "Exists"}], "nodeSelector": {"kind": "closed"}}, ["closed"]),
    ],
)
def test_selectors_and_taints(spec: Document, expected: list[str]) -> None:
    nodes = table(
        node("fast", labels={"disk": "ssd"}),
        node("own", labels={"kind": "own"}, taints=[{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]),
        node("closed", labels={"kind": "closed"}, unschedulable=True),
        node("sick", labels={"kind": "sick"}, ready="False"),
    )
    assert where(nodes, pod("p", **spec)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"key": "n", "operator": "In", "values": ["1", "2"]}, {"n1", "n2"}),
        ({"key": "n", "operator": "NotIn", "values": ["1", "2"]}, {"n3", "n4"}),
        ({"key": "n", "operator": "Exists"}, {"n1", "n2", "n3"}),
        ({"key": "n", "operator": "DoesNotExist"}, {"n4"}),
        ({"key": "n", "operator": "Gt", "values": ["1"]}, {"n2", "n3"}),
        ({"key": "n", "operator": "Lt", "values": ["2"]}, {"n1"}),
    ],
)
def test_required_node_affinity(expression: Document, expected: set[str]) -> None:
    term = {"matchExpressions": [expression]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    nodes = table(*(node(f"n{i}", labels={"n": str(i)} if i < 4 else {}) for i in range(1, 5)))
    found = where(nodes, *(pod(f"p{i}", labels={"app": "x"}, affinity=affinity) for i in range(8)))
    assert set(found) == expected


def test_preferred_node_affinity_and_soft_taints_decide_between_equals() -> None:
    preferred = [
        {"weight": 10, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}}
    ]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    assert where(table(node("n0"), node("n1", labels={"disk": "ssd"})), pod("p", affinity=affinity)) == ["n1"]
    soft = [{"key": "old", "effect": "PreferNoSchedule"}]
    assert where(table(node("n0", taints=soft), node("n1")), pod("p")) == ["n1"]


def test_anti_affinity_between_pods_holds_both_ways() -> None:
    term = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "kubernetes.io/hostname"}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    nodes = table(node("n0"), node("n1"))
    found = where(nodes, *(pod(f"p{i}", labels={"app": "db"}, affinity=apart) for i in range(3)))
    assert sorted(found) == ["", "n0", "n1"]
    plain = pod("plain", labels={"app": "db"})
    message = why(nodes, plain)
    assert message == "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules."


def test_affinity_keeps_pods_together_and_lets_the_first_one_start() -> None:
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "topology.kubernetes.io/zone"}
    together = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    zones = {f"n{i}": f"z{i % 2}" for i in range(4)}
    nodes = table(*(node(name, labels={"topology.kubernetes.io/zone": zone}) for name, zone in zones.items()))
    found = where(nodes, *(pod(f"p{i}", labels={"app": "web"}, affinity=together) for i in range(6)))
    assert len({zones[name] for name in found}) == 1
    assert where(nodes, pod("alone", labels={"app": "other"}, affinity=together))[0] != ""
    lonely = table(node("n0", labels={"topology.kubernetes.io/zone": "z0"}))
    assert "didn't match pod affinity rules" in why(lonely, pod("alone", labels={"app": "other"}, affinity=together))


def test_topology_spread_that_must_hold() -> None:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    nodes = table(
        node("n0", labels={"topology.kubernetes.io/zone": "a"}),
        node("n1", pods="1", labels={"topology.kubernetes.io/zone": "b"}),
        node("n2"),
    )
    web = [pod(f"p{i}", labels={"app": "web"}, topologySpreadConstraints=[constraint]) for i in range(4)]
    placements = {each.pod.uid: each for each in place(nodes, web)}
    assert Counter(each.node for each in placements.values()) == Counter({"n0": 2, "n1": 1, "": 1})
    assert placements["p3"].message == (
        "0/3 nodes are available: 1 Too many pods, 1 node(s) didn't match pod topology spread constraints, "
        "1 node(s) didn't match pod topology spread constraints (missing required label)."
    )


def test_the_message_says_what_kube_scheduler_would() -> None:
    nodes = table(
        node("n0", cpu="1"),
        node("n1", taints=[{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]),
        node("n2", taints=[{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]),
        node("n3", unschedulable=True),
        node("n4", memory="1Gi", cpu="1"),
    )
    assert why(nodes, pod("p", "2", "2Gi")) == (
        "0/5 nodes are available: 1 Insufficient memory, 1 node(s) were unschedulable, 2 Insufficient cpu, "
        "2 node(s) had untolerated taint {dedicated: db}."
    )
    assert why(nodes, pod("q", nodeSelector={"a": "b"}, tolerations=[{"operator": "Exists"}])) == (
        "0/5 nodes are available: 5 node(s) didn't match Pod's node affinity/selector."
    )
    assert why(table(), pod("r")) == "no nodes available to schedule pods"
    busy = table(node("n0"))
    busy.assign(pod("there", port=80), "n0")
    assert why(busy, pod("s", port=80)) == (
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
    )


def test_a_node_that_turns_ready_or_grows_is_seen_and_one_that_goes_is_not_used() -> None:
    nodes = table(node("n0", ready="False"))
    assert "node.kubernetes.io/not-ready" in why(nodes, pod("p"))
    assert nodes.put(node("n0"))
    assert not nodes.put(node("n0"))
    assert where(nodes, pod("p")) == ["n0"]
    assert "Insufficient cpu" in why(nodes, pod("big", "6"))
    assert nodes.put(node("n0", cpu="8"))
    assert where(nodes, pod("big", "6")) == ["n0"]
    nodes.remove("n0")
    assert why(nodes, pod("q")) == "no nodes available to schedule pods"
    nodes.put(node("n1"))
    assert where(nodes, pod("q")) == ["n1"]
    nodes.put(node("n0", cpu="8"))  # what ran there still counts
    assert nodes.requested[nodes.by_name["n0"], nodes.columns["cpu"]] == 6000


def test_extended_resources_and_many_nodes_fit_the_table() -> None:
    nodes = table(*(node(f"n{i}", more={"example.com/gpu": "1"} if i == 37 else {}) for i in range(50)))
    gpus = [pod(f"g{i}", more={"example.com/gpu": "1"}) for i in range(2)]
    assert where(nodes, *gpus) == ["n37", ""]
    assert quantity.milli("1") == 1000
