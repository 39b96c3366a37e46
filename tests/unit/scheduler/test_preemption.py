"""Who makes room: victims on given states, safety on generated ones."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.client.api import ApiClient
from moorage.client.informer import Informer
from moorage.scheduler.nodetable import NodeTable
from moorage.scheduler.nominations import Nominations
from moorage.scheduler.place import Placer
from moorage.scheduler.podinfo import PodInfo
from moorage.scheduler.preempting import MOST, Preemption
from moorage.scheduler.preemption import Preemptor, Victims
from tests.unit.scheduler.documents import node, pod, table, where


def choose(
    nodes: NodeTable,
    wants: PodInfo,
    *budgets: dict[str, Any],
    going: frozenset[str] = frozenset(),
    nominations: Nominations | None = None,
) -> Victims | None:
    """The victims, and that the table is left as it was."""
    before = nodes.requested.copy()
    placer = Placer(nodes, random.Random(0), None, nominations)
    found = Preemptor(nodes, placer).choose(wants, budgets, going)
    assert (nodes.requested == before).all()
    return found


def names(found: Victims | None) -> list[str]:
    """Names of the victims."""
    assert found is not None
    return [each.key.name for each in found.pods]


def run(nodes: NodeTable, name: str, *pods: PodInfo) -> None:
    """Pods run on a node."""
    for each in pods:
        nodes.assign(each, name)


def budget(allowed: int, labels: dict[str, str] | None = None, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "team", "name": "b"},
        "spec": {"selector": {"matchLabels": labels or {}}},
        "status": {"disruptionsAllowed": allowed, **status},
    }


def test_as_few_as_needed_and_the_least_important() -> None:
    nodes = table(node("n", "4"))
    run(nodes, "n", *(pod(f"p{priority}", "1", priority=priority) for priority in (1, 2, 3, 4)))
    assert names(choose(nodes, pod("new", "2", priority=10))) == ["p2", "p1"]
    assert choose(nodes, pod("new", "4", priority=4)) is None
    assert names(choose(nodes, pod("new", "3", priority=4))) == ["p3", "p2", "p1"]


def test_one_that_is_large_enough_goes_rather_than_several_that_matter_more() -> None:
    nodes = table(node("n", "4"))
    run(nodes, "n", pod("big", "2", priority=1), pod("a", "1", priority=2), pod("b", "1", priority=2))
    assert names(choose(nodes, pod("new", "2", priority=10))) == ["big"]


@pytest.mark.parametrize("spec", [{"priority": 0}, {"priority": 5, "preemptionPolicy": "Never"}])
def test_who_does_not_preempt(spec: dict[str, Any]) -> None:
    nodes = table(node("n", "1"))
    run(nodes, "n", pod("old", "1"))
    assert choose(nodes, pod("new", "1", **spec)) is None


def test_nodes_that_would_not_do_anyway_are_left_alone() -> None:
    taint = {"key": "db", "effect": "NoSchedule"}
    nodes = table(node("tainted", "2", taints=[taint]), node("small", "1"), node("closed", "2", unschedulable=True))
    for each in ("tainted", "small", "closed"):
        run(nodes, each, pod(f"on-{each}", "1"))
    assert choose(nodes, pod("new", "2", priority=1)) is None


def test_the_node_where_the_least_is_lost() -> None:
    nodes = table(node("worse", "2"), node("better", "2"), node("many", "2"))
    run(nodes, "worse", pod("w", "2", priority=5))
    run(nodes, "better", pod("b", "2", priority=3))
    run(nodes, "many", pod("m1", "1", priority=3), pod("m2", "1", priority=3))
    assert names(choose(nodes, pod("new", "2", priority=10))) == ["b"]


def test_ports_and_neighbours_may_be_what_is_in_the_way() -> None:
    nodes = table(node("n", "4"))
    run(nodes, "n", pod("web", "1", port=80), pod("other", "1"))
    assert names(choose(nodes, pod("new", "1", port=80, priority=1))) == ["web"]
    against = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": {"matchLabels": {"app": "loud"}}, "topologyKey": "kubernetes.io/hostname"}
            ]
        }
    }
    run(nodes, "n", pod("loud", "1", labels={"app": "loud"}))
    assert names(choose(nodes, pod("new", "1", priority=1, affinity=against))) == ["loud"]


def test_budgets_are_kept_where_that_is_possible() -> None:
    nodes = table(node("n", "2"))
    run(nodes, "n", pod("kept", "1", labels={"app": "a"}), pod("free", "1", labels={"app": "b"}, priority=1))
    new = pod("new", "1", priority=10)
    assert names(choose(nodes, new)) == ["kept"]
    found = choose(nodes, new, budget(0, {"app": "a"}))
    assert found is not None
    assert (names(found), found.violations) == (["free"], 0)
    assert names(choose(nodes, new, budget(1, {"app": "a"}))) == ["kept"]
    assert names(choose(nodes, new, budget(0, {"app": "a"}, disruptedPods={"kept": "now"}))) == ["kept"]
    both = choose(nodes, pod("new", "2", priority=10), budget(0, {"app": "a"}))
    assert both is not None
    assert both.violations == 1


def test_a_node_whose_pods_go_already_costs_nothing() -> None:
    nodes = table(node("a", "1"), node("b", "1"))
    run(nodes, "a", pod("stays", "1"))
    run(nodes, "b", pod("goes", "1"))
    found = choose(nodes, pod("new", "1", priority=1), going=frozenset({"goes"}))
    assert found is not None
    assert (found.node, found.pods) == ("b", ())


def test_a_place_is_kept_for_whom_it_was_cleared() -> None:
    nodes, nominations = table(node("n", "2")), Nominations()
    waits = pod("waits", "2", priority=5)
    nominations.put(waits, "n")
    placer = Placer(nodes, random.Random(0), None, nominations)
    (small,) = placer.place([pod("small", "1", priority=5)])
    assert (small.node, small.message) == ("", "0/1 nodes are available: 1 Insufficient cpu.")
    (high,) = placer.place([pod("high", "1", priority=6)])
    assert high.node == "n"
    nodes.release("high")
    (itself,) = placer.place([waits])
    assert itself.node == "n"
    assert len(nominations) == 0


def test_a_second_pod_does_not_count_on_the_same_room() -> None:
    nodes, nominations = table(node("n", "2"), node("m", "2")), Nominations()
    run(nodes, "n", pod("x", "2"))
    run(nodes, "m", pod("y", "2"))
    first = choose(nodes, pod("one", "2", priority=5), nominations=nominations)
    assert first is not None
    nominations.put(pod("one", "2", priority=5), first.node)
    gone = frozenset(each.uid for each in first.pods)
    second = choose(nodes, pod("two", "2", priority=5), going=gone, nominations=nominations)
    assert second is not None
    assert {first.node, second.node} == {"n", "m"}


_pods = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3)), max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(_pods, min_size=1, max_size=4), st.integers(1, 6), st.integers(0, 4))
def test_victims_matter_less_and_are_needed(there: list[list[tuple[int, int]]], cpu: int, priority: int) -> None:
    nodes = table(*(node(f"n{index}", "6") for index in range(len(there))))
    for index, pods in enumerate(there):
        for number, (size, rank) in enumerate(pods):
            one = pod(f"p{index}-{number}", str(size), priority=rank)
            if (nodes.requested[index, 1] + size * 1000) <= 6000:
                run(nodes, f"n{index}", one)
    new = pod("new", str(cpu), priority=priority)
    found = choose(nodes, new)
    could = any(
        sum(each.profile.requests["cpu"] for each in row.pods.values() if each.priority >= priority) + cpu * 1000
        <= 6000
        and any(each.priority < priority for each in row.pods.values())
        for row in nodes.rows
    )
    assert (found is not None) == could
    if found is None:
        return
    assert all(each.priority < priority for each in found.pods)
    for each in found.pods:
        nodes.release(each.uid)
    placer = Placer(nodes, random.Random(0))
    index = nodes.by_name[found.node]
    assert placer.fits(new, index)
    for each in found.pods:
        nodes.assign(each, found.node)
        assert not placer.fits(new, index), f"{each.key.name} could have stayed"
        nodes.release(each.uid)


def test_pods_below() -> None:
    """Keeps installations without priorities from looking at every node."""
    nodes = table(node("n", "4"))
    assert where(nodes, pod("a", "1"), pod("b", "1", priority=3)) == ["n", "n"]
    assert nodes.has_pods_below(1)
    assert not nodes.has_pods_below(0)
    nodes.release("a")
    assert not nodes.has_pods_below(3)


def test_one_round_looks_for_room_for_a_few_and_leaves_the_others_for_later() -> None:
    nodes, nominations = table(*(node(f"n{number}", "1") for number in range(MOST + 4))), Nominations()
    for number in range(MOST + 4):
        run(nodes, f"n{number}", pod(f"low{number}", "1"))
    placer = Placer(nodes, random.Random(0), None, nominations)
    preemption = Preemption(cast(ApiClient, None), cast(Informer, ()), nodes, placer, nominations)
    wanting = [pod(f"high{number}", "1", priority=5) for number in range(MOST + 3)]
    first = preemption.plan(placer.place(wanting))
    assert len(first.cleared) == len(preemption.going) == MOST
    assert len({found.node for _, found in first.cleared}) == MOST
    assert len(first.later) == 3
    again = preemption.plan(placer.place(wanting))
    assert {each.uid for each, _ in again.cleared} == first.later
    assert len(preemption.going) == MOST + 3
    for each in preemption.going:
        nodes.release(each)
    assert all(each.node for each in placer.place(wanting))
    assert len(nominations) == 0


def test_a_hopeless_pod_loses_its_place() -> None:
    nodes, nominations = table(node("n", "1")), Nominations()
    run(nodes, "n", pod("equal", "1", priority=5))
    placer = Placer(nodes, random.Random(0), None, nominations)
    preemption = Preemption(cast(ApiClient, None), cast(Informer, ()), nodes, placer, nominations)
    late = pod("late", "1", priority=5)
    nominations.put(late, "n")
    found = preemption.plan(placer.place([late]))
    assert (found.cleared, found.displaced) == ([], [late])
    assert nominations.node_of("late") == ""
