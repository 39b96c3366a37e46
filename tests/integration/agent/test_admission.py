"""Pods that somebody binds to a node that cannot run them: they fail with the kubelet's reasons, and what runs is left alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.client.resource import NODES
from moorage_agent.engine.docker import DockerEngine
from tests.integration.agent.rig import Document, Rig
from tests.support.apiserver import RunningApi
from tests.support.docker import Owned

pytestmark = pytest.mark.docker


@pytest.fixture
async def small(api: RunningApi, docker_engine: DockerEngine, owned: Owned, tmp_path: Path) -> AsyncIterator[Rig]:
    """A node that has room for one CPU and three pods."""
    rig = Rig(api, owned, tmp_path)
    rig.usual = {"capacity": {"cpu": "1", "memory": "1Gi", "pods": "3"}}
    async with rig:
        yield rig


async def refused(rig: Rig, name: str, reason: str) -> str:
    """Wait until a pod has failed for ``reason``, nothing of it on the engine; its message."""
    found: Document = await rig.until(name, lambda status: status["phase"] == "Failed")
    assert found["status"]["reason"] == reason, found["status"]
    assert rig.containers(found) == []
    assert await rig.event(name, reason)
    return str(found["status"]["message"])


async def test_what_does_not_fit_fails_and_what_runs_stays(small: Rig) -> None:
    rig = small
    half = {"requests": {"cpu": "600m", "memory": "64Mi"}}
    await rig.run("first", resources=half, ports=[{"containerPort": 80, "hostPort": 18463, "hostIP": "127.0.0.1"}])
    first = await rig.running("first")
    before = rig.containers(first)
    await rig.run("cpu", resources=half)
    words = "Node didn't have enough resource: cpu, requested: 600, used: 600, capacity: 1000"
    assert await refused(rig, "cpu", "OutOfcpu") == f"Pod was rejected: {words}"
    await rig.run("memory", resources={"requests": {"memory": "1Gi"}})
    assert "memory, requested: 1073741824, used: 67108864" in await refused(rig, "memory", "OutOfmemory")
    await rig.run("port", ports=[{"containerPort": 81, "hostPort": 18463}])
    assert await refused(rig, "port", "NodePorts") == "Pod was rejected: Predicate NodePorts failed"
    await rig.run("place", {"containers": [rig.container()], "nodeSelector": {"disk": "tape"}})
    assert await refused(rig, "place", "NodeAffinity") == "Pod was rejected: Predicate NodeAffinity failed"
    await rig.client.patch(NODES, rig.node, {"metadata": {"labels": {"disk": "tape"}}})
    await rig.run("placed", {"containers": [rig.container()], "nodeSelector": {"disk": "tape"}})
    await rig.running("placed")
    await rig.run("third")
    await rig.running("third")
    await rig.run("fourth")
    assert "pods, requested: 1, used: 3, capacity: 3" in await refused(rig, "fourth", "OutOfpods")

    await rig.stop()
    await rig.start(capacity={"cpu": "100m", "memory": "1Gi", "pods": "1"})
    again = await rig.running("first")
    assert rig.containers(again) == before, "a node that has become smaller ends nothing that it has let in"
    await rig.running("third")
