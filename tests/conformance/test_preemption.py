"""More important pods make less important ones go, on a real node with a resource of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.workloads import container, pod, replicaset
from tests.support.rest import Document, Rest
from tests.support.wait import NotYet, until

pytestmark = pytest.mark.docker

PRIORITIES = "/apis/scheduling.k8s.io/v1/priorityclasses"
SEATS = "example.com/seats"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def node(api: Rest) -> Iterator[str]:
    """A node with five seats."""
    name = api.names("/api/v1/nodes")[0]
    path = f"/api/v1/nodes/{name}/status"
    api.patch(path, {"status": {"capacity": {SEATS: "5"}, "allocatable": {SEATS: "5"}}})
    yield name
    api.patch(path, {"status": {"capacity": {SEATS: None}, "allocatable": {SEATS: None}}})


@pytest.fixture
def classes(api: Rest) -> Iterator[list[str]]:
    """Three priority classes, the least important first."""
    names = [f"p{rank}-{next(_numbers)}" for rank in (1, 2, 3)]
    for value, name in enumerate(names, 1):
        api.create(PRIORITIES, {"metadata": {"name": name}, "value": value})
    yield names
    for name in names:
        api.delete(f"{PRIORITIES}/{name}")


def seated(image: str, seats: int, **spec: Any) -> Document:
    """A pod's spec that takes seats."""
    resources = {"requests": {SEATS: str(seats)}, "limits": {SEATS: str(seats)}}
    return {"terminationGracePeriodSeconds": 1, "containers": [container(image, resources=resources)], **spec}


async def is_placed(api: Rest, path: str) -> Document:
    """Wait until a pod has a node."""

    def look() -> Document:
        found = api.get(path)
        if not found["spec"].get("nodeName"):
            raise NotYet(str(found.get("status")))
        return found

    return await until(look, timeout=60)


@pytest.mark.parametrize("critical", [False, True])
async def test_a_less_important_pod_goes(
    api: Rest, namespace: str, node: str, classes: list[str], image: str, critical: bool
) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    for name, seats, rank in (("low", 2, 0), ("medium", 3, 1)):
        api.create(pods, pod(name, **seated(image, seats, priorityClassName=classes[rank])))
        await is_placed(api, f"{pods}/{name}")
    chosen = "system-cluster-critical" if critical else classes[2]
    api.create(pods, pod("important", **seated(image, 2, priorityClassName=chosen)))
    important = await is_placed(api, f"{pods}/important")
    assert important["spec"]["nodeName"] == node
    assert api.missing(f"{pods}/low")
    assert "deletionTimestamp" not in api.get(f"{pods}/medium")["metadata"]
    reasons = {
        each["reason"]
        for each in api.get(f"/api/v1/namespaces/{namespace}/events", fieldSelector="involvedObject.name=low")["items"]
    }
    assert "Preempted" in reasons


async def test_replicas_make_room_for_more_important_ones(
    api: Rest, namespace: str, node: str, classes: list[str], image: str
) -> None:
    """The least important go; their set makes others, which wait for the seats."""
    sets, pods = f"/apis/apps/v1/namespaces/{namespace}/replicasets", f"/api/v1/namespaces/{namespace}/pods"

    def places(name: str) -> tuple[int, int]:
        """How many pods have a node, and how many have none."""
        found = api.get(pods, labelSelector=f"app={name}")["items"]
        there = [bool(each["spec"].get("nodeName")) for each in found if "deletionTimestamp" not in each["metadata"]]
        return there.count(True), there.count(False)

    async def settle(**wanted: tuple[int, int]) -> None:
        def look() -> bool:
            found = {name: places(name) for name in wanted}
            if found != wanted:
                raise NotYet(f"{found} on {node}")
            return True

        await until(look, timeout=60)

    api.create(sets, replicaset("one", seated(image, 1, priorityClassName=classes[0]), 3))
    api.create(sets, replicaset("two", seated(image, 1, priorityClassName=classes[1]), 2))
    await settle(one=(3, 0), two=(2, 0))
    api.create(sets, replicaset("three", seated(image, 2, priorityClassName=classes[2]), 1))
    await settle(three=(1, 0), two=(2, 0), one=(1, 2))
    for name in ("one", "two", "three"):
        api.delete(f"{sets}/{name}")
