"""Probes and hooks against real containers."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.client.resource import PODS
from tests.integration.agent.rig import NAMESPACE, Document, Rig
from tests.support.docker import docker
from tests.support.wait import throughout, until

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


async def test_the_next_container_waits_for_the_hook_after_the_start(rig: Rig) -> None:
    """People have a proxy wait in its hook until it is up, and the programs behind it rely on that."""
    share: Document = {"volumeMounts": [{"name": "d", "mountPath": "/d"}]}
    wait = {"postStart": {"exec": {"command": ["sh", "-c", "until test -e /d/go; do sleep 0.1; done; touch /d/up"]}}}
    seen = "trap 'exit 0' TERM; ls /d; while :; do sleep 1 & wait $!; done"
    containers = [rig.container("proxy", lifecycle=wait, **share), rig.container("app", seen, **share)]
    folder = rig.data.parent / "shared"
    await rig.run("gate", {"containers": containers, "volumes": [{"name": "d", "hostPath": {"path": str(folder)}}]})
    pod = await rig.until("gate", lambda s: s["containerStatuses"][1]["containerID"])
    app, proxy = pod["status"]["containerStatuses"]
    assert (pod["status"]["phase"], app["state"], proxy["state"]) == (
        "Pending",
        {"waiting": {"reason": "ContainerCreating"}},
        {"waiting": {"reason": "ContainerCreating"}},
    )
    assert not rig.containers(pod, "app")
    (folder / "go").touch()
    await rig.running("gate")
    assert await rig.logged(pod, 2, "app") == "go\nup\n"


async def test_hooks_before_the_end_run_together_and_sidecars_stop_last(rig: Rig) -> None:
    folder = rig.data.parent / "shared"

    def told(name: str, pause: str, **more: Any) -> Document:
        script = f"trap 'sleep {pause}; echo {name} >> /d/ends; exit 0' TERM; while :; do sleep 0.2; done"
        hook = {
            "preStop": {
                "exec": {"command": ["sh", "-c", f"echo {name} >> /d/hooks; until test -e /d/go; do sleep 0.1; done"]}
            }
        }
        return rig.container(name, script, lifecycle=hook, volumeMounts=[{"name": "d", "mountPath": "/d"}], **more)

    spec = {
        "terminationGracePeriodSeconds": 20,
        "initContainers": [told("a", "0", restartPolicy="Always"), told("b", "0", restartPolicy="Always")],
        "containers": [told("main", "0.5")],
        "volumes": [{"name": "d", "hostPath": {"path": str(folder)}}],
    }
    await rig.run("order", spec)
    await rig.running("order")
    await rig.client.delete(PODS, "order", NAMESPACE)

    def all_told() -> bool:
        hooks = folder / "hooks"
        return hooks.exists() and sorted(hooks.read_text().split()) == ["a", "b", "main"]

    await until(all_told, timeout=30)
    assert not (folder / "ends").exists()
    pod = await rig.get("order")
    (folder / "go").touch()
    await rig.gone(pod)
    assert (folder / "ends").read_text().split() == ["main", "b", "a"]


async def test_what_a_hook_was_told_is_told_to_nobody(rig: Rig) -> None:
    page = "mkdir -p /tmp/w; echo treasure > /tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w"
    await rig.run("page", script=page)
    host = (await rig.running("page"))["status"]["podIP"]
    answered = {"postStart": {"httpGet": {"host": host, "port": 8080, "path": "/none"}}}
    await rig.run("asks", lifecycle=answered)  # any answer will do
    await rig.running("asks")
    assert not [reason for reason, _ in await rig.events("asks") if reason == "FailedPostStartHook"]
    refused = {"postStart": {"exec": {"command": ["sh", "-c", f"wget -qO- http://{host}:8080/; exit 1"]}}}
    await rig.run("tells", lifecycle=refused)
    assert await rig.event("tells", "FailedPostStartHook") == "PostStartHook failed"
    assert not [message for _, message in await rig.events("tells") if "treasure" in message]


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
