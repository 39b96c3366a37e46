"""ReplicaSets: which pods go first, how many come, what the status says; and a whole controller in virtual time."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.client.errors import Forbidden
from moorage.client.informer import Informers
from moorage.client.objects import Document, timestamp
from moorage.client.resource import PODS, REPLICA_SETS
from moorage.controllers.context import Context
from moorage.controllers.replicaset.controller import ReplicaSetController
from moorage.controllers.replicaset.plan import BURST, Failure, plan, pod_from, slow_start, status
from moorage.controllers.replicaset.ranking import DELETION_COST, to_delete
from tests.support import virtual
from tests.unit.controllers.world import World

NOW = 1_790_000_000.0


def _pod(
    name: str, *, ready: float | None = None, node: str = "n1", phase: str = "Running", **metadata: Any
) -> Document:
    """``ready``: for how many seconds."""
    status: Document = {"phase": phase}
    if ready is not None:
        status["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": timestamp(NOW - ready)}]
    full = {"name": name, "namespace": "team", "uid": name, "labels": {"app": "web"}, **metadata}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": full, "spec": {"nodeName": node}, "status": status}


def _set(replicas: int, **spec: Any) -> Document:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "team", "uid": "rs1", "generation": 3},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (_pod("b", ready=10, node="n1"), _pod("a", node="")),
        (_pod("b", phase="Running"), _pod("a", phase="Pending")),
        (_pod("b", ready=10), _pod("a")),
        (
            _pod("b", ready=10, annotations={DELETION_COST: "5"}),
            _pod("a", ready=1000, annotations={DELETION_COST: "-1"}),
        ),
        (_pod("b", ready=100), _pod("a", ready=10)),
        (
            _pod("b", ready=10, creationTimestamp=timestamp(NOW - 9000)),
            _pod("a", ready=10, creationTimestamp=timestamp(NOW - 9)),
        ),
    ],
)
def test_the_worse_pod_goes_first(better: Document, worse: Document) -> None:
    assert to_delete([better, worse], 1, [], NOW) == [worse]
    assert to_delete([worse, better], 1, [], NOW) == [worse]


def test_crowded_nodes_lose_pods_first() -> None:
    pods = [_pod("a", ready=10, node="lonely"), _pod("b", ready=10, node="crowded")]
    others = [_pod(f"o{number}", ready=10, node="crowded") for number in range(3)]
    assert to_delete(pods, 1, pods + others, NOW) == [pods[1]]


@given(st.integers(0, 700), st.integers(0, 700))
def test_a_plan_makes_or_deletes_exactly_what_differs(wanted: int, there: int) -> None:
    pods = [_pod(f"p{number}") for number in range(there)]
    found = plan(_set(wanted), pods, pods, NOW)
    assert found.create == min(max(wanted - there, 0), BURST)
    assert len(found.delete) == min(max(there - wanted, 0), BURST)


def test_a_replica_set_that_is_being_deleted_changes_nothing() -> None:
    document = _set(3)
    document["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    found = plan(document, [], [], NOW)
    assert (found.create, found.delete) == (0, ())


@given(st.integers(0, 2000))
def test_slow_start_adds_up(total: int) -> None:
    sizes = list(slow_start(total))
    assert sum(sizes) == total
    assert all(after <= 2 * before for before, after in itertools.pairwise(sizes))


def test_a_pod_carries_what_the_template_says_and_its_owner() -> None:
    document = _set(1)
    document["spec"]["template"]["metadata"]["annotations"] = {"a": "b"}
    pod = pod_from(document)
    assert pod["metadata"]["generateName"] == "web-"
    assert pod["metadata"]["labels"] == {"app": "web"}
    assert pod["metadata"]["annotations"] == {"a": "b"}
    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == ("rs1", True, True)


def test_status_counts_and_min_ready_seconds_set_the_next_look() -> None:
    pods = [_pod("a", ready=100), _pod("b", ready=4), _pod("c"), _pod("d", phase="Failed")]
    pods[2]["metadata"]["labels"] = {"app": "other"}
    pods.append(_pod("e", deletionTimestamp="2026-01-01T00:00:00Z"))
    found, again = status(_set(3, minReadySeconds=10), pods, None, NOW)
    assert found == {
        "replicas": 3,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "terminatingReplicas": 1,
        "observedGeneration": 3,
    }
    assert again == pytest.approx(6)


def test_a_failure_stands_until_it_is_over() -> None:
    document = _set(3)
    document["status"], _ = status(document, [], Failure("FailedCreate", "quota"), NOW)
    (entry,) = document["status"]["conditions"]
    assert (entry["type"], entry["status"], entry["message"]) == ("ReplicaFailure", "True", "quota")
    again, _ = status(document, [], Failure("FailedCreate", "quota, still"), NOW + 60)
    assert again["conditions"] == [entry]
    after, _ = status(document, [], None, NOW + 60)
    assert "conditions" not in after


async def _controlling(world: World, seconds: float) -> ReplicaSetController:
    informers = Informers(world.client)
    controller = ReplicaSetController(Context(world.client, informers, clock=lambda: NOW))
    running = [asyncio.ensure_future(informers.run()), asyncio.ensure_future(controller.run())]
    await asyncio.sleep(seconds)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    return controller


@pytest.mark.parametrize("seed", range(8))
def test_a_watch_that_lags_does_not_make_a_pod_too_many(seed: int) -> None:
    async def main() -> tuple[int, int]:
        world = World(seed, lag=5.0)
        world.put(REPLICA_SETS, _set(13))
        await _controlling(world, 300)
        created = sum(each["verb"] == "create" and each["object"]["kind"] == "Pod" for each in world.operations)
        return len(world.all(PODS)), created

    assert virtual.run(main()) == (13, 13)


def test_orphans_are_adopted_and_strangers_released() -> None:
    async def main() -> dict[str, list[Document]]:
        world = World()
        world.put(REPLICA_SETS, _set(2))
        world.put(PODS, _pod("orphan", ready=5))
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "rs1", "controller": True}
        world.put(PODS, _pod("stranger", labels={"app": "no"}, ownerReferences=[owner]))
        await _controlling(world, 60)
        return {
            operation["name"]: operation["patch"]["metadata"]["ownerReferences"]
            for operation in world.operations
            if operation["verb"] == "patch" and operation["kind"] == "Pod"
        }

    patches = virtual.run(main())
    assert patches["stranger"] == [{"$patch": "delete", "uid": "rs1"}]
    assert [reference["uid"] for reference in patches["orphan"]] == ["rs1"]


def test_a_template_that_is_refused_costs_one_request_at_a_time_and_is_told() -> None:
    class Quota(World):
        def put(self, resource: Any, document: Document) -> Document:
            if resource == PODS:
                raise Forbidden(403, {"message": "exceeded quota"})
            return super().put(resource, document)

    async def main() -> tuple[Document, int]:
        world = Quota()
        world.put(REPLICA_SETS, _set(50))
        await _controlling(world, 10)
        tries = sum(each["verb"] == "create" and each["object"]["kind"] == "Pod" for each in world.operations)
        found = world.find(REPLICA_SETS, "web", "team")
        assert found is not None
        return found, tries

    found, tries = virtual.run(main())
    (entry,) = found["status"]["conditions"]
    assert (entry["reason"], entry["message"]) == ("FailedCreate", "exceeded quota")
    assert 2 < tries < 15
