"""Watches over nodes: turns the silent ones Unknown, taints them, marks their pods not ready.

Source: Kubernetes' ``pkg/controller/nodelifecycle``. When no node at all is ready, pods are left alone: then it is more
likely that we are cut off than that all nodes died at once.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping

from moorage.client import operations
from moorage.client.errors import ClientError, Conflict, NotFound
from moorage.client.events import EventRecorder
from moorage.client.lean import lean_pod
from moorage.client.objects import Document, condition, key_of, timestamp, uid_of, with_condition
from moorage.client.operations import Operation
from moorage.client.resource import LEASES, NODES, PODS
from moorage.controllers.context import Context
from moorage.controllers.nodes import zones
from moorage.controllers.nodes.health import Seen, is_ready, seen, sign_of_life, silent_conditions
from moorage.controllers.nodes.taints import silence_taint, wanted_taints, without_eviction
from moorage.controllers.nodes.zones import State
from moorage.controllers.pods import NODE_INDEX, index_nodes

log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-node-lease"
BATCH = 500
PAUSE = 0.1
"""Seconds between two looks at least, so that what one of them wrote has come back and many changes make one look."""


class NodeLifecycleController:
    """One look at all nodes every ``node_check`` seconds, and at once when a node's conditions change."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._clock = context.clock
        self._options = context.options
        self._nodes = context.informers.get(NODES)
        self._pods = context.informers.get(PODS, transform=lean_pod)
        self._leases = context.informers.get(LEASES, LEASE_NAMESPACE)
        self._events = EventRecorder(context.client, "node-controller", clock=context.clock)
        self._seen: dict[str, Seen] = {}
        self._evicted_at: dict[tuple[str, str], float] = {}
        self._zones: Mapping[tuple[str, str], tuple[State, int]] = {}
        self._wake = asyncio.Event()
        index_nodes(self._pods)
        self._nodes.add_handler(self._changed)

    async def run(self) -> None:
        """Work until cancelled."""
        for informer in (self._nodes, self._pods, self._leases):
            await informer.wait_synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run(), name="node events")
            while True:
                self._wake.clear()
                try:
                    await self.look()
                except ClientError as error:
                    log.warning("nodes: %s; looking again", error)
                await asyncio.sleep(min(PAUSE, self._options.node_check))
                try:
                    async with asyncio.timeout(self._options.node_check):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def look(self) -> None:
        """One look at all nodes."""
        loop_now = asyncio.get_running_loop().time()
        steps: list[Operation] = []
        nodes = list(self._nodes)
        names = {node["metadata"]["name"] for node in nodes}
        self._seen = {name: sighting for name, sighting in self._seen.items() if name in names}
        silent = {node["metadata"]["name"]: self._silent(node, loop_now) for node in nodes}
        well = [(node, is_ready(node) and not silent[node["metadata"]["name"]]) for node in nodes]
        self._follow_zones(zones.states(well))
        any_ready = any(ready for _, ready in well)
        for node in nodes:
            steps += self._steps(node, silent[node["metadata"]["name"]], any_ready, loop_now)
        if not steps:
            return
        for start in range(0, len(steps), BATCH):
            for result in (await self._client.batch(steps[start : start + BATCH])).results:
                if result.error is not None and not isinstance(result.error, NotFound | Conflict):
                    log.warning("%s %s: %s; looking again", result.kind, result.name, result.error)

    def _silent(self, node: Document, loop_now: float) -> bool:
        name = node["metadata"]["name"]
        sign = sign_of_life(node, self._leases.get(LEASE_NAMESPACE, name))
        self._seen[name] = seen(self._seen.get(name), sign, loop_now)
        return loop_now - self._seen[name].at >= self._options.node_grace

    def _steps(self, node: Document, silent: bool, any_ready: bool, loop_now: float) -> list[Operation]:
        now = self._clock()
        name = node["metadata"]["name"]
        conditions = silent_conditions(node, now) if silent else None
        if conditions is not None:
            return [self._turn_unknown(node, conditions)]  # the taints follow when the change comes back by watch
        steps: list[Operation] = self._pods_not_ready(name, now) if silence_taint(node) else []
        taints = without_eviction(node) if not any_ready else None
        if taints is None:
            evict = any_ready and silence_taint(node) is not None and self._may_evict(node, loop_now)
            taints = wanted_taints(node, evict=evict, now=now)
        if taints is not None:
            fixed = {"uid": uid_of(node), "resourceVersion": node["metadata"]["resourceVersion"]}
            change = {"metadata": fixed, "spec": {"taints": taints or None}}
            steps.append(operations.patch(NODES, "", name, change))
        return steps

    def _turn_unknown(self, node: Document, conditions: list[Document]) -> Operation:
        name = node["metadata"]["name"]
        log.warning("node %s has been silent for %.0f s", name, self._options.node_grace)
        if is_ready(node):
            self._events.record(node, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady")
        change = {"metadata": {"uid": uid_of(node)}, "status": {"conditions": conditions}}
        return operations.patch(NODES, "", name, change, subresource="status")

    def _may_evict(self, node: Document, loop_now: float) -> bool:
        """Whether this node may begin to lose its pods now: one node of a zone each ``eviction_interval`` seconds, later or never
        where much of the zone is not ready.
        """
        key = silence_taint(node)
        taints = (node.get("spec") or {}).get("taints") or ()
        if any(taint.get("key") == key and taint.get("effect") == "NoExecute" for taint in taints):
            return True
        zone = zones.zone_of(node)
        state, size = self._zones.get(zone, (State.NORMAL, 1))
        pause = zones.pause(state, size, self._options.eviction_interval)
        if pause == math.inf or loop_now < self._evicted_at.get(zone, -math.inf) + pause:
            return False
        self._evicted_at[zone] = loop_now
        return True

    def _follow_zones(self, now: Mapping[tuple[str, str], tuple[State, int]]) -> None:
        for zone, (state, size) in now.items():
            if state is not self._zones.get(zone, (State.NORMAL, 0))[0]:
                log.warning("zone %s of %d nodes is in state %s", "/".join(zone) or "without a name", size, state)
        self._zones = now

    def _pods_not_ready(self, node: str, now: float) -> list[Operation]:
        """Pods of a silent node get no traffic: their Ready condition turns False."""
        steps = []
        for pod in self._pods.by_index(NODE_INDEX, node):
            ready = condition(pod, "Ready")
            if ready is None or ready.get("status") == "False":
                continue
            entry = {**ready, "status": "False", "lastTransitionTime": timestamp(now)}
            change = {
                "metadata": {"uid": uid_of(pod)},
                "status": {"conditions": with_condition(pod["status"]["conditions"], entry)},
            }
            steps.append(operations.patch(PODS, *key_of(pod), change, subresource="status"))
            self._events.record(pod, "Warning", "NodeNotReady", "Node is not ready")
        return steps

    def _changed(self, old: Document | None, new: Document | None) -> None:
        if new is None or old is None or _word(old) != _word(new):
            self._wake.set()


def _word(node: Document) -> tuple[object, ...]:
    """What of a node calls for another look at once."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    spec = node.get("spec") or {}
    states = tuple((entry.get("type"), entry.get("status")) for entry in conditions)
    return (states, spec.get("unschedulable"), str(spec.get("taints")))
