"""A pod's life from create to gone."""

from __future__ import annotations

import pytest

from tests.integration.agent.rig import Rig, is_ready

pytestmark = pytest.mark.docker


async def test_a_pod_runs_and_goes(rig: Rig) -> None:
    await rig.run("web")
    pod = await rig.running("web")
    status = pod["status"]
    assert is_ready(status)
    assert status["podIP"]
    assert status["hostIP"] == "127.0.0.1"
    entry = status["containerStatuses"][0]
    assert entry["ready"]
    assert entry["started"]
    assert entry["restartCount"] == 0
    assert entry["containerID"].startswith("docker://")
    assert len(rig.containers(pod, running=True)) == 2
    await rig.event("web", "Started")
    await rig.delete("web")
