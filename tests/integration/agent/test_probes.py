"""Probes and hooks against real containers."""

from __future__ import annotations

import pytest

from tests.integration.agent.rig import Rig
from tests.support.docker import docker
from tests.support.wait import throughout

pytestmark = pytest.mark.docker

QUICK = {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 2}


async def test_readiness_follows_a_command_both_ways(rig: Rig) -> None:
    probe = {"exec": {"command": ["cat", "/tmp/ready"]}, **QUICK}
    await rig.run("web", readinessProbe=probe)
    pod = await rig.until(
        "web", lambda s: s["containerStatuses"][0]["started"] and not s["containerStatuses"][0]["ready"]
    )
    reasons = {one["type"]: (one.get("reason"), one.get("message")) for one in pod["status"]["conditions"]}
    assert reasons["Ready"] == ("ContainersNotReady", "containers with unready status: [c]")
    message = await rig.event("web", "Unhealthy")
    assert message.startswith("Readiness probe failed: cat: can't open '/tmp/ready'")
    identity = rig.containers(pod, "c")[0]
    docker("exec", identity, "touch", "/tmp/ready")
    await rig.running("web")
    docker("exec", identity, "rm", "/tmp/ready")
    pod = await rig.until("web", lambda s: not s["containerStatuses"][0]["ready"])
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


async def test_a_container_that_fails_its_liveness_probe_is_restarted(rig: Rig) -> None:
    script = "mkdir -p /tmp/w; echo ok > /tmp/w/healthz; exec httpd -f -p 8080 -h /tmp/w"
    probe = {"httpGet": {"path": "/healthz", "port": "web"}, **QUICK}
    ports = [{"name": "web", "containerPort": 8080}]
    alive = {**probe, "failureThreshold": 3}  # the server needs a moment to come up
    await rig.run("web", script=script, livenessProbe=alive, readinessProbe=probe, ports=ports)
    pod = await rig.running("web")
    first = rig.containers(pod, "c")[0]
    docker("exec", first, "rm", "/tmp/w/healthz")
    assert (
        await rig.event("web", "Unhealthy", "Liveness")
        == "Liveness probe failed: HTTP probe failed with statuscode: 404"
    )
    await rig.event("web", "Killing", "Container c failed liveness probe, will be restarted")
    await rig.restarted("web")


async def test_nothing_else_is_probed_before_the_startup_probe_holds(rig: Rig) -> None:
    script = "sleep 2; touch /tmp/up; exec httpd -f -p 9000"
    startup = {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 30}
    never = {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 1}
    tcp = {"tcpSocket": {"port": 9000}, "periodSeconds": 1}
    await rig.run("slow", script=script, startupProbe=startup, livenessProbe=never, readinessProbe=tcp)
    await rig.until(
        "slow", lambda s: "running" in s["containerStatuses"][0]["state"] and not s["containerStatuses"][0]["started"]
    )
    pod = await rig.running("slow")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    assert all(not message.startswith("Liveness") for _, message in await rig.events("slow"))


async def test_a_startup_probe_that_never_holds_restarts(rig: Rig) -> None:
    probe = {"tcpSocket": {"port": 1}, "periodSeconds": 1, "failureThreshold": 2}
    await rig.run("never", startupProbe=probe)
    assert "connect: connection refused" in await rig.event("never", "Unhealthy", "Startup probe failed: dial tcp")
    await rig.event("never", "Killing", "Container c failed startup probe, will be restarted")


async def test_a_probe_that_takes_too_long_has_failed(rig: Rig) -> None:
    probe = {"exec": {"command": ["sleep", "10"]}, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 1}
    await rig.run("hung", readinessProbe=probe)
    assert "timed out after 1s" in await rig.event("hung", "Unhealthy")


async def test_hooks_run_after_the_start_and_before_the_end(rig: Rig) -> None:
    lifecycle = {
        "postStart": {"exec": {"command": ["sh", "-c", "echo post >> /d/log"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo pre >> /d/log"]}},
    }
    script = "trap 'echo term >> /d/log; cat /d/log; sleep 1; exit 0' TERM; while :; do sleep 1 & wait $!; done"
    spec = {
        "terminationGracePeriodSeconds": 10,
        "containers": [
            rig.container(script=script, lifecycle=lifecycle, volumeMounts=[{"name": "d", "mountPath": "/d"}])
        ],
        "volumes": [{"name": "d", "hostPath": {"path": str(rig.data.parent / "shared")}}],
    }
    await rig.run("hooked", spec)
    await rig.running("hooked")
    await rig.delete("hooked")
    assert (rig.data.parent / "shared" / "log").read_text() == "post\npre\nterm\n"


async def test_a_failed_post_start_hook_kills_the_container(rig: Rig) -> None:
    lifecycle = {"postStart": {"exec": {"command": ["sh", "-c", "exit 1"]}}}
    await rig.run("hooked", lifecycle=lifecycle)
    await rig.event("hooked", "FailedPostStartHook")
    await rig.until("hooked", lambda s: s["containerStatuses"][0]["restartCount"] >= 1)


async def test_a_restart_of_the_agent_unreadies_nobody(rig: Rig) -> None:
    probe = {"exec": {"command": ["true"]}, "initialDelaySeconds": 0, "periodSeconds": 60}
    await rig.run("steady", readinessProbe=probe)
    await rig.running("steady")
    await rig.stop()
    await rig.start()

    async def still_ready() -> None:
        pod = await rig.get("steady")
        assert pod["status"]["containerStatuses"][0]["ready"]

    await throughout(still_ready, seconds=1.0)
