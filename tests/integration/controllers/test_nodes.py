"""Silent and lost nodes on the real API, with the controllers' times made short."""

from __future__ import annotations

from moorage.client.objects import condition
from moorage.client.resource import LEASES, NODES, PODS
from tests.integration.controllers.cluster import deployment, running_cluster
from tests.support.apiserver import RunningApi
from tests.support.wait import until


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
