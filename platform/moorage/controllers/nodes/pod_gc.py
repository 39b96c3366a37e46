"""Removes pods that nobody else will: of nodes that no longer exist, and finished ones beyond a number.

Source: Kubernetes' ``pkg/controller/podgc``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

from moorage.client import operations
from moorage.client.errors import ClientError, NotFound
from moorage.client.lean import lean_pod
from moorage.client.objects import Document, is_deleting, key_of, timestamp, uid_of, with_condition
from moorage.client.operations import Operation
from moorage.client.resource import NODES, PODS
from moorage.controllers.context import Context
from moorage.controllers.pods import FINISHED, node_name, phase

log = logging.getLogger(__name__)

SECONDS = 20.0


class PodGarbageCollector:
    """One look at all pods every 20 s (oftener where the grace for lost nodes is shorter)."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._clock = context.clock
        self._options = context.options
        self._nodes = context.informers.get(NODES)
        self._pods = context.informers.get(PODS, transform=lean_pod)
        self._missing: dict[str, float] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        await self._nodes.wait_synced()
        await self._pods.wait_synced()
        while True:
            try:
                await self.look()
            except ClientError as error:
                log.warning("pod garbage collection: %s", error)
            await asyncio.sleep(min(SECONDS, max(0.5, self._options.node_gone_grace / 2)))

    async def look(self) -> None:
        """One look at all pods."""
        pods = list(self._pods)
        gone = await self._gone_nodes(pods)
        steps: list[Operation] = []
        for pod in pods:
            node = node_name(pod)
            if node in gone:
                steps += self._remove(pod, "PodGC: node no longer exists")
            elif not node and is_deleting(pod):
                steps += self._remove(pod, "")  # nobody runs it, so nobody will confirm its end
        surplus = surplus_finished(pods, self._options.terminated_pods)
        steps += [operations.delete(PODS, *key_of(pod), uid=uid_of(pod), grace_seconds=0) for pod in surplus]
        for start in range(0, len(steps), 500):
            for result in (await self._client.batch(steps[start : start + 500])).results:
                if result.error is not None and not isinstance(result.error, NotFound):
                    log.info("pod %s/%s: %s", result.namespace, result.name, result.error)

    async def _gone_nodes(self, pods: Iterable[Document]) -> set[str]:
        """Nodes that pods name and that have been missing for the grace time; a live read has the last word."""
        now = asyncio.get_running_loop().time()
        named = {node_name(pod) for pod in pods if node_name(pod)}
        missing = {name for name in named if self._nodes.get("", name) is None}
        self._missing = {name: self._missing.get(name, now) for name in missing}
        gone = set()
        for name, since in self._missing.items():
            if now - since >= self._options.node_gone_grace:
                try:
                    await self._client.get(NODES, name, metadata_only=True)
                except NotFound:
                    gone.add(name)
        return gone

    def _remove(self, pod: Document, why: str) -> list[Operation]:
        """Say why (a lost pod ends as Failed), then delete without waiting for a node that will not answer."""
        steps = []
        if why and phase(pod) not in FINISHED:
            entry = {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "DeletionByPodGC",
                "message": why,
                "lastTransitionTime": timestamp(self._clock()),
            }
            conditions = with_condition((pod.get("status") or {}).get("conditions") or [], entry)
            change = {"metadata": {"uid": uid_of(pod)}, "status": {"phase": "Failed", "conditions": conditions}}
            steps.append(operations.patch(PODS, *key_of(pod), change, subresource="status"))
        log.info("removing pod %s: %s", key_of(pod), why or "deleted before it was bound")
        return [*steps, operations.delete(PODS, *key_of(pod), uid=uid_of(pod), grace_seconds=0)]


def surplus_finished(pods: Iterable[Document], kept: int) -> Sequence[Document]:
    """The oldest finished pods beyond ``kept``."""
    finished = [pod for pod in pods if phase(pod) in FINISHED and not is_deleting(pod)]
    finished.sort(key=lambda pod: (pod["metadata"].get("creationTimestamp") or "", pod["metadata"]["name"]))
    return finished[: max(0, len(finished) - kept)]
