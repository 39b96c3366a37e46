"""Pods that a real node ends: for want of memory in the order of their quality, and for filling the disk."""

from __future__ import annotations

import pytest

from moorage_agent.node import machine
from moorage_agent.node.machine import Level
from tests.integration.agent.rig import Rig, is_ready
from tests.support.wait import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


async def test_a_pod_that_fills_its_volume_is_ended(rig: Rig) -> None:
    await rig.stop()
    await rig.start(health_interval=0.5)
    mount = [{"name": "v", "mountPath": "/v"}]
    script = "head -c 3000000 /dev/zero > /v/large; trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
    spec = {
        "containers": [rig.container(script=script, volumeMounts=mount)],
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}],
    }
    await rig.run("large", spec)
    small = {**spec, "containers": [rig.container(volumeMounts=mount)]}
    await rig.run("small", small)
    pod = await rig.until("large", lambda status: status["phase"] == "Failed", timeout=60)
    assert pod["status"]["reason"] == "Evicted"
    assert pod["status"]["message"] == 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '
    conditions = {one["type"]: one for one in pod["status"]["conditions"]}
    assert conditions["DisruptionTarget"]["reason"] == "TerminationByKubelet"
    await rig.event("large", "Evicted")
    await until(lambda: not rig.containers(pod, running=True), timeout=30)
    await rig.running("small")


async def test_a_container_that_writes_or_logs_too_much_is_ended(rig: Rig) -> None:
    """Its own layer and its log count against its limit, and all of a pod's against the sum of its limits."""
    await rig.stop()
    await rig.start(health_interval=0.5)
    limit = {"limits": {"ephemeral-storage": "2Mi"}}
    wait = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
    await rig.run("layer", script=f"head -c 3000000 /dev/zero > /large; {wait}", resources=limit)
    await rig.run("log", script=f"head -c 3000000 /dev/zero | tr '\\0' x; {wait}", resources=limit)
    await rig.run("modest", script=f"head -c 1000000 /dev/zero > /small; {wait}", resources=limit)
    two = [rig.container(name, f"head -c 1500000 /dev/zero > /v/{name}; {wait}", resources=limit) for name in "ab"]
    two[1]["resources"] = {"limits": {"ephemeral-storage": "512Ki"}}
    mounts = [{"name": "v", "mountPath": "/v"}]
    volumes = [{"name": "v", "emptyDir": {}}]
    await rig.run("both", {"containers": [{**one, "volumeMounts": mounts} for one in two], "volumes": volumes})
    single = "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. "
    for name, message in (
        ("layer", single),
        ("log", single),
        ("both", "Pod ephemeral local storage usage exceeds the total limit of containers 2560Ki. "),
    ):
        pod = await rig.until(name, lambda status: status["phase"] == "Failed", timeout=60)
        assert (pod["status"]["reason"], pod["status"]["message"]) == ("Evicted", message)
    await rig.running("modest")
    own = [rig.container("big", f"head -c 1500000 /dev/zero > /large; {wait}"), rig.container("roomy", resources=limit)]
    own[0]["resources"] = {"limits": {"ephemeral-storage": "1Mi"}}
    await rig.run("own", {"containers": own})
    pod = await rig.until("own", lambda status: status["phase"] == "Failed", timeout=60)
    assert pod["status"]["message"] == 'Container big exceeded its local ephemeral storage limit "1Mi". '


async def test_memory_pressure_ends_the_least_promised_pod(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    resources = {"requests": {"memory": "64Mi", "cpu": "10m"}, "limits": {"memory": "64Mi", "cpu": "100m"}}
    await rig.run("promised", resources=resources)
    await rig.run("unpromised")
    await rig.running("promised")
    await rig.running("unpromised")
    await rig.stop()
    usual = machine.levels
    scarce = {"memory.available": Level(50 * 2**20, 2**30)}
    monkeypatch.setattr(machine, "levels", lambda *_: scarce)
    await rig.start(health_interval=3.0)
    pod = await rig.until("unpromised", lambda status: status["phase"] == "Failed", timeout=60)
    monkeypatch.setattr(machine, "levels", usual)
    assert pod["status"]["reason"] == "Evicted"
    assert pod["status"]["message"].startswith(
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container c was using "
    )
    assert is_ready((await rig.get("promised"))["status"])
    conditions = {one["type"]: one["status"] for one in (await rig.node_object())["status"]["conditions"]}
    assert conditions["MemoryPressure"] == "True"
