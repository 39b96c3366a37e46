"""A node whose way to the API is cut for a while: what it does meanwhile, and how API and node agree afterwards."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from pathlib import Path
from typing import Any

from moorage.client.errors import NotFound
from moorage.client.objects import condition
from moorage.client.resource import PODS
from moorage.controllers.context import Options
from moorage_agent.pods import labels
from tests.integration.agent.rig import NAMESPACE, Document, Rig, is_ready
from tests.integration.controllers.cluster import Cluster, deployment, running_cluster
from tests.support.apiserver import RunningApi
from tests.support.docker import IMAGE, Owned, docker
from tests.support.network_cut import Line, line
from tests.support.wait import NotYet, until

WELL = "test -f /tmp/well"
"""The liveness probe: a file that the test takes away, as soon as nobody hears of it."""
SCRIPT = "touch /tmp/well; trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
PROBE = {"exec": {"command": ["/bin/sh", "-c", WELL]}, "periodSeconds": 1, "failureThreshold": 2, "timeoutSeconds": 5}
BARE = ("steady", "ill", "ends", "goes")
RESTARTED = {"ill": 1, "ends": 1}


async def cut_and_check(api: RunningApi, owned: Owned, folder: Path, seconds: float, options: Options) -> float:
    """Cut a node off for ``seconds``; the seconds that all took to be right again. ``options`` are the controllers'."""
    async with line(api.url) as way, running_cluster(api, nodes=1, options=options) as cluster:
        rig = Rig(api, owned, folder)
        rig.usual = {"server": way.url, "lease_interval": min(10.0, options.node_grace / 4)}
        async with rig:
            before = await _prepare(rig, cluster)
            begun = time.monotonic()
            way.cut()
            await _while_it_is_cut(rig, cluster, before, options)
            await asyncio.sleep(max(0.0, begun + seconds - time.monotonic()))
            await _still_alone(rig, before)
            return await _afterwards(rig, cluster, way, before)


async def _prepare(rig: Rig, cluster: Cluster) -> dict[str, Document]:
    """Pods alone and of a deployment, all on the node; as the API shows them."""
    for name in BARE:
        await rig.run(name, livenessProbe=PROBE, script=SCRIPT)
    web = deployment(replicas=2, image=IMAGE)
    web["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": rig.node}
    (container,) = web["spec"]["template"]["spec"]["containers"]
    container.update(command=["/bin/sh", "-c", SCRIPT], imagePullPolicy="IfNotPresent")
    await cluster.deploy(web)
    await cluster.rolled_out("web", timeout=60)
    for name in BARE:
        await rig.running(name)
    return {pod["metadata"]["name"]: pod for pod in await _pods(rig, cluster)}


async def _while_it_is_cut(rig: Rig, cluster: Cluster, before: dict[str, Document], options: Options) -> None:
    docker("exec", rig.containers(before["ill"], "c")[0], "rm", "/tmp/well")
    docker("kill", rig.containers(before["ends"], "c")[0])
    await rig.client.delete(PODS, "goes", NAMESPACE)
    await rig.run("comes", script=SCRIPT)
    for name in RESTARTED:
        await until(functools.partial(_runs_again, rig, before[name]), timeout=60)

    async def unknown() -> bool:
        ready = condition(await rig.node_object(), "Ready") or {}
        if (ready["status"], ready["reason"]) != ("Unknown", "NodeStatusUnknown"):
            raise NotYet(f"Ready is {ready}")
        unready = [pod["metadata"]["name"] for pod in await _pods(rig, cluster) if is_ready(pod.get("status") or {})]
        if unready:
            raise NotYet(f"Ready on a node that nobody hears of: {unready}")
        return True

    await until(unknown, timeout=options.node_grace + 30)


def _runs_again(rig: Rig, pod: Document) -> bool:
    """Whether the container was started a second time, by its own node."""
    wanted = (f"{labels.POD_UID}={pod['metadata']['uid']}", f"{labels.CONTAINER}=c", f"{labels.ATTEMPT}=1")
    filters = [word for label in wanted for word in ("--filter", f"label={label}")]
    return len(docker("ps", "-q", *filters).split()) == 1


async def _still_alone(rig: Rig, before: dict[str, Document]) -> None:
    """At the end of the cut: all that ran runs, what nobody could be told of has not happened."""
    for name, pod in before.items():
        running = rig.containers(pod, running=True)
        assert len(running) == 2, f"pod {name} has the containers {running}"
    assert (await rig.get("comes"))["status"]["phase"] == "Pending"
    assert (await rig.get("goes"))["metadata"]["deletionTimestamp"]


async def _afterwards(rig: Rig, cluster: Cluster, way: Line, before: dict[str, Document]) -> float:
    way.heal()
    begun = time.monotonic()
    wanted = {*before, "comes"} - {"goes"}

    async def right() -> bool:
        node = await rig.node_object()
        ready = condition(node, "Ready") or {}
        if ready["status"] != "True" or node["spec"].get("taints"):
            raise NotYet(f"the node is {ready}, with taints {node['spec'].get('taints')}")
        pods = {pod["metadata"]["name"]: pod for pod in await _pods(rig, cluster)}
        if pods.keys() != wanted:
            raise NotYet(f"pods are {sorted(pods)}, wanted {sorted(wanted)}")
        for name, pod in pods.items():
            (entry,) = pod["status"]["containerStatuses"]
            if not is_ready(pod["status"]) or entry["restartCount"] != RESTARTED.get(name, 0):
                raise NotYet(f"{name}: {pod['status']}")
        return True

    await until(right, timeout=90, every=0.2)
    took = time.monotonic() - begun
    pods = {pod["metadata"]["name"]: pod for pod in await _pods(rig, cluster)}
    for name in before.keys() - {"goes", *RESTARTED}:
        assert _containers(pods[name]) == _containers(before[name]), f"{name} is another than before the cut"
    for name in before.keys() & pods.keys():
        assert pods[name]["metadata"]["uid"] == before[name]["metadata"]["uid"], f"{name} was made anew"
    await until(lambda: not rig.containers(before["goes"]))
    _each_once(rig, pods)
    return took


def _containers(pod: Document) -> list[tuple[str, str, int, str]]:
    entries: list[dict[str, Any]] = pod["status"]["containerStatuses"]
    return [
        (one["name"], one["containerID"], one["restartCount"], one["state"]["running"]["startedAt"]) for one in entries
    ]


def _each_once(rig: Rig, pods: dict[str, Document]) -> None:
    """The engine runs each container of each pod once, and nothing else of this node."""
    shown = docker(
        "ps",
        "--filter",
        f"label={labels.CLUSTER}={rig.cluster}",
        "--format",
        f'{{{{.Label "{labels.POD}"}}}} {{{{.Label "{labels.CONTAINER}"}}}}',
    )
    running = Counter(tuple(line.split()) for line in shown.splitlines())
    wanted = Counter(
        (name, one)
        for name, pod in pods.items()
        for one in (labels.SANDBOX_NAME, *(each["name"] for each in pod["spec"]["containers"]))
    )
    assert running == wanted


async def _pods(rig: Rig, cluster: Cluster) -> list[Document]:
    found: list[Document] = []
    for namespace in (NAMESPACE, cluster.namespace):
        try:
            found += (await rig.client.list(PODS, namespace)).items
        except NotFound:
            continue
    return [pod for pod in found if pod["spec"].get("nodeName") == rig.node]
