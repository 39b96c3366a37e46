"""Pods that are wrong or mean no good: each says so in its status, and its neighbour does not notice."""

from __future__ import annotations

import pytest

from tests.integration.agent.rig import Document, Rig
from tests.support.wait import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

FORKS = "i=0; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done; echo all forked; wait"
LONG = 2_000_000


def _state(status: Document) -> Document:
    found: Document = status["containerStatuses"][0]["state"]
    return found


async def test_bad_pods_say_so_and_leave_their_neighbour_alone(rig: Rig) -> None:
    await rig.stop()
    await rig.start(most_processes=32)
    await rig.run("neighbour")
    before = await rig.running("neighbour")
    never: Document = {"restartPolicy": "Never"}
    metadata = {"httpGet": {"host": "169.254.169.254", "port": 80, "path": "/latest/meta-data"}, "timeoutSeconds": 1}
    unsafe = {"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}
    spec = {
        "forks": {"containers": [rig.container(script=FORKS)], **never},
        "environment": {"containers": [rig.container(env=[{"name": "LARGE", "value": "x" * 200_000}])], **never},
        "talker": {
            "containers": [rig.container(script=f"head -c {LONG} /dev/zero | tr '\\0' x; echo; echo end")],
            **never,
        },
        "metadata": {"containers": [rig.container(readinessProbe={**metadata, "periodSeconds": 1})]},
        "sysctl": {"containers": [rig.container()], "securityContext": unsafe},
        "registry": {"containers": [{**rig.container(), "image": "127.0.0.1:9/none:1", "imagePullPolicy": "Always"}]},
        "folder": {
            "containers": [rig.container(volumeMounts=[{"name": "v", "mountPath": "/v"}])],
            "volumes": [{"name": "v", "hostPath": {"path": "/nowhere/at/all", "type": "Directory"}}],
        },
    }
    for name, document in spec.items():
        await rig.run(name, document)
    forks = await rig.until("forks", lambda status: status["phase"] == "Failed", timeout=90)
    assert "can't fork" in await rig.logs(forks)
    large = await rig.until("environment", lambda status: status["phase"] == "Failed", timeout=60)
    assert "xxxx" not in str(large["status"])
    assert "argument list too long" in await rig.logs(large)
    told = "argument list too long: environment variable LARGE is longer than the 131072 bytes that the kernel takes"
    assert _state(large["status"])["terminated"]["message"] == told
    await rig.event("environment", "Failed", told)
    talker = await rig.until("talker", lambda status: status["phase"] == "Succeeded", timeout=60)
    assert len(await rig.logs(talker, limitBytes=1000)) == 1000
    assert (await rig.logs(talker, tailLines=1)).endswith("end\n")
    sysctl = await rig.until("sysctl", lambda status: status["phase"] == "Failed", timeout=30)
    assert sysctl["status"]["reason"] == "SysctlForbidden"
    assert not rig.containers(sysctl)
    await rig.until(
        "registry", lambda s: _state(s)["waiting"]["reason"] in ("ErrImagePull", "ImagePullBackOff"), timeout=60
    )
    await rig.event("folder", "FailedMount", "/nowhere/at/all is not a directory")
    await rig.event("metadata", "Unhealthy", "Readiness probe failed")
    pod = await rig.get("metadata")
    assert not pod["status"]["containerStatuses"][0]["ready"]
    after = await rig.get("neighbour")
    assert after["status"]["containerStatuses"] == before["status"]["containerStatuses"]
    for name in spec:
        await rig.delete(name, grace=0)
    await until(lambda: len(rig.containers(after, running=True)) == 2, timeout=20)
