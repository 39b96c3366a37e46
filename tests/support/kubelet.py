"""A node without containers: marks the pods that are bound to it Running and Ready, and confirms their deletion.

Stands in for an agent where controllers or the scheduler are tested.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from moorage.client.api import ApiClient
from moorage.client.errors import AlreadyExists, NotFound
from moorage.client.informer import Informer
from moorage.client.objects import Document, is_deleting, micro_timestamp, timestamp
from moorage.client.operations import STRATEGIC_PATCH, Operation, delete, patch
from moorage.client.resource import LEASES, NODES, PODS

CAPACITY = {"cpu": "4", "memory": "8Gi", "pods": "110"}


class FakeKubelet:
    """The node ``name``. ``healthy`` says whether a pod becomes ready; ``alive`` False makes the node silent."""

    def __init__(
        self, client: ApiClient, name: str, clock: Callable[[], float], *, capacity: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self.alive = True
        self.healthy: Callable[[Document], bool] = lambda _pod: True
        self.pods = Informer(client, PODS, fields={"spec.nodeName": name})
        self._client = client
        self._clock = clock
        self._capacity = capacity or CAPACITY
        self._wake = asyncio.Event()
        self.pods.add_handler(lambda _old, _new: self._wake.set())

    async def run(self) -> None:
        """Register, then follow the pods of this node until cancelled."""
        await self.register()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.pods.run())
            group.create_task(self._heartbeat())
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self.alive:
                    await self._work()

    def poke(self) -> None:
        """Look at the pods again (``healthy`` or ``alive`` changed)."""
        self._wake.set()

    async def register(self) -> None:
        """Make the Node, ready from the start."""
        now = timestamp(self._clock())
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "fake"}
        condition = {**ready, "lastHeartbeatTime": now, "lastTransitionTime": now}
        node: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": {"kubernetes.io/hostname": self.name}},
            "status": {"capacity": self._capacity, "allocatable": self._capacity, "conditions": [condition]},
        }
        try:
            await self._client.create(NODES, node)
        except AlreadyExists:
            await self._client.patch(NODES, self.name, {"status": {"conditions": [condition]}}, subresource="status")

    async def _heartbeat(self) -> None:
        while True:
            if self.alive:
                spec = {
                    "holderIdentity": self.name,
                    "leaseDurationSeconds": 40,
                    "renewTime": micro_timestamp(self._clock()),
                }
                try:
                    await self._client.patch(LEASES, self.name, {"spec": spec}, "kube-node-lease")
                except NotFound:
                    lease = {
                        "apiVersion": "coordination.k8s.io/v1",
                        "kind": "Lease",
                        "metadata": {"name": self.name, "namespace": "kube-node-lease"},
                        "spec": spec,
                    }
                    await self._client.create(LEASES, lease)
            await asyncio.sleep(0.5)

    async def _work(self) -> None:
        steps = [step for pod in self.pods if (step := self._step(pod)) is not None]
        if steps:
            await self._client.batch(steps)

    def _step(self, pod: Document) -> Operation | None:
        metadata = pod["metadata"]
        if is_deleting(pod):
            return delete(PODS, metadata["namespace"], metadata["name"], uid=metadata["uid"], grace_seconds=0)
        ready = "True" if self.healthy(pod) else "False"
        status = pod.get("status") or {}
        conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
        if status.get("phase") == "Running" and conditions.get("Ready") == ready:
            return None
        now = timestamp(self._clock())
        change = {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "conditions": [
                {"type": kind, "status": ready, "lastTransitionTime": now} for kind in ("Ready", "ContainersReady")
            ],
        }
        change_of = {"metadata": {"uid": metadata["uid"]}, "status": change}
        return patch(
            PODS, metadata["namespace"], metadata["name"], change_of, subresource="status", patch_type=STRATEGIC_PATCH
        )
