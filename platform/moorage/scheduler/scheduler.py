"""The thin loop: follows pods and nodes, asks ``place``, binds in batches, says why a pod does not fit.

A pod that is placed counts on its node from that moment (it is *assumed*) until the watch shows it there or the binding
fails, so that
placing goes on while bindings are on their way.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence

from moorage.client import operations
from moorage.client.api import ApiClient
from moorage.client.errors import ClientError, Conflict, NotFound
from moorage.client.events import EventRecorder
from moorage.client.informer import Informers
from moorage.client.lean import lean_pod
from moorage.client.objects import Document, condition, is_deleting, timestamp, uid_of
from moorage.client.operations import STRATEGIC_PATCH, Operation
from moorage.client.resource import (
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    STORAGE_CLASSES,
)
from moorage.scheduler.nodetable import NodeTable
from moorage.scheduler.nominations import Nominations
from moorage.scheduler.pending import PendingPods
from moorage.scheduler.place import Placement, Placer
from moorage.scheduler.podinfo import PodInfo, Profiles, reference
from moorage.scheduler.preempting import Clearing, Preemption
from moorage.scheduler.volumes import Volumes

log = logging.getLogger(__name__)

NAME = "default-scheduler"
BATCH = 256
"""The most pods that are placed without letting the event loop breathe, and bound in one request."""
IN_FLIGHT = 4
"""Binding requests under way at a time."""
_FINISHED = ("Succeeded", "Failed")


class Scheduler:
    """Binds pods of ``default-scheduler``. ``rng`` breaks ties between equally good nodes."""

    def __init__(
        self,
        client: ApiClient,
        informers: Informers,
        *,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._nodes = informers.get(NODES)
        self._pods = informers.get(PODS, transform=lean_pod)
        self._namespaces = informers.get(NAMESPACES)
        self._namespace_labels: dict[str, dict[str, str]] = {}
        self._profiles = Profiles()
        self._pending = PendingPods()
        self._assumed: dict[str, PodInfo] = {}
        self._table = NodeTable()
        chooser = rng if rng is not None else random.Random()  # noqa: S311 - ties, not secrets
        self._nominations = Nominations()
        self._storage = [
            informers.get(each) for each in (PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES)
        ]
        claims, volumes, classes = self._storage
        judge = Volumes(claims, volumes, classes, self._pods, self._assumed).judge
        self._placer = Placer(self._table, chooser, self._namespace_labels, self._nominations, judge)
        self._budgets = informers.get(POD_DISRUPTION_BUDGETS)
        self._preemption = Preemption(client, self._budgets, self._table, self._placer, self._nominations)
        self._events = EventRecorder(client, NAME, clock=clock)
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def run(self) -> None:
        """Work until cancelled."""
        self._namespaces.add_handler(self._namespace_changed)
        self._nodes.add_handler(self._node_changed)
        self._pods.add_handler(self._pod_changed)
        for informer in self._storage:
            informer.add_handler(self._storage_changed)
        for informer in (self._nodes, self._pods, self._namespaces, self._budgets, *self._storage):
            await informer.wait_synced()
        log.info("scheduler is running: %d nodes, %d pods wait", len(self._table), len(self._pending))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._events.run(), name="scheduler events")
                while True:
                    await self._pending.wait()
                    await self._slots.acquire()
                    placed, failed, clearing = self._place()
                    group.create_task(self._carry_out(placed, failed, clearing), name="bind")
                    await asyncio.sleep(0)  # let bindings start and the watch be read between two batches
        finally:
            self._pending.stop()

    def _place(self) -> tuple[list[Placement], list[Placement], Clearing]:
        """Place the next pods; assume those that found a node, put back the others, for whom others may have to go."""
        placements = self._placer.place(self._pending.take(BATCH))
        placed = [each for each in placements if each.node]
        failed = [each for each in placements if not each.node]
        self._assumed.update({each.pod.uid: each.pod for each in placed})
        clearing = self._preemption.plan(failed)
        for each in failed:
            self._pending.put_back(each.pod, until_change=each.pod.uid not in clearing.later)
        return placed, failed, clearing

    async def _carry_out(self, placed: Sequence[Placement], failed: Sequence[Placement], clearing: Clearing) -> None:
        """Bind what was placed, explain what was not, clear nodes. Gives back its slot."""
        try:
            if placed:
                await self._bind(placed)
            if failed:
                await self._explain(failed)
            if clearing and not await self._preemption.carry_out(clearing, self._events, self._clock()):
                self._pending.something_changed()
        finally:
            self._slots.release()

    async def _bind(self, placements: Sequence[Placement]) -> None:
        steps = [operations.binding(*each.pod.key, each.node, each.pod.uid) for each in placements]
        try:
            results = (await self._client.batch(steps)).results
        except ClientError as error:
            log.warning("binding %d pods: %s", len(steps), error)
            for each in placements:
                self._bind_failed(each, error)
            return
        for each, result in zip(placements, results, strict=True):
            if result.error is not None:
                self._bind_failed(each, result.error)
                continue
            about = reference(each.pod)
            message = f"Successfully assigned {each.pod.key} to {each.node}"
            self._events.record(about, "Normal", "Scheduled", message)

    def _bind_failed(self, placement: Placement, error: ClientError) -> None:
        """Take back the assumption, unless the watch has shown the pod on a node meanwhile."""
        pod = placement.pod
        if self._assumed.pop(pod.uid, None) is None:
            return
        self._table.release(pod.uid)
        if isinstance(error, NotFound):
            return
        if not isinstance(error, Conflict):
            log.warning("pod %s: binding to %s failed: %s", pod.key, placement.node, error)
        live = self._pods.get(*pod.key)
        if live is not None and uid_of(live) == pod.uid and _wants_node(live):
            self._pending.put_back(pod, until_change=False)

    async def _explain(self, placements: Sequence[Placement]) -> None:
        steps: list[Operation] = []
        for each in placements:
            pod = self._pods.get(*each.pod.key)
            if pod is None or uid_of(pod) != each.pod.uid:
                continue
            self._events.record(pod, "Warning", "FailedScheduling", each.message)
            change = _unschedulable(pod, each.message, self._clock())
            if change is not None:
                steps.append(change)
        if not steps:
            return
        try:
            await self._client.batch(steps)
        except ClientError as error:
            log.info("status of %d unschedulable pods: %s", len(steps), error)

    def _namespace_changed(self, old: Document | None, new: Document | None) -> None:
        document = new or old
        assert document is not None
        name = document["metadata"]["name"]
        if new is None:
            self._namespace_labels.pop(name, None)
        else:
            self._namespace_labels[name] = new["metadata"].get("labels") or {}

    def _storage_changed(self, _old: Document | None, new: Document | None) -> None:
        if new is not None and len(self._pending):
            self._pending.something_changed()

    def _node_changed(self, old: Document | None, new: Document | None) -> None:
        if new is not None:
            if self._table.put(new):
                self._pending.something_changed()
        elif old is not None:
            self._table.remove(old["metadata"]["name"])

    def _pod_changed(self, old: Document | None, new: Document | None) -> None:
        if new is None:
            assert old is not None
            self._forget(uid_of(old))
            return
        uid = uid_of(new)
        node = new["spec"].get("nodeName")
        if (new.get("status") or {}).get("phase") in _FINISHED:
            self._forget(uid)
        elif node:
            self._runs(old, new, node)
        elif not _wants_node(new):
            self._pending.discard(uid)
            self._nominations.drop(uid)
        elif uid not in self._assumed and (old is None or not self._pending.knows(uid) or _changed(old, new)):
            pod = self._profiles.read(new)
            promised = (new.get("status") or {}).get("nominatedNodeName")
            if promised and old is None:
                self._nominations.put(pod, promised)
            self._pending.add(pod)

    def _runs(self, old: Document | None, new: Document, node: str) -> None:
        """The pod is on a node."""
        uid = uid_of(new)
        as_assumed = self._assumed.pop(uid, None) is not None and self._table.node_of(uid) == node
        self._pending.discard(uid)
        self._nominations.drop(uid)
        if is_deleting(new):
            self._preemption.going.add(uid)
        if not as_assumed and (self._table.node_of(uid) != node or old is None or old["spec"] != new["spec"]):
            self._table.release(uid)
            self._table.assign(self._profiles.read(new), node)

    def _forget(self, uid: str) -> None:
        """The pod takes nothing any more; what waits may fit now."""
        self._assumed.pop(uid, None)
        self._pending.discard(uid)
        self._preemption.going.discard(uid)
        kept = self._nominations.drop(uid)
        if self._table.release(uid) or kept:
            self._pending.something_changed()


def _wants_node(pod: Document) -> bool:
    """Whether this scheduler is to find a node for the pod."""
    spec = pod["spec"]
    ours = (spec.get("schedulerName") or NAME) == NAME
    return ours and not spec.get("nodeName") and not spec.get("schedulingGates") and not is_deleting(pod)


def _changed(old: Document, new: Document) -> bool:
    """Whether the pod itself changed so that it may fit now (not only its status)."""
    return bool(old["spec"] != new["spec"] or old["metadata"].get("labels") != new["metadata"].get("labels"))


def _unschedulable(pod: Document, message: str, now: float) -> Operation | None:
    """The patch that says why in the pod's PodScheduled condition; None where it says so already."""
    old = condition(pod, "PodScheduled") or {}
    entry = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    if "generation" in pod["metadata"]:
        entry["observedGeneration"] = pod["metadata"]["generation"]
    if all(old.get(field) == value for field, value in entry.items()):
        return None
    since = old.get("lastTransitionTime") if old.get("status") == "False" else None
    entry["lastTransitionTime"] = since or timestamp(now)
    change = {"metadata": {"uid": uid_of(pod)}, "status": {"conditions": [entry]}}
    metadata = pod["metadata"]
    return operations.patch(
        PODS, metadata["namespace"], metadata["name"], change, subresource="status", patch_type=STRATEGIC_PATCH
    )
