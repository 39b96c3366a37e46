"""What a node takes on of what was bound to it: the kubelet's predicates, their reasons and sentences."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from moorage.client.api import ApiClient
from moorage_agent.pods.door import Door
from moorage_agent.pods.fitting import Other, Own, misfit, victims
from moorage_agent.pods.worker import PodWorker
from tests.support.wait import until
from tests.unit.agent.documents import container, pod
from tests.unit.agent.rig import Rig

OWN = Own("n1", {"disk": "ssd"}, (), {"cpu": 2000, "memory": 2**30, "pods": 3, "ephemeral-storage": 2**30})


def asking(name: str = "web", port: Any = None, **requests: str) -> dict[str, Any]:
    more: dict[str, Any] = {"ports": [port]} if port else {}
    return pod(container(resources={"requests": requests}, **more), name=name)


def told(one: dict[str, Any], *others: dict[str, Any], own: Own = OWN, static: bool = False) -> tuple[str, str] | None:
    found = misfit(one, own, others, static=static)
    return None if found is None else (found.reason, found.message)


def test_room() -> None:
    assert told(asking(cpu="2", memory="1Gi")) is None
    assert told(asking(cpu="500m"), asking(cpu="1600m")) == (
        "OutOfcpu",
        "Node didn't have enough resource: cpu, requested: 500, used: 1600, capacity: 2000",
    )
    assert told(asking(memory="1Gi"), asking(memory="1")) == (
        "OutOfmemory",
        "Node didn't have enough resource: memory, requested: 1073741824, used: 1, capacity: 1073741824",
    )
    assert told(asking(**{"ephemeral-storage": "2Gi"})) == (
        "OutOfephemeral-storage",
        "Node didn't have enough resource: ephemeral-storage, requested: 2147483648, used: 0, capacity: 1073741824",
    )
    others = [asking(f"p{number}") for number in range(3)]
    words = "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"
    assert told(asking(), *others) == ("OutOfpods", words)
    assert told(asking(**{"example.com/gpu": "9"})) is None, "what the node has nothing of is not its business"
    assert told(asking(), asking(cpu="9")) is None, "who asks for nothing has room"
    big = {"requests": {"cpu": "3"}}
    assert told(pod(container(), initContainers=[container("i", resources=big)])) is not None
    assert told(pod(container(resources={"requests": {"cpu": "1"}}), overhead={"cpu": "1500m"})) is not None


def test_places() -> None:
    affine = ("NodeAffinity", "Predicate NodeAffinity failed")
    assert told(pod(nodeSelector={"disk": "ssd"})) is None
    assert told(pod(nodeSelector={"disk": "tape"})) == affine
    term = {"matchExpressions": [{"key": "disk", "operator": "NotIn", "values": ["ssd"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    assert told(pod(affinity={"nodeAffinity": required})) == affine
    tainted = OWN._replace(
        taints=[{"key": "gone", "value": "x", "effect": "NoExecute"}, {"key": "k", "effect": "NoSchedule"}]
    )
    assert told(pod(), own=tainted) == ("TaintToleration", "Predicate TaintToleration failed")
    enough: tuple[dict[str, str], ...] = (
        {"operator": "Exists"},
        {"key": "gone", "operator": "Exists", "effect": "NoExecute"},
        {"key": "gone", "value": "x"},
    )
    for toleration in enough:
        assert told(pod(tolerations=[toleration]), own=tainted) is None
    not_enough: tuple[dict[str, str], ...] = (
        {"key": "gone", "value": "y"},
        {"key": "gone", "operator": "Exists", "effect": "NoSchedule"},
    )
    for toleration in not_enough:
        assert told(pod(tolerations=[toleration]), own=tainted) is not None
    assert told(pod(), own=tainted, static=True) is None


@pytest.mark.parametrize(
    ("mine", "theirs", "clash"),
    [
        ({"hostPort": 80}, {"hostPort": 80}, True),
        ({"hostPort": 80}, {"hostPort": 81}, False),
        ({"hostPort": 80, "protocol": "UDP"}, {"hostPort": 80, "protocol": "TCP"}, False),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80, "hostIP": "10.0.0.2"}, False),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80, "hostIP": "0.0.0.0"}, True),
        ({"containerPort": 80}, {"containerPort": 80}, False),
    ],
)
def test_ports(mine: dict[str, Any], theirs: dict[str, Any], clash: bool) -> None:
    expected = ("NodePorts", "Predicate NodePorts failed") if clash else None
    assert told(asking(port=mine), asking(port=theirs)) == expected


def other(name: str, priority: int = 0, quality: str = "Burstable", critical: bool = False, **requests: str) -> Other:
    document = asking(name, **requests)
    document["spec"]["priority"] = priority
    document["status"] = {"qosClass": quality}
    return Other(name, document, critical)


def test_whom_a_critical_pod_ends() -> None:
    others = [
        other("important", 9, cpu="2"),
        other("guaranteed", quality="Guaranteed", cpu="1"),
        other("burstable", cpu="1"),
        other("idle", quality="BestEffort"),
        other("system", critical=True, cpu="2"),
    ]
    assert victims({"cpu": 500}, others) == ["burstable"]
    assert victims({"cpu": 1500}, others) == ["burstable", "guaranteed"]
    assert victims({"pods": 1}, others) == ["idle"]
    assert victims({"cpu": 4500}, others) == [], "not even all together would be enough"


class Node:
    """An API that has one Node."""

    def __init__(self) -> None:
        self.labels: dict[str, str] = {}
        self.taints: list[dict[str, str]] = []
        self.reads = 0

    async def get(self, *_: Any, **__: Any) -> dict[str, Any]:
        self.reads += 1
        return {"metadata": {"labels": self.labels}, "spec": {"taints": self.taints}, "status": {}}


@pytest.fixture
def node() -> Node:
    return Node()


async def test_pods_are_let_in_one_after_the_other(tmp_path: Path, node: Node) -> None:
    rig = Rig(tmp_path)
    workers: list[PodWorker] = []
    door = Door(cast(ApiClient, node), OWN, lambda: workers)
    rig.node.admit = door.judge
    rig.write_status()

    def start(name: str, **requests: str) -> PodWorker:
        workers.append(rig.start(asking(name, **requests)))
        return workers[-1]

    first, second = start("first", cpu="1500m"), start("second", cpu="1500m")
    await until(lambda: first.running() or None)
    await until(lambda: rig.client.statuses["second"]["phase"] == "Failed" if "second" in rig.client.statuses else None)
    status = rig.client.statuses["second"]
    assert status["reason"] == "OutOfcpu"
    words = "Node didn't have enough resource: cpu, requested: 1500, used: 1500, capacity: 2000"
    assert status["message"] == f"Pod was rejected: {words}"
    assert second.history.ids() == set(), "nothing of it was ever made"
    assert any(reason == "OutOfcpu" for reason, _ in rig.recorder.events)

    restarted = PodWorker(rig.node, {**asking("old", cpu="1500m"), "status": {"startTime": "2026-01-01T00:00:00Z"}})
    assert restarted.admitted, "what an agent before this one let in stays"

    system = asking("system", cpu="1500m")
    system["spec"]["priority"] = 2_000_001_000
    workers.append(rig.start(system))
    await until(lambda: rig.client.statuses.get("first", {}).get("reason") == "Preempting" or None)
    assert rig.client.statuses["first"]["message"] == "Preempted in order to admit critical pod"
    await until(lambda: workers[-1].running() or None)
    await rig.close()


async def test_labels_are_asked_for_before_a_pod_is_refused(tmp_path: Path, node: Node) -> None:
    rig = Rig(tmp_path)
    workers: list[PodWorker] = []
    door = Door(cast(ApiClient, node), OWN, lambda: workers)
    rig.node.admit = door.judge
    rig.write_status()
    following = asyncio.create_task(door.run())
    node.labels = {"new": "label"}
    workers.append(rig.start(pod(nodeSelector={"new": "label"}, name="late")))
    await until(lambda: workers[0].running() or None)
    workers.append(rig.start(pod(nodeSelector={"other": "label"}, name="wrong")))
    await until(lambda: rig.client.statuses.get("wrong", {}).get("reason") == "NodeAffinity" or None)
    assert node.reads == 2
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await rig.close()
