"""A full disk and a full table of processes: the node says so, ends who fills it, takes nobody on meanwhile, and is well again
by itself.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from moorage.client.objects import condition
from moorage_agent.engine.docker import DockerEngine
from moorage_agent.engine.groups import ROOT, name_of
from tests.integration.agent.process import AgentProcess
from tests.integration.agent.rig import Document, Rig
from tests.integration.controllers.cluster import FAST, running_cluster
from tests.support.apiserver import RunningApi
from tests.support.docker import Owned
from tests.support.wait import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

PIDS = ROOT / "pids" if (ROOT / "pids").is_dir() else ROOT
"""Where control groups limit processes."""
CRITICAL = {"priorityClassName": "system-node-critical", "priority": 2_000_001_000}
"""Taken on also by a node that runs short."""


@asynccontextmanager
async def _node(api: RunningApi, owned: Owned, folder: Path, **options: object) -> AsyncIterator[Rig]:
    """A node that looks often, and controllers that taint it."""
    rig = Rig(api, owned, folder)
    rig.usual = {"health_interval": 0.3, "lease_interval": 0.5, "pressure_transition": 1.0, **options}
    async with running_cluster(api, nodes=0, options=FAST), rig:
        yield rig


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB."""
    point = tmp_path / "small"
    point.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", point], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.decode()}")
    yield point
    subprocess.run(["umount", "--recursive", "--lazy", point], capture_output=True, check=False)


async def test_a_full_disk(api: RunningApi, docker_engine: DockerEngine, owned: Owned, disk: Path) -> None:
    async with _node(api, owned, disk) as rig:
        await _fill_disk(rig)
        await _fill_disk_from_outside(rig, disk / "foreign")


async def _fill_disk(rig: Rig) -> None:
    await rig.run("small", _with_volume(rig, ""))
    small = await rig.running("small")
    await rig.run("large", _with_volume(rig, "cat /dev/zero > /v/large;"))
    await _condition(rig, "DiskPressure", "True", "KubeletHasDiskPressure", "kubelet has disk pressure")
    await _taint(rig, "node.kubernetes.io/disk-pressure", there=True)
    large = await rig.until("large", lambda status: status["phase"] == "Failed")
    assert large["status"]["reason"] == "Evicted"
    words = "The node was low on resource: ephemeral-storage. Threshold quantity: "
    assert large["status"]["message"].startswith(words)
    await rig.event("large", "Evicted", words)
    await _condition(rig, "DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure")
    await _taint(rig, "node.kubernetes.io/disk-pressure", there=False)
    assert _identity(await rig.running("small")) == _identity(small)


async def _fill_disk_from_outside(rig: Rig, foreign: Path) -> None:
    """Nothing that the node could end gives room: what it cannot start says why, and starts when there is room again."""
    await rig.delete("small", grace=0)
    with pytest.raises(OSError, match="No space left"):
        _fill(foreign)
    await _condition(rig, "DiskPressure", "True", "KubeletHasDiskPressure", "kubelet has disk pressure")
    await rig.run("late")
    await _refused(rig, "late", "DiskPressure")
    with pytest.raises(OSError, match="No space left"):
        _fill(foreign)  # what was freed meanwhile, too
    await rig.run("needed", {**_with_volume(rig, ""), **CRITICAL})
    await rig.event("needed", "Failed", "Error: No space left on device")
    assert (await rig.get("needed"))["status"]["phase"] == "Pending"
    os.unlink(foreign)
    await rig.running("needed")
    await _condition(rig, "DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure")
    await rig.run("after")
    await rig.running("after")


async def test_a_full_table_of_processes(
    api: RunningApi, docker_engine: DockerEngine, owned: Owned, tmp_path: Path
) -> None:
    async with _node(api, owned, tmp_path, eviction_hard={"pid.available": "20%"}) as rig:
        group = PIDS / name_of(rig.cluster, rig.node)
        await rig.run("calm")
        calm = await rig.running("calm")
        (group / "pids.max").write_text("60")
        await rig.run("forks", script="for i in $(seq 50); do sleep 600 & done; wait")
        await _condition(
            rig, "PIDPressure", "True", "KubeletHasInsufficientPID", "kubelet has insufficient PID available"
        )
        await _taint(rig, "node.kubernetes.io/pid-pressure", there=True)
        await rig.run("late")
        await _refused(rig, "late", "PIDPressure")
        forks = await rig.until("forks", lambda status: status["phase"] == "Failed")
        assert forks["status"]["reason"] == "Evicted"
        words = "The node was low on resource: pids. Threshold quantity: 12, available: "
        assert forks["status"]["message"].startswith(words)
        await _condition(rig, "PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available")
        await _taint(rig, "node.kubernetes.io/pid-pressure", there=False)
        await rig.run("after")
        await rig.running("after")
        assert _identity(await rig.running("calm")) == _identity(calm)

        (group / "pids.max").write_text("1")  # less than there are: not one more can be started
        await rig.run("needed", {"containers": [rig.container()], **CRITICAL})
        await rig.event("needed", "FailedCreatePodSandBox", "Failed to create pod sandbox: ")
        (group / "pids.max").write_text("max")
        await rig.running("needed", timeout=60)


def _fill(file: Path) -> None:
    with file.open("ab", buffering=0) as full:
        while full.write(bytes(2**16)):
            continue


async def test_an_agent_that_may_start_no_thread_goes_on(rig: Rig) -> None:
    await rig.stop()
    process = AgentProcess(rig.options())
    group = PIDS / f"moorage-{rig.cluster}"
    group.mkdir()
    try:
        await process.start()
        (group / "cgroup.procs").write_text(str(process.pid))
        (group / "pids.max").write_text((group / "pids.current").read_text())
        await rig.run("late")
        await _condition(
            rig, "PIDPressure", "True", "KubeletHasInsufficientPID", "kubelet has insufficient PID available"
        )
        await rig.run("needed", {**_with_volume(rig, "echo here;"), **CRITICAL})
        await rig.running("needed")
        await rig.delete("needed")
    finally:
        await process.kill()
        group.rmdir()


def _with_volume(rig: Rig, script: str) -> Document:
    script += "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
    container = rig.container(script=script, volumeMounts=[{"name": "v", "mountPath": "/v"}])
    return {"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]}


def _identity(pod: Document) -> tuple[str, int]:
    (entry,) = pod["status"]["containerStatuses"]
    return entry["containerID"], entry["restartCount"]


async def _refused(rig: Rig, name: str, kind: str) -> None:
    pod = await rig.until(name, lambda status: status["phase"] == "Failed")
    assert pod["status"]["reason"] == "Evicted"
    assert pod["status"]["message"] == f"Pod was rejected: The node had condition: [{kind}]. "
    assert rig.containers(pod) == []


async def _condition(rig: Rig, kind: str, status: str, reason: str, message: str) -> None:
    async def holds() -> bool:
        found = condition(await rig.node_object(), kind) or {}
        assert (found["status"], found["reason"], found["message"]) == (status, reason, message), found
        return True

    await until(holds, timeout=60)


async def _taint(rig: Rig, key: str, *, there: bool) -> None:
    async def holds() -> bool:
        taints = {(one["key"], one["effect"]) for one in (await rig.node_object())["spec"].get("taints") or ()}
        assert ((key, "NoSchedule") in taints) is there, taints
        return True

    await until(holds)
