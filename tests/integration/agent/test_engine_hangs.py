"""An engine that hangs (its process is stopped): the node says so, everything that needs no engine goes on, and so do the pods
when it answers again.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.client.errors import NotFound
from moorage.client.resource import LEASES, PODS
from moorage_agent.engine.docker import DockerEngine
from moorage_agent.engine.groups import name_of
from moorage_agent.node.usage import Meter
from tests.chaos.own_engine import OwnEngine, own_engine
from tests.integration.agent.rig import NAMESPACE, Document, Rig
from tests.support.apiserver import RunningApi
from tests.support.docker import Owned, docker, ensure_images
from tests.support.wait import until

missing = [program for program in ("dockerd", "containerd") if shutil.which(program) is None]
pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(bool(missing), reason=f"there is no {' and no '.join(missing)} to start"),
]


class HostNetworkRig(Rig):
    """Pods in the machine's network: an engine of a test's own makes none."""

    def pod(self, name: str, spec: Document | None = None, **container: object) -> Document:
        """A pod's document."""
        made = super().pod(name, spec, **container)
        made["spec"]["hostNetwork"] = True
        return made


@pytest.fixture
async def engine() -> AsyncIterator[OwnEngine]:
    async with own_engine() as started:
        client = DockerEngine(started.address)
        try:
            await ensure_images(client)
        finally:
            await client.close()
        yield started


@pytest.fixture
async def rig(api: RunningApi, engine: OwnEngine, owned: Owned, tmp_path: Path) -> AsyncIterator[Rig]:
    """A node on that engine."""
    made = HostNetworkRig(api, owned, tmp_path)
    engine.groups.append(name_of(made.cluster, made.node))
    made.usual = {"docker": engine.address, "health_interval": 0.2, "lease_interval": 0.2}
    async with made:
        try:
            yield made
        finally:
            engine.go_on()


async def test_a_hanging_engine_makes_the_node_unready_and_nothing_else_hangs(rig: Rig, engine: OwnEngine) -> None:
    for name in ("stays", "goes"):
        script = "echo here; trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
        await rig.run(
            name,
            script=script,
            livenessProbe={"exec": {"command": ["true"]}, "periodSeconds": 1, "failureThreshold": 1},
        )
    before = await rig.running("stays")
    leaving = await rig.running("goes")
    engine.hang()
    await rig.client.delete(PODS, "goes", NAMESPACE)
    await rig.run("comes")
    await until(lambda: _ready_is(rig, "False", "KubeletNotReady", "container runtime is down: container engine at"))

    renewed = (await rig.client.get(LEASES, rig.node, "kube-node-lease"))["spec"]["renewTime"]

    async def lives() -> bool:
        lease = await rig.client.get(LEASES, rig.node, "kube-node-lease")
        return bool(lease["spec"]["renewTime"] > renewed)

    await until(lives)
    assert rig.agent is not None
    pods = rig.agent.pods
    assert pods is not None
    report = await Meter(rig.agent.engine, lambda: pods, deadline=0.5).report()
    assert report["node"]["memory"] > 0
    assert report["pods"] == []
    assert await rig.logs(before) == "here\n"
    assert (await rig.logs(before, tailLines=1, timestamps=True)).endswith("Z here\n")
    assert (await rig.get("comes"))["status"]["phase"] == "Pending"
    assert (await rig.get("goes"))["metadata"]["deletionTimestamp"]

    engine.go_on()
    await until(lambda: _ready_is(rig, "True", "KubeletReady", ""))
    await rig.running("comes")

    async def gone() -> bool:
        try:
            await rig.get("goes")
        except NotFound:
            return True
        return False

    await until(gone)
    label = f"label=moorage.io/pod-uid={leaving['metadata']['uid']}"
    assert docker("--host", engine.address, "ps", "-aq", "--filter", label) == ""
    after = await rig.running("stays")
    assert _identity(after) == _identity(before)


def _identity(pod: Document) -> tuple[str, int]:
    (entry,) = pod["status"]["containerStatuses"]
    return entry["containerID"], entry["restartCount"]


async def _ready_is(rig: Rig, status: str, reason: str, text: str) -> bool:
    node = await rig.node_object()
    found = next(one for one in node["status"]["conditions"] if one["type"] == "Ready")
    assert (found["status"], found["reason"]) == (status, reason), found
    assert text in found["message"], found
    return True
