"""A pod's life from create to gone, and how containers end."""

from __future__ import annotations

import pytest

from moorage.client.resource import PODS
from tests.integration.agent.rig import NAMESPACE, Document, Rig
from tests.support.docker import docker

pytestmark = pytest.mark.docker


async def test_a_pod_runs_and_goes(rig: Rig) -> None:
    await rig.run("web")
    pod = await rig.running("web")
    status = pod["status"]
    assert status["podIP"]
    assert status["podIPs"] == [{"ip": status["podIP"]}]
    assert status["hostIP"] == "127.0.0.1"
    entry = status["containerStatuses"][0]
    assert entry["ready"]
    assert entry["started"]
    assert entry["restartCount"] == 0
    assert entry["state"]["running"]["startedAt"]
    assert entry["containerID"] == f"docker://{rig.containers(pod, 'c')[0]}"
    conditions = {one["type"]: one["status"] for one in status["conditions"]}
    told = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    assert conditions == dict.fromkeys(told, "True")
    assert {one["observedGeneration"] for one in status["conditions"]} == {1}
    assert len(rig.containers(pod, running=True)) == 2
    await rig.event("web", "Started")
    found = await rig.events("web")
    assert [reason for reason, _ in found] == ["Pulled", "Created", "Started"]
    await rig.delete("web")


async def test_containers_of_a_pod_share_network_and_ipc(rig: Rig) -> None:
    web = rig.container("web", "echo hi > /tmp/index.html; exec httpd -f -p 8080 -h /tmp")
    wait = "until wget -qO /dev/null http://127.0.0.1:8080/; do sleep 0.1; done; touch /tmp/asked; sleep 1000"
    asker = rig.container(
        "asker", wait, readinessProbe={"exec": {"command": ["test", "-e", "/tmp/asked"]}, "periodSeconds": 1}
    )
    await rig.run("pair", {"containers": [web, asker], "shareProcessNamespace": True})
    pod = await rig.running("pair")
    sandbox, first, second = (rig.containers(pod, name)[0] for name in ("POD", "web", "asker"))
    for one in (first, second):
        form = "{{.HostConfig.NetworkMode}} {{.HostConfig.IpcMode}} {{.HostConfig.PidMode}} {{.HostConfig.RestartPolicy.Name}}"
        joined = f"container:{sandbox}"
        assert docker("inspect", "-f", form, one) == f"{joined} {joined} {joined} no"
    assert "pause" in docker("exec", second, "ps", "-o", "comm")
    assert docker("exec", second, "hostname") == "pair"


async def test_a_pod_that_ends_well_has_succeeded_and_keeps_its_log(rig: Rig) -> None:
    await rig.run("job", {"restartPolicy": "Never", "containers": [rig.container(script="echo done; exit 0")]})
    pod = await rig.until("job", lambda status: status["phase"] == "Succeeded")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    reasons = {one["type"]: one.get("reason") for one in pod["status"]["conditions"]}
    assert reasons["Ready"] == "PodCompleted"
    assert await rig.logged(pod, 1) == "done\n"
    await rig.until("job", lambda _status: not rig.containers(pod, running=True))
    await rig.delete("job")


async def test_a_pod_that_fails_says_how(rig: Rig) -> None:
    script = "echo 'it broke' > /dev/termination-log; exit 3"
    await rig.run("bad", {"restartPolicy": "Never", "containers": [rig.container(script=script)]})
    pod = await rig.until("bad", lambda status: status["phase"] == "Failed")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "it broke\n")


async def test_the_end_of_the_log_stands_in_for_a_message(rig: Rig) -> None:
    container = rig.container(script="echo oops; exit 1", terminationMessagePolicy="FallbackToLogsOnError")
    await rig.run("bad", {"restartPolicy": "Never", "containers": [container]})
    pod = await rig.until("bad", lambda status: status["phase"] == "Failed")
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"] == "oops\n"


async def test_a_crashing_container_is_started_again_at_once_and_then_backs_off(rig: Rig) -> None:
    await rig.run("crash", script="exit 7")

    def backing_off(status: Document) -> bool:
        entry = status["containerStatuses"][0]
        return bool(entry["restartCount"] == 1 and entry["state"]["waiting"]["reason"] == "CrashLoopBackOff")

    pod = await rig.until("crash", backing_off)
    entry = pod["status"]["containerStatuses"][0]
    assert entry["state"]["waiting"]["message"].startswith(
        "back-off 10s restarting failed container=c pod=crash_agents("
    )
    assert entry["lastState"]["terminated"]["exitCode"] == 7
    assert pod["status"]["phase"] == "Running"
    await rig.event("crash", "BackOff", "Back-off restarting failed container c in pod crash")
    await rig.delete("crash")


async def test_on_failure_restarts_a_failed_container_only(rig: Rig) -> None:
    script = "if [ -e /data/once ]; then exit 0; fi; touch /data/once; exit 1"
    container = rig.container(script=script, volumeMounts=[{"name": "data", "mountPath": "/data"}])
    spec = {"restartPolicy": "OnFailure", "containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]}
    await rig.run("twice", spec)
    pod = await rig.until("twice", lambda status: status["phase"] == "Succeeded")
    entry = pod["status"]["containerStatuses"][0]
    assert entry["restartCount"] == 1
    assert entry["lastState"]["terminated"]["exitCode"] == 1


async def test_a_command_that_is_not_there_is_a_start_error(rig: Rig) -> None:
    container = rig.container(command=["/no/such/program"])
    await rig.run("missing", {"restartPolicy": "Never", "containers": [container]})
    pod = await rig.until("missing", lambda status: status["phase"] == "Failed")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["reason"] == "StartError"
    assert "/no/such/program" in ended["message"]
    assert ended["exitCode"] in (127, 128)
    assert "/no/such/program" in await rig.event("missing", "Failed")


async def test_a_container_over_its_memory_is_oom_killed(rig: Rig) -> None:
    script = "head -c 200m /dev/zero | tail -c 190m > /dev/null; exit 5"
    container = rig.container(script=f"exec /bin/sh -c '{script}'", resources={"limits": {"memory": "16Mi"}})
    container["command"] = ["/bin/tail", "/dev/zero"]
    await rig.run("hungry", {"restartPolicy": "Never", "containers": [container]})
    pod = await rig.until("hungry", lambda status: status["phase"] == "Failed")
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] == "OOMKilled"


async def test_a_pod_past_its_deadline_fails(rig: Rig) -> None:
    await rig.run(
        "late", {"activeDeadlineSeconds": 1, "containers": [rig.container()], "terminationGracePeriodSeconds": 0}
    )
    pod = await rig.until(
        "late", lambda status: status["phase"] == "Failed" and "terminated" in status["containerStatuses"][0]["state"]
    )
    assert pod["status"]["reason"] == "DeadlineExceeded"
    await rig.until("late", lambda _status: not rig.containers(pod, running=True))


async def test_a_container_that_does_not_end_is_killed_after_its_grace(rig: Rig) -> None:
    await rig.run("stubborn", script="trap '' TERM; while :; do sleep 1; done")
    pod = await rig.running("stubborn")
    await rig.client.delete(PODS, "stubborn", NAMESPACE, grace_seconds=2)
    await rig.event("stubborn", "Killing", "Stopping container c")
    await rig.gone(pod)


async def test_a_shorter_grace_holds_from_then_on(rig: Rig) -> None:
    await rig.run(
        "slow",
        {
            "terminationGracePeriodSeconds": 600,
            "containers": [rig.container(script="trap '' TERM; while :; do sleep 1; done")],
        },
    )
    pod = await rig.running("slow")
    await rig.client.delete(PODS, "slow", NAMESPACE)
    await rig.event("slow", "Killing")
    await rig.client.delete(PODS, "slow", NAMESPACE, grace_seconds=1)
    await rig.gone(pod)


async def test_a_forced_delete_removes_the_containers_too(rig: Rig) -> None:
    await rig.run("force")
    pod = await rig.running("force")
    await rig.client.delete(PODS, "force", NAMESPACE, grace_seconds=0)
    await rig.gone(pod)


async def test_a_pod_that_somebody_holds_back_ends_and_says_how(rig: Rig) -> None:
    """Whoever holds it by a finalizer reads its last word: a phase that is final, and an end of every container."""
    held = rig.pod(
        "held",
        {"initContainers": [rig.container("init", "exit 0")], "containers": [rig.container("b"), rig.container("a")]},
    )
    absent = rig.pod("absent", image="127.0.0.1:9/no/image:1")
    for pod in (held, absent):
        pod["metadata"]["finalizers"] = ["example.com/hold"]
        await rig.client.create(PODS, pod)
    await rig.running("held")
    await rig.until("absent", lambda s: "ImagePull" in s["containerStatuses"][0]["state"]["waiting"]["reason"])
    for name in ("held", "absent"):
        await rig.client.delete(PODS, name, NAMESPACE)

    def over(status: Document) -> bool:
        held = {one["type"]: one["status"] for one in status["conditions"]}
        return bool(status["phase"] == "Succeeded" and held["PodReadyToStartContainers"] == "False")

    pod = await rig.until("held", over)
    assert [one["name"] for one in pod["status"]["containerStatuses"]] == ["a", "b"]
    assert all(one["state"]["terminated"]["exitCode"] == 0 for one in pod["status"]["containerStatuses"])
    ready = next(one for one in pod["status"]["conditions"] if one["type"] == "Initialized")
    assert (ready["status"], ready["reason"]) == ("True", "PodCompleted")
    assert "message" not in ready
    absent = await rig.until("absent", lambda s: s["phase"] == "Failed")
    lost = absent["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (lost["reason"], lost["exitCode"]) == ("ContainerStatusUnknown", 137)
    for one in (pod, absent):
        await rig.client.patch(PODS, one["metadata"]["name"], {"metadata": {"finalizers": None}}, NAMESPACE)
        await rig.gone(one)


async def test_init_containers_run_in_order_before_the_others(rig: Rig) -> None:
    mount = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    spec = {
        "initContainers": [
            rig.container("one", "echo one >> /data/order", **mount),
            rig.container("two", "sleep 0.3; echo two >> /data/order", **mount),
        ],
        "containers": [rig.container("main", "cat /data/order; sleep 1000", **mount)],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    await rig.run("ordered", spec)
    await rig.until(
        "ordered", lambda status: status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    )
    pod = await rig.running("ordered")
    assert await rig.logged(pod, 2, "main") == "one\ntwo\n"
    assert [one["state"]["terminated"]["reason"] for one in pod["status"]["initContainerStatuses"]] == ["Completed"] * 2


async def test_a_failed_init_container_of_a_pod_that_never_restarts_fails_the_pod(rig: Rig) -> None:
    spec = {
        "restartPolicy": "Never",
        "initContainers": [rig.container("init", "exit 4")],
        "containers": [rig.container()],
    }
    await rig.run("uninitialised", spec)
    pod = await rig.until("uninitialised", lambda status: status["phase"] == "Failed")
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    assert not rig.containers(pod, "c")


async def test_a_sidecar_starts_first_runs_beside_and_ends_last(rig: Rig) -> None:
    sidecar = rig.container("proxy", restartPolicy="Always")
    spec = {
        "restartPolicy": "Never",
        "initContainers": [sidecar],
        "containers": [rig.container("job", "sleep 1; exit 0")],
    }
    await rig.run("aided", spec)
    pod = await rig.until(
        "aided",
        lambda status: (
            status["initContainerStatuses"][0]["ready"] and "running" in status["containerStatuses"][0]["state"]
        ),
    )
    await rig.until("aided", lambda status: status["phase"] == "Succeeded")
    await rig.until("aided", lambda _status: not rig.containers(pod, running=True))
