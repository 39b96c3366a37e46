"""Ends pods that may not stay on their node: at once, or when their toleration runs out."""

from __future__ import annotations

import asyncio

from moorage.client import operations
from moorage.client.errors import NotFound
from moorage.client.events import EventRecorder
from moorage.client.lean import lean_pod
from moorage.client.objects import Document, ObjectKey, is_deleting, key_of, timestamp, uid_of, with_condition
from moorage.client.reconcile import DONE, After, Outcome, Runner, Temporary
from moorage.client.resource import NODES, PODS
from moorage.controllers.context import Context
from moorage.controllers.nodes.eviction import leave_at
from moorage.controllers.pods import NODE_INDEX, index_nodes, node_name


class TaintEvictionController:
    """One key is one pod; taints of its node decide."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._clock = context.clock
        self._cap = context.options.pod_eviction
        self._nodes = context.informers.get(NODES)
        self._pods = context.informers.get(PODS, transform=lean_pod)
        self._events = EventRecorder(context.client, "taint-eviction-controller", clock=context.clock)
        self._since: dict[ObjectKey, float] = {}
        """When a taint that does not say since when it is there was first seen to concern a pod."""
        self._runner: Runner[ObjectKey] = Runner("taint-eviction", self.reconcile, workers=context.options.workers)
        index_nodes(self._pods)
        self._nodes.add_handler(self._node_changed)
        self._pods.add_handler(self._pod_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._nodes.wait_synced()
        await self._pods.wait_synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run(), name="taint events")
            await self._runner.run()

    async def reconcile(self, key: ObjectKey) -> Outcome:
        """Look at one pod."""
        pod = self._pods.get(*key)
        node = self._nodes.get("", node_name(pod)) if pod is not None and node_name(pod) else None
        if pod is None or node is None or is_deleting(pod):
            return DONE
        now = self._clock()
        since = self._since.setdefault(key, now)
        when = leave_at(pod, (node.get("spec") or {}).get("taints") or (), since, self._cap)
        if when is None:
            del self._since[key]
            return DONE
        return After(when - now) if when > now else await self._evict(pod, now)

    async def _evict(self, pod: Document, now: float) -> Outcome:
        key = key_of(pod)
        message = f"Marking for deletion Pod {key}"
        self._events.record(pod, "Normal", "TaintManagerEviction", message)
        entry = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": timestamp(now),
        }
        conditions = with_condition((pod.get("status") or {}).get("conditions") or [], entry)
        change = {"metadata": {"uid": uid_of(pod)}, "status": {"conditions": conditions}}
        steps = [
            operations.patch(PODS, *key, change, subresource="status"),
            operations.delete(PODS, *key, uid=uid_of(pod)),
        ]
        for result in (await self._client.batch(steps)).results:
            if result.error is not None and not isinstance(result.error, NotFound):
                return Temporary(str(result.error))
        return DONE

    def _node_changed(self, old: Document | None, new: Document | None) -> None:
        if new is None:
            return
        taints = (new.get("spec") or {}).get("taints")
        if taints == ((old.get("spec") or {}).get("taints") if old else None):
            return
        for pod in self._pods.by_index(NODE_INDEX, new["metadata"]["name"]):
            self._runner.queue.add(key_of(pod))

    def _pod_changed(self, old: Document | None, new: Document | None) -> None:
        if new is None and old is not None:
            self._since.pop(key_of(old), None)
        if new is None or not node_name(new):
            return
        if old is None or not node_name(old) or old["spec"].get("tolerations") != new["spec"].get("tolerations"):
            node = self._nodes.get("", node_name(new))
            if node is not None and (node.get("spec") or {}).get("taints"):
                self._runner.queue.add(key_of(new))
