"""How many pods a budget lets go."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.controllers.disruption import plan

NOW = 1_767_225_600.0
NOTED = "2025-12-31T23:59:30Z"


def pod(name: str, *, owner: str = "", ready: bool = True, deleting: bool = False) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "a", "uid": name, "labels": {"app": "web"}}
    if owner:
        metadata["ownerReferences"] = [{"kind": "ReplicaSet", "name": owner, "uid": owner, "controller": True}]
    if deleting:
        metadata["deletionTimestamp"] = NOTED
    return {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}}


def budget(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "b", "namespace": "a", "uid": "b", "generation": 3}
    return {"metadata": metadata, "spec": {"selector": {}, **spec}, "status": status or {}}


def scale(**replicas: int) -> plan.Scale:
    def of(reference: dict[str, Any]) -> plan.Owner | None:
        name = reference["name"]
        return plan.Owner(name, replicas[name]) if name in replicas else None

    return of


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, (3, 0)),
        ({"minAvailable": 2}, (3, 2)),
        ({"minAvailable": "50%"}, (10, 5)),
        ({"minAvailable": "33%"}, (10, 4)),
        ({"maxUnavailable": 1}, (10, 9)),
        ({"maxUnavailable": "25%"}, (10, 7)),
        ({"maxUnavailable": 20}, (10, 0)),
    ],
)
def test_what_is_expected(spec: dict[str, Any], wanted: tuple[int, int]) -> None:
    pods = [pod("x", owner="one"), pod("y", owner="one"), pod("z", owner="two")]
    assert plan.expected(spec, pods, scale(one=4, two=6)) == wanted


def test_an_owner_counts_once_whatever_it_is_known_by() -> None:
    """Both ReplicaSets of a rollout belong to one Deployment."""
    pods = [pod("x", owner="old"), pod("y", owner="new"), pod("alone")]
    assert plan.expected({"maxUnavailable": 1}, pods, lambda _reference: plan.Owner("deployment", 5)) == (5, 4)


def test_an_owner_that_nobody_knows() -> None:
    with pytest.raises(plan.NoScale, match="found no scale for ReplicaSet x, the controller of pod p"):
        plan.expected({"maxUnavailable": 1}, [pod("p", owner="x")], scale())
    told = plan.failed(budget({"disruptionsAllowed": 4, "currentHealthy": 5}), "no scale", NOW)
    assert (told["disruptionsAllowed"], told["currentHealthy"], told["expectedPods"]) == (0, 5, 0)
    assert told["conditions"][0]["reason"] == "SyncFailed"


def test_what_counts_as_healthy() -> None:
    pods = [pod("a"), pod("b"), pod("c", ready=False), pod("d", deleting=True), pod("e")]
    known = plan.granted({"disruptedPods": {"b": NOTED, "d": NOTED, "gone": NOTED}}, pods, NOW)
    assert known.waiting == {"b": NOTED}
    assert known.again == 90.0
    told = plan.status(budget(minAvailable=1), pods, plan.Expected(5, 1), known, NOW)
    assert (told["currentHealthy"], told["disruptionsAllowed"]) == (2, 1)
    assert told["disruptedPods"] == {"b": NOTED}
    assert told["observedGeneration"] == 3


def test_an_eviction_that_never_came_is_forgotten() -> None:
    pods = [pod("a")]
    known = plan.granted({"disruptedPods": {"a": NOTED}}, pods, NOW + 90)
    assert (known.waiting, [each["metadata"]["name"] for each in known.late]) == ({}, ["a"])
    assert plan.status(budget(), pods, plan.Expected(1, 0), known, NOW)["disruptionsAllowed"] == 1


def test_the_condition_keeps_its_time_while_nothing_changes() -> None:
    pods, want = [pod("a")], plan.Expected(1, 1)
    first = plan.status(budget(), pods, want, plan.Granted(), NOW)
    again = plan.status(budget(first), pods, want, plan.Granted(), NOW + 60)
    assert again == first
    assert (first["conditions"][0]["status"], first["conditions"][0]["reason"]) == ("False", "InsufficientPods")
    more = plan.status(budget(first), [*pods, pod("b")], plan.Expected(2, 1), plan.Granted(), NOW + 60)
    assert more["conditions"][0]["reason"] == "SufficientPods"
    assert more["conditions"][0]["lastTransitionTime"] != first["conditions"][0]["lastTransitionTime"]


def test_no_pods_no_disruptions() -> None:
    assert plan.chosen({"spec": {}}, [pod("a")]) == []
    assert plan.chosen(budget(), [pod("a")]) == [pod("a")]
    assert plan.status(budget(), [], plan.Expected(0, 0), plan.Granted(), NOW)["disruptionsAllowed"] == 0
