"""The node's own presence: Node, Lease, conditions."""

from __future__ import annotations

import pytest

from moorage.client.errors import NotFound
from moorage.client.resource import EVENTS, LEASES, NODES
from tests.integration.agent.rig import Document, Rig
from tests.support.wait import until

pytestmark = pytest.mark.docker


def ready(node: Document) -> Document:
    """Condition Ready. Raises AssertionError for a Node that was just made and has no status yet."""
    found: list[Document] = [one for one in node.get("status", {}).get("conditions", []) if one["type"] == "Ready"]
    assert found, f"node {node['metadata']['name']} has no condition Ready yet"
    return found[0]


async def lease_of(rig: Rig) -> Document | None:
    """The node's Lease; None where it has none yet."""
    try:
        return await rig.client.get(LEASES, rig.node, "kube-node-lease")
    except NotFound:
        return None


async def test_the_node_is_registered_with_what_it_has(rig: Rig) -> None:
    node = await rig.node_object()
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == rig.node
    assert node["metadata"]["labels"]["kubernetes.io/os"] == "linux"
    status = node["status"]
    assert set(status["capacity"]) == {"cpu", "memory", "pods", "ephemeral-storage"}
    assert status["capacity"]["pods"] == "110"
    assert status["allocatable"] == status["capacity"]
    assert {one["type"]: one["address"] for one in status["addresses"]} == {
        "InternalIP": "127.0.0.1",
        "Hostname": rig.node,
    }
    assert status["nodeInfo"]["operatingSystem"] == "linux"
    assert ready(node)["status"] == "True"

    async def told() -> bool:
        events = (await rig.client.list(EVENTS, "default", fields={"involvedObject.name": rig.node})).items
        assert {"Starting", "NodeHasSufficientMemory", "NodeReady"} <= {one["reason"] for one in events}, events
        return True

    await until(told)
    lease = await until(lambda: lease_of(rig))
    assert lease["spec"]["holderIdentity"] == rig.node
    assert lease["spec"]["leaseDurationSeconds"] == 40


async def test_the_lease_is_renewed(rig: Rig) -> None:
    await rig.stop()
    await rig.start(lease_interval=0.1)
    first = await until(lambda: lease_of(rig))

    async def renewed() -> bool:
        found = await rig.client.get(LEASES, rig.node, "kube-node-lease")
        return bool(found["spec"]["renewTime"] > first["spec"]["renewTime"])

    await until(renewed)


async def test_a_restart_keeps_what_others_wrote(rig: Rig) -> None:
    taint = {"key": "busy", "effect": "NoSchedule"}
    change = {"metadata": {"labels": {"mine": "kept"}}, "spec": {"taints": [taint]}}
    await rig.client.patch(NODES, rig.node, change)
    before = await rig.node_object()
    await rig.stop()
    await rig.start(labels={"tier": "one"}, capacity={"pods": "7"})
    after = await rig.node_object()
    assert after["metadata"]["labels"]["mine"] == "kept"
    assert after["metadata"]["labels"]["tier"] == "one"
    assert after["spec"]["taints"] == [taint]
    assert after["status"]["capacity"]["pods"] == "7"
    assert ready(after)["lastTransitionTime"] == ready(before)["lastTransitionTime"]


async def test_a_deleted_node_comes_back(rig: Rig) -> None:
    await rig.stop()
    await rig.start(health_interval=0.1, status_interval=0.1)
    before = await rig.node_object()
    await rig.client.delete(NODES, rig.node)

    async def back() -> bool:
        found = await rig.node_object()
        return bool(found["metadata"]["uid"] != before["metadata"]["uid"] and ready(found)["status"] == "True")

    await until(lambda: _or_none(back))


async def _or_none(check: object) -> object:
    try:
        return await check()  # type: ignore[operator]  # an async function without arguments
    except NotFound:
        return None


async def test_an_engine_that_does_not_answer_makes_the_node_unready(rig: Rig) -> None:
    await rig.stop()
    await rig.client.delete(NODES, rig.node)
    stopped = rig.options(docker="unix:///nowhere/docker.sock", health_interval=0.1)
    import asyncio

    from moorage_agent.agent import Agent

    task = asyncio.create_task(Agent(stopped).run())

    async def unready() -> bool:
        found = ready(await rig.node_object())
        return bool(
            (found["status"], found["reason"]) == ("False", "KubeletNotReady")
            and "container runtime is down: container engine at /nowhere/docker.sock" in found["message"]
        )

    await until(lambda: _or_none(unready))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
