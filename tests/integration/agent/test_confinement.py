"""What a pod's processes may and what bounds them, against real containers."""

from __future__ import annotations

import orjson
import pytest

from tests.integration.agent.rig import Document, Rig

pytestmark = pytest.mark.docker


async def test_a_profile_of_the_node_and_one_that_is_missing(rig: Rig) -> None:
    folder = rig.data / "seccomp" / "teams"
    folder.mkdir(parents=True)
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
    (folder / "no-folders.json").write_bytes(orjson.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))

    def spec(profile: str) -> Document:
        context = {"seccompProfile": {"type": "Localhost", "localhostProfile": profile}}
        script = "mkdir /tmp/x 2>/dev/null && echo made || echo refused; touch /tmp/y && echo written"
        return {"restartPolicy": "Never", "securityContext": context, "containers": [rig.container(script=script)]}

    await rig.run("here", spec("teams/no-folders.json"))
    await rig.run("missing", spec("none.json"))
    pod = await rig.until("here", lambda s: s["phase"] == "Succeeded")
    assert await rig.logs(pod) == "refused\nwritten\n"
    reason = "CreateContainerError"
    pod = await rig.until("missing", lambda s: s["containerStatuses"][0]["state"]["waiting"]["reason"] == reason)
    message = pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    assert message.startswith("cannot load seccomp profile")
    assert await rig.event("missing", "Failed") == f"Error: {message}"


async def test_users_of_a_pods_own_are_refused_rather_than_forgotten(rig: Rig) -> None:
    await rig.run("apart", {"hostUsers": False, "containers": [rig.container()]})
    text = "can't set `spec.hostUsers: false`, runtime does not support user namespaces"
    assert text in await rig.event("apart", "FailedCreatePodSandBox")
    pod = await rig.get("apart")
    assert pod["status"]["phase"] == "Pending"
    assert not rig.containers(pod)


async def test_a_signal_of_its_own_asks_a_container_to_end(rig: Rig) -> None:
    script = "trap 'exit 0' USR1; trap 'exit 3' TERM; while :; do sleep 1 & wait $!; done"
    lifecycle = {"stopSignal": "SIGUSR1"}
    spec = {
        "os": {"name": "linux"},
        "restartPolicy": "Never",
        "activeDeadlineSeconds": 2,
        "terminationGracePeriodSeconds": 20,
        "containers": [rig.container(script=script, lifecycle=lifecycle)],
    }
    await rig.run("asked", spec)
    pod = await rig.until("asked", lambda s: s["phase"] == "Failed")
    assert pod["status"]["reason"] == "DeadlineExceeded"
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert await rig.event("asked", "DeadlineExceeded") == pod["status"]["message"]


async def test_what_bounds_the_pod_bounds_its_containers(rig: Rig) -> None:
    groups = "/sys/fs/cgroup"
    script = (
        f"cat {groups}/memory.max 2>/dev/null || cat {groups}/memory/memory.limit_in_bytes; hostname; echo $HOSTNAME"
    )
    spec = {
        "restartPolicy": "Never",
        "hostNetwork": True,
        "resources": {"limits": {"memory": "64Mi"}},
        "containers": [rig.container(script=script)],
    }
    await rig.run("bounded", spec)
    pod = await rig.until("bounded", lambda s: s["phase"] == "Succeeded")
    memory, name, variable = (await rig.logs(pod)).split()
    assert memory == str(64 * 2**20)
    assert name == variable


async def test_a_container_restarts_by_its_own_rules_while_another_does_not(rig: Rig) -> None:
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    again = "test -e /d/once && exit 7; touch /d/once; exit 42"
    share = [{"name": "d", "mountPath": "/d"}]
    spec = {
        "restartPolicy": "Never",
        "containers": [
            rig.container("again", again, restartPolicy="Never", restartPolicyRules=rules, volumeMounts=share),
            rig.container("once", "exit 1"),
        ],
        "volumes": [{"name": "d", "emptyDir": {}}],
    }
    await rig.run("ruled", spec)
    pod = await rig.until("ruled", lambda s: s["phase"] == "Failed")
    entries = {one["name"]: one for one in pod["status"]["containerStatuses"]}
    assert (entries["again"]["restartCount"], entries["once"]["restartCount"]) == (1, 0)
    assert entries["again"]["state"]["terminated"]["exitCode"] == 7
    assert entries["again"]["lastState"]["terminated"]["exitCode"] == 42


async def test_an_exit_starts_all_containers_anew_in_the_same_sandbox(rig: Rig) -> None:
    rules = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [88]}}]
    share = [{"name": "d", "mountPath": "/d"}]
    watch = "test -e /d/asked && exec sleep 3600; until test -e /d/main; do sleep 0.1; done; touch /d/asked; exit 88"
    spec = {
        "restartPolicy": "Never",
        "initContainers": [rig.container("init", "echo init >> /d/order", volumeMounts=share)],
        "containers": [
            rig.container("main", "echo main >> /d/order; touch /d/main; exec sleep 3600", volumeMounts=share),
            rig.container("watch", watch, restartPolicy="Never", restartPolicyRules=rules, volumeMounts=share),
        ],
        "volumes": [{"name": "d", "hostPath": {"path": str(rig.data.parent / "shared")}}],
    }
    await rig.run("anew", spec)

    def again(status: Document) -> bool:
        return all(one["restartCount"] == 1 and one["ready"] for one in status["containerStatuses"])

    pod = await rig.until("anew", again)
    assert (rig.data.parent / "shared" / "order").read_text().split() == ["init", "main", "init", "main"]
    assert len(rig.containers(pod, "POD")) == 1
    held = {one["type"]: one["status"] for one in pod["status"]["conditions"]}
    assert held["AllContainersRestarting"] == "False"
