"""What pods are given of a real machine: scores by which the kernel ends them, and room beside what runs them (overhead)."""

from __future__ import annotations

from pathlib import Path

import pytest

from moorage_agent.engine.docker import DockerEngine
from tests.integration.agent.rig import Document, Rig

pytestmark = pytest.mark.docker


async def score(engine: DockerEngine, rig: Rig, name: str) -> int:
    """``oom_score_adj`` of a pod's container, as the kernel has it."""
    pod = await rig.running(name)
    (identity,) = rig.containers(pod, "c", running=True)
    pid = (await engine.inspect(identity)).pid
    return _score(pid)


def _score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text(encoding="ascii"))


def resources(memory: str, limit: str = "") -> Document:
    """Requests, and equal or larger limits."""
    both = {"cpu": "100m", "memory": memory}
    return {"requests": both, **({"limits": {"cpu": "100m", "memory": limit}} if limit else {})}


async def test_scores_by_quality_and_without_the_right_to_low_ones(
    rig: Rig, docker_engine: DockerEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """A kernel that refuses a score below 0 costs a guaranteed pod its score, with a warning, and never its life."""
    assert rig.agent is not None
    assert rig.agent.pods is not None
    await rig.run("guaranteed", resources=resources("32Mi", "32Mi"))
    await rig.run("burstable", resources=resources("32Mi"))
    await rig.run("best")
    guaranteed = await score(docker_engine, rig, "guaranteed")
    burstable = await score(docker_engine, rig, "burstable")
    assert guaranteed <= 0 < burstable < 1000 == await score(docker_engine, rig, "best")
    worker = rig.agent.pods.find("agents", "guaranteed")
    assert worker is not None
    worker.node.least_oom_score = -1000  # as if it were not known yet that the engine may not
    await rig.run("hopeful", resources=resources("32Mi", "32Mi"))
    found = await score(docker_engine, rig, "hopeful")
    if found == 0:
        assert worker.node.least_oom_score == 0
        assert "the engine may not lower OOM scores" in caplog.text
    else:
        assert found == -997
    assert (await rig.get("hopeful"))["status"]["containerStatuses"][0]["restartCount"] == 0


async def test_overhead_takes_room(rig: Rig) -> None:
    await rig.stop()
    await rig.start(capacity={"cpu": "1", "memory": "1Gi"})
    half = {"requests": {"cpu": "400m"}}
    heavy = {"containers": [rig.container(resources=half)], "overhead": {"cpu": "200m"}}
    await rig.run("heavy", heavy)
    await rig.running("heavy")
    await rig.run("second", heavy)
    pod = await rig.until("second", lambda status: status["phase"] == "Failed")
    words = "Node didn't have enough resource: cpu, requested: 600, used: 600, capacity: 1000"
    assert pod["status"]["message"] == f"Pod was rejected: {words}"
    await rig.run("light", resources=half)
    await rig.running("light")
