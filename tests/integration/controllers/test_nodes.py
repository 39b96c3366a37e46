"""Silent and lost nodes on the real API, with the controllers' times made short."""

from __future__ import annotations

from moorage.client.api import ApiClient
from moorage.client.objects import condition
from moorage.client.resource import LEASES, NODES, PODS
from tests.integration.controllers.cluster import deployment, running_cluster
from tests.support.apiserver import RunningApi
from tests.support.wait import throughout, until


async def test_pods_of_a_silent_node_are_replaced_elsewhere_and_it_may_come_back(api: RunningApi) -> None:
    async with running_cluster(api) as cluster:
        await cluster.deploy(deployment(replicas=4))
        await cluster.rolled_out("web")
        cluster.kubelets["node-0"].alive = False

        async def replaced() -> bool:
            ready = await cluster.ready_pods()
            assert {pod["spec"]["nodeName"] for pod in ready} == {"node-1"}, [pod["spec"]["nodeName"] for pod in ready]
            return len(ready) == 4

        await until(replaced)
        node = await cluster.client.get(NODES, "node-0")
        ready = condition(node, "Ready") or {}
        assert (ready["status"], ready["reason"]) == ("Unknown", "NodeStatusUnknown")
        assert ready["message"] == "Kubelet stopped posting node status."
        taints = {(taint["key"], taint["effect"]) for taint in node["spec"]["taints"]}
        assert taints == {("node.kubernetes.io/unreachable", effect) for effect in ("NoSchedule", "NoExecute")}
        kubelet = cluster.kubelets["node-0"]
        kubelet.alive = True
        await kubelet.register()
        kubelet.poke()

        async def clean() -> bool:
            found = await cluster.client.get(NODES, "node-0")
            pods = await cluster.objects(PODS)
            return not found["spec"].get("taints") and len(pods) == 4

        await until(clean)


async def test_where_most_of_a_few_nodes_are_not_ready_nobody_is_evicted(api: RunningApi) -> None:
    names = [f"dead-{number}" for number in range(3)]
    async with ApiClient(api.url, token=api.token, ca_file=api.ca_file) as client:
        for name in names:
            await client.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
            status = {"conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady"}]}
            await client.patch(NODES, name, {"status": status}, subresource="status")

    async with running_cluster(api, nodes=1) as cluster:

        async def effects() -> set[str]:
            nodes = [await cluster.client.get(NODES, name) for name in names]
            found = [{taint["effect"] for taint in node["spec"].get("taints") or ()} for node in nodes]
            assert all("NoSchedule" in each for each in found), found
            return set().union(*found)

        async def kept() -> None:
            assert await effects() == {"NoSchedule"}

        await until(effects)
        await throughout(kept, seconds=1.5)
        await cluster.client.delete(NODES, names[0])  # two of three: their pods may go

        async def evicting() -> bool:
            node = await cluster.client.get(NODES, names[1])
            return any(taint["effect"] == "NoExecute" for taint in node["spec"].get("taints") or ())

        await until(evicting)


async def test_the_only_node_keeps_its_pods_when_it_falls_silent(api: RunningApi) -> None:
    async with running_cluster(api, nodes=1) as cluster:
        await cluster.deploy(deployment(replicas=2))
        await cluster.rolled_out("web")
        cluster.kubelets["node-0"].alive = False

        async def unknown() -> bool:
            node = await cluster.client.get(NODES, "node-0")
            taints = {(taint["key"], taint["effect"]) for taint in node["spec"].get("taints") or ()}
            return taints == {("node.kubernetes.io/unreachable", "NoSchedule")}

        await until(unknown)
        assert not any(pod["metadata"].get("deletionTimestamp") for pod in await cluster.objects(PODS))


async def test_pods_of_a_deleted_node_are_removed(api: RunningApi) -> None:
    async with running_cluster(api) as cluster:
        await cluster.deploy(deployment(replicas=4))
        await cluster.rolled_out("web")
        cluster.tasks["node-0"].cancel()
        await cluster.client.delete(NODES, "node-0")
        await cluster.client.delete(LEASES, "node-0", "kube-node-lease")

        async def moved() -> bool:
            pods = await cluster.objects(PODS)
            return {pod["spec"].get("nodeName") for pod in pods} == {"node-1"} and len(await cluster.ready_pods()) == 4

        await until(moved)
