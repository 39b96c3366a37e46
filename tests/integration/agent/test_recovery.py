"""kill -9, restarts, orphans, neighbours: the same containers go on, nothing runs twice, nobody else's are touched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.client.resource import PODS
from moorage_agent.engine.contract import ContainerSpec, State
from moorage_agent.engine.docker import DockerEngine
from moorage_agent.identity import IdentityError
from moorage_agent.pods import labels
from tests.integration.agent.process import AgentProcess
from tests.integration.agent.rig import NAMESPACE, Rig
from tests.support.apiserver import RunningApi
from tests.support.docker import IMAGE, Owned, containers, docker
from tests.support.wait import throughout, until

pytestmark = pytest.mark.docker


@pytest.fixture
async def killable(rig: Rig) -> AsyncIterator[AgentProcess]:
    """The rig's agent as a process of its own, in place of the one in this process."""
    await rig.stop()
    process = AgentProcess(rig.options())
    await process.start()
    yield process
    await process.kill()


async def test_the_same_containers_go_on_after_kill_9(rig: Rig, killable: AgentProcess) -> None:
    await rig.config_map("c", a="1")
    spec = {
        "initContainers": [rig.container("init", "exit 0")],
        "containers": [rig.container(envFrom=[{"configMapRef": {"name": "c"}}])],
        "volumes": [{"name": "v", "configMap": {"name": "c"}}],
    }
    await rig.run("web", spec)
    before = await rig.running("web")
    mine = rig.containers(before)
    started = docker("inspect", "-f", "{{.State.StartedAt}}", *mine)
    await killable.kill()
    await killable.start()
    await rig.run("next")
    await rig.running("next")
    after = await rig.get("web")
    assert rig.containers(after) == mine
    assert docker("inspect", "-f", "{{.State.StartedAt}}", *mine) == started
    assert after["status"]["containerStatuses"] == before["status"]["containerStatuses"]
    assert after["status"]["conditions"] == before["status"]["conditions"]
    await rig.delete("web")


async def test_what_ended_while_the_agent_was_down_is_counted_once(rig: Rig, killable: AgentProcess) -> None:
    await rig.run("web")
    pod = await rig.running("web")
    await killable.kill()
    docker("kill", rig.containers(pod, "c")[0])
    await killable.start()
    pod = await rig.restarted("web")
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137
    assert len(rig.containers(pod, "c", running=True)) == 1


async def test_a_pod_deleted_while_the_agent_was_down_is_cleaned_up(rig: Rig, killable: AgentProcess) -> None:
    await rig.run("soft")
    await rig.run("hard")
    soft, hard = await rig.running("soft"), await rig.running("hard")
    await killable.kill()
    await rig.client.delete(PODS, "soft", NAMESPACE)
    await rig.client.delete(PODS, "hard", NAMESPACE, grace_seconds=0)
    await killable.start()
    await rig.gone(soft)
    await rig.gone(hard)


async def test_killed_again_and_again_while_pods_start_nothing_runs_twice(rig: Rig, killable: AgentProcess) -> None:
    names = [f"p{number}" for number in range(6)]
    creates = asyncio.gather(*(rig.run(name) for name in names))
    for pause in (0.05, 0.15, 0.3, 0.45):
        await asyncio.wait_for(asyncio.shield(_later(pause)), 5)
        await killable.kill()
        await killable.start()
    await creates
    for name in names:
        pod = await rig.running(name)
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
        assert len(rig.containers(pod, "c")) == 1
        assert len(rig.containers(pod, "POD")) == 1


async def _later(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.create_future()
    loop.call_later(seconds, end.set_result, None)
    await end


async def test_a_dangling_create_is_started_not_repeated(rig: Rig, docker_engine: DockerEngine, owned: Owned) -> None:
    """The agent died between create and start: the container that is there is the one that runs."""
    await rig.stop()
    pod = await rig.run("half")
    made = labels.pod_labels(labels.Owner(owned.cluster, rig.node), "", pod)
    sandbox = ContainerSpec(
        name=labels.container_name(pod, labels.SANDBOX_NAME, 0),
        image=IMAGE,
        labels={**made, labels.CONTAINER: labels.SANDBOX_NAME, labels.ATTEMPT: "0"},
        entrypoint=["/bin/sleep", "1000"],
        network="bridge",
        ipc="shareable",
    )
    identity = await docker_engine.create(sandbox)
    await rig.start()
    pod = await rig.running("half")
    assert rig.containers(pod, "POD") == [identity]


async def test_a_dead_sandbox_means_a_new_one_and_the_containers_again(rig: Rig) -> None:
    await rig.run("web")
    pod = await rig.running("web")
    first = rig.containers(pod, "POD")[0]
    docker("kill", first)
    await rig.event("web", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
    pod = await rig.restarted("web")
    second = rig.containers(pod, "POD", running=True)
    assert len(second) == 1
    assert second != [first]
    container = rig.containers(pod, "c", running=True)[0]
    assert docker("inspect", "-f", "{{.HostConfig.NetworkMode}}", container) == f"container:{second[0]}"


async def test_a_container_removed_behind_the_agents_back_comes_back(rig: Rig) -> None:
    await rig.run("web")
    pod = await rig.running("web")
    docker("rm", "-f", rig.containers(pod, "c")[0])
    await rig.restarted("web")


async def test_orphans_go_after_their_grace_and_strangers_stay(
    rig: Rig, docker_engine: DockerEngine, owned: Owned
) -> None:
    async def leave(cluster: str, node: str, uid: str) -> str:
        marks = {
            **labels.Owner(cluster, node).labels(),
            labels.NAMESPACE: NAMESPACE,
            labels.POD: "orphan",
            labels.POD_UID: uid,
            labels.CONTAINER: "c",
            labels.ATTEMPT: "0",
            labels.GRACE: "0",
        }
        spec = ContainerSpec(name=f"orphan-{uid}", image=IMAGE, entrypoint=["/bin/sleep", "1000"], labels=marks)
        identity = await docker_engine.create(spec)
        await docker_engine.start(identity)
        return identity

    await rig.stop()
    mine = await leave(owned.cluster, rig.node, f"{owned.cluster}-1")
    of_another_node = await leave(owned.cluster, "node-2", f"{owned.cluster}-2")
    of_another_cluster = await leave(owned.another(), rig.node, f"{owned.cluster}-3")
    await rig.start()
    await until(lambda: mine not in containers(f"{labels.CLUSTER}={owned.cluster}"), timeout=20)
    for stranger in (of_another_node, of_another_cluster):
        assert (await docker_engine.inspect(stranger)).state is State.RUNNING


async def test_two_installations_on_one_engine(rig: Rig, api: RunningApi, owned: Owned, tmp_path: Path) -> None:
    """The same node name and the same engine, another cluster: neither sees the other's containers."""
    other = Rig(api, owned, tmp_path / "other", node="node-2", cluster=owned.another())
    async with other:
        await rig.run("web")
        await other.run("web-2")
        first, second = await rig.running("web"), await other.running("web-2")
        await other.stop()
        await rig.delete("web")
        assert len(other.containers(second, running=True)) == 2
        assert not rig.containers(first)
        await other.start()
        await other.delete("web-2")


async def test_a_second_agent_of_the_same_node_is_refused(rig: Rig, tmp_path: Path) -> None:
    from moorage_agent.agent import Agent

    twin = Agent(rig.options(data_dir=tmp_path / "elsewhere"))
    with pytest.raises(IdentityError, match="another agent of node 'node-1' runs on this machine"):
        await twin.run()
    stranger = Agent(rig.options(node="node-9"))
    with pytest.raises(IdentityError, match="belongs to node 'node-1'"):
        await stranger.run()


async def test_pods_run_on_while_the_api_is_away_and_their_status_catches_up(rig: Rig, api: RunningApi) -> None:
    await rig.run("web")
    pod = await rig.running("web")
    token = api.policies.authenticator.identities.pop("admin-token")
    docker("kill", rig.containers(pod, "c")[0])
    await until(lambda: len(rig.containers(pod, "c")) == 2 and len(rig.containers(pod, "c", running=True)) == 1)
    api.policies.authenticator.identities["admin-token"] = token
    await rig.restarted("web")


async def test_an_idle_agent_asks_the_engine_for_next_to_nothing(rig: Rig) -> None:
    """A running pod without probes costs no calls: the engine's events say when something happens."""
    assert rig.agent is not None
    await rig.run("quiet")
    await rig.running("quiet")
    calls: list[str] = []
    engine = rig.agent.engine
    for name in ("inspect", "list", "image", "exec"):
        setattr(engine, name, _counted(getattr(engine, name), calls, name))

    def idle() -> None:
        assert not calls

    await throughout(idle, seconds=2.0)


def _counted(call: object, calls: list[str], name: str) -> object:
    def counted(*arguments: object) -> object:
        calls.append(name)
        return call(*arguments)  # type: ignore[operator]  # any method of the engine

    return counted
