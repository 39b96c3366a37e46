"""A control plane without containers: real API server, real controllers and scheduler, fake kubelets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from moorage.client.api import ApiClient
from moorage.client.errors import NotFound
from moorage.client.informer import Informers
from moorage.client.objects import condition
from moorage.client.resource import DEPLOYMENTS, EVENTS, NAMESPACES, PODS, REPLICA_SETS, Resource
from moorage.controllers.context import Options
from moorage.controllers.run import run as run_controllers
from moorage.scheduler.run import run as run_scheduler
from tests.support.apiserver import RunningApi
from tests.support.kubelet import FakeKubelet
from tests.support.wait import until

FAST = Options(
    node_grace=2.0,
    node_check=0.2,
    pod_eviction=0.5,
    eviction_interval=0.1,
    node_gone_grace=0.5,
)


@dataclass
class Cluster:
    """What runs. ``namespace`` exists."""

    client: ApiClient
    group: asyncio.TaskGroup
    kubelets: dict[str, FakeKubelet] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    namespace: str = "team"

    async def add_node(self, name: str) -> FakeKubelet:
        """Another node."""
        kubelet = FakeKubelet(self.client, name, time.time)
        self.kubelets[name] = kubelet
        self.tasks[name] = self.group.create_task(kubelet.run(), name=f"kubelet {name}")
        await kubelet.pods.wait_synced()
        return kubelet

    async def objects(self, resource: Resource, labels: str = "") -> list[dict[str, Any]]:
        """Objects of the namespace."""
        return (await self.client.list(resource, self.namespace, labels=labels)).items

    async def ready_pods(self, labels: str = "") -> list[dict[str, Any]]:
        """Pods that are ready and not being deleted."""
        pods = await self.objects(PODS, labels)
        ready = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        return [pod for pod in ready if (condition(pod, "Ready") or {}).get("status") == "True"]

    async def deploy(self, document: dict[str, Any]) -> dict[str, Any]:
        """Create a Deployment."""
        return await self.client.create(DEPLOYMENTS, document)

    async def rolled_out(self, name: str, timeout: float = 30.0) -> dict[str, Any]:
        """Wait for what ``kubectl rollout status`` waits for."""

        async def complete() -> dict[str, Any]:
            found = await self.client.get(DEPLOYMENTS, name, self.namespace)
            status, replicas = found.get("status") or {}, found["spec"]["replicas"]
            assert status.get("observedGeneration", 0) >= found["metadata"]["generation"], status
            for count in ("updatedReplicas", "replicas", "availableReplicas"):
                assert status.get(count, 0) == replicas, f"{count}: {status}"
            return found

        return await until(complete, timeout=timeout)

    async def event(self, name: str, reason: str, message: str) -> None:
        """Wait for an event about an object."""

        async def recorded() -> bool:
            found = await self.client.list(
                EVENTS, self.namespace, fields={"involvedObject.name": name, "reason": reason}
            )
            messages = [event["message"] for event in found.items]
            assert message in messages, messages
            return True

        await until(recorded)

    async def gone(self, get: Callable[[], Awaitable[object]]) -> bool:
        """Whether a read ends in NotFound."""
        try:
            found = await get()
        except NotFound:
            return True
        raise AssertionError(f"still there: {found}")

    async def replica_sets(self) -> list[dict[str, Any]]:
        """ReplicaSets, oldest revision first."""
        sets = await self.objects(REPLICA_SETS)
        return sorted(sets, key=lambda each: int(each["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))


def deployment(name: str = "web", replicas: int = 3, image: str = "web:1", **spec: Any) -> dict[str, Any]:
    """A Deployment of one container."""
    labels = {"app": name}
    container = {"name": "web", "image": image, "resources": {"requests": {"cpu": "10m", "memory": "10Mi"}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "team"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            **spec,
        },
    }


@asynccontextmanager
async def running_cluster(api: RunningApi, nodes: int = 2, options: Options = FAST) -> AsyncIterator[Cluster]:
    """Start everything; stop it at the end. A controller that dies fails the test."""
    async with ApiClient(api.url, token=api.token, ca_file=api.ca_file) as client:
        await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
        informers = Informers(client)
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            cluster = Cluster(client, group)
            tasks = [
                group.create_task(run_controllers(client, options, informers=informers, ready=ready.set)),
                group.create_task(run_scheduler(client, informers=informers)),
                group.create_task(informers.run()),
            ]
            for number in range(nodes):
                await cluster.add_node(f"node-{number}")
            await asyncio.wait_for(ready.wait(), 20)
            try:
                yield cluster
            finally:
                for task in (*tasks, *cluster.tasks.values()):
                    task.cancel()
