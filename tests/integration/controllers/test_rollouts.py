"""Deployments from template to template, on the real API with fake kubelets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from moorage.client.informer import Informer
from moorage.client.objects import condition
from moorage.client.resource import DEPLOYMENTS, PODS
from moorage.controllers.pods import is_active, is_ready
from tests.integration.controllers.cluster import Cluster, deployment, running_cluster
from tests.support.apiserver import RunningApi
from tests.support.wait import until


async def test_deployment_becomes_running_pods(api: RunningApi) -> None:
    async with running_cluster(api) as cluster:
        await cluster.deploy(deployment(replicas=4))
        found = await cluster.rolled_out("web")
        conditions = {each["type"]: (each["status"], each["reason"]) for each in found["status"]["conditions"]}
        assert conditions == {
            "Available": ("True", "MinimumReplicasAvailable"),
            "Progressing": ("True", "NewReplicaSetAvailable"),
        }
        assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
        nodes = {pod["spec"]["nodeName"] for pod in await cluster.ready_pods()}
        assert nodes == {"node-0", "node-1"}


async def test_rolling_update_keeps_its_promises_at_every_moment(api: RunningApi) -> None:
    async with running_cluster(api) as cluster:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
        await cluster.deploy(deployment(replicas=4, strategy=strategy))
        await cluster.rolled_out("web")
        seen: list[tuple[int, int]] = []
        pods = Informer(cluster.client, PODS, namespace="team")

        def count(_old: object, _new: object) -> None:
            active = [pod for pod in pods if is_active(pod)]
            seen.append((len(active), sum(is_ready(pod) for pod in active)))

        watching = asyncio.create_task(pods.run())
        await pods.wait_synced()
        pods.add_handler(count)
        change = {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}
        await cluster.client.patch(DEPLOYMENTS, "web", change, "team")
        await cluster.rolled_out("web")
        watching.cancel()
        assert min(ready for _, ready in seen) >= 3
        assert max(total for total, _ in seen) <= 6  # surge, and one that is just being replaced
        old, new = await cluster.replica_sets()
        assert (old["spec"]["replicas"], new["spec"]["replicas"]) == (0, 4)
        message = f"Scaled up replica set {old['metadata']['name']} from 0 to 4"
        await cluster.event("web", "ScalingReplicaSet", message)


async def test_recreate_never_mixes_versions(api: RunningApi) -> None:
    async with running_cluster(api) as cluster:
        await cluster.deploy(deployment(replicas=3, strategy={"type": "Recreate"}))
        await cluster.rolled_out("web")
        mixed: list[set[str]] = []
        pods = Informer(cluster.client, PODS, namespace="team")

        def look(_old: object, _new: object) -> None:
            hashes = {pod["metadata"]["labels"]["pod-template-hash"] for pod in pods}
            if len(hashes) > 1:
                mixed.append(hashes)

        watching = asyncio.create_task(pods.run())
        await pods.wait_synced()
        pods.add_handler(look)
        change = {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}
        await cluster.client.patch(DEPLOYMENTS, "web", change, "team")
        await cluster.rolled_out("web")
        watching.cancel()
        assert mixed == []


async def test_a_rollback_reuses_the_old_replica_set_under_a_new_revision(api: RunningApi) -> None:
    async with running_cluster(api) as cluster:
        await cluster.deploy(deployment(replicas=2, revisionHistoryLimit=1))
        await cluster.rolled_out("web")
        first = (await cluster.replica_sets())[0]["metadata"]["name"]
        await _set_image(cluster, "web:2")
        await _set_image(cluster, "web:1")
        sets = await cluster.replica_sets()
        assert sets[-1]["metadata"]["name"] == first
        annotations = sets[-1]["metadata"]["annotations"]
        assert annotations["deployment.kubernetes.io/revision"] == "3"
        assert annotations["deployment.kubernetes.io/revision-history"] == "1"
        await _set_image(cluster, "web:4")

        async def trimmed() -> None:
            assert len(await cluster.replica_sets()) == 2

        await until(lambda: _none(trimmed()))


async def test_a_paused_deployment_scales_but_does_not_roll(api: RunningApi) -> None:
    async with running_cluster(api) as cluster:
        await cluster.deploy(deployment(replicas=2))
        await cluster.rolled_out("web")
        container = {"name": "web", "image": "web:2"}
        spec = {"paused": True, "replicas": 5, "template": {"spec": {"containers": [container]}}}
        await cluster.client.patch(DEPLOYMENTS, "web", {"spec": spec}, "team", kind="strategic")

        async def scaled() -> bool:
            return len(await cluster.ready_pods()) == 5

        await until(scaled)
        assert len(await cluster.replica_sets()) == 1
        found = await cluster.client.get(DEPLOYMENTS, "web", "team")
        assert (condition(found, "Progressing") or {})["reason"] == "DeploymentPaused"
        await cluster.client.patch(DEPLOYMENTS, "web", {"spec": {"paused": False}}, "team")
        await cluster.rolled_out("web")
        assert len(await cluster.replica_sets()) == 2


async def test_a_version_that_never_gets_ready_stops_the_rollout(api: RunningApi) -> None:
    async with running_cluster(api) as cluster:
        await cluster.deploy(deployment(replicas=3, progressDeadlineSeconds=2, minReadySeconds=0))
        await cluster.rolled_out("web")
        for kubelet in cluster.kubelets.values():
            kubelet.healthy = lambda pod: pod["spec"]["containers"][0]["image"] != "web:bad"
        container = {"name": "web", "image": "web:bad"}
        change = {"spec": {"template": {"spec": {"containers": [container]}}}}
        await cluster.client.patch(DEPLOYMENTS, "web", change, "team", kind="strategic")

        async def stuck() -> None:
            found = await cluster.client.get(DEPLOYMENTS, "web", "team")
            progressing = condition(found, "Progressing") or {}
            assert progressing.get("reason") == "ProgressDeadlineExceeded", progressing

        await until(lambda: _none(stuck()))
        assert len(await cluster.ready_pods()) >= 3  # 25 % of 3 rounds down to none that may be missing


async def _set_image(cluster: Cluster, image: str) -> None:
    container = {"name": "web", "image": image}
    change = {"spec": {"template": {"spec": {"containers": [container]}}}}
    await cluster.client.patch(DEPLOYMENTS, "web", change, "team", kind="strategic")
    await cluster.rolled_out("web")


async def _none(check: Awaitable[None]) -> bool:
    await check
    return True
