"""Watches over the node's memory, disk and processes: ends pods that use more disk than they may, and one pod after another
while the node runs short of something.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from moorage_agent.engine.contract import EngineError
from moorage_agent.images import reference
from moorage_agent.images.collection import Collection
from moorage_agent.node import eviction
from moorage_agent.node.disk import Disk
from moorage_agent.node.eviction import Candidate
from moorage_agent.node.machine import IMAGES_LEAST, IMAGES_MOST
from moorage_agent.node.means import Means
from moorage_agent.node.thresholds import DISK, INODES, MEMORY, Met
from moorage_agent.pods.fitting import is_critical
from moorage_agent.pods.node import Node
from moorage_agent.pods.observed import Attempt, every_container

log = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two looks, as the kubelet's."""
GRACE = 1.0
"""Seconds that a pod has which is ended for want of memory or disk."""
TELL = 300.0
"""Seconds between two events that say that the disk is full of what cannot be removed (the kubelet's period of collection)."""
CLEANUP = 30.0
"""Seconds for which the next pod waits until what the last one leaves is removed (the kubelet's ``podCleanupTimeout``)."""
FINAL = ("Succeeded", "Failed")


class Pod(Protocol):
    """A pod as its worker knows it."""

    pod: Mapping[str, Any]
    digest: str
    volumes_ready: bool

    @property
    def uid(self) -> str:
        """The pod's uid."""
        ...

    def running(self) -> list[Attempt]:
        """Its containers that run."""
        ...

    def attempts(self) -> Mapping[str, Sequence[Attempt]]:
        """The starts of its containers that are still here, by name."""
        ...

    def condemn(self, reason: str, message: str, grace: float) -> None:
        """End it for good."""
        ...


class Guard:
    """One node's. ``run`` works until cancelled."""

    def __init__(
        self,
        node: Node,
        pods: Callable[[], Iterable[Pod]],
        means: Means,
        images: Collection,
        *,
        interval: float = INTERVAL,
    ) -> None:
        self._node = node
        self._pods = pods
        self._means = means
        self._images = images
        self._interval = interval
        self._disk = Disk(node.engine, node.volumes, node.files)
        self._ending = ""
        self._ended_at = 0.0
        self._told_at = -TELL

    async def run(self) -> None:
        """Look every few seconds. A machine without a process id left has no thread for us either (RuntimeError)."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.look()
            except (EngineError, OSError, RuntimeError) as error:
                log.warning("looking after the node's means: %s", error)

    async def look(self) -> None:
        """One look."""
        self._disk.keep(
            {start.container.id for pod in self._pods() for each in pod.attempts().values() for start in each}
        )
        for pod in self._live():
            if eviction.limits(pod.pod):
                problem = eviction.beyond(pod.pod, await self._disk.of(pod))
                if problem:
                    self._node.meters.evictions.add(eviction.limit_of(problem))
                    pod.condemn("Evicted", problem, GRACE)
        needed = self._needed()
        self._images.use(needed)
        if self._means.used_share() > IMAGES_MOST:
            await self._collect(needed)
        for met in self._means.passed()[:1]:
            if met.resource in (DISK, INODES) and await self._images.collect(needed):
                return  # what was given back is seen at the next look
            await self._end_one(met)

    async def _collect(self, needed: set[str]) -> None:
        """Remove images until there is room again; where there is none, say so, now and then."""
        await self._images.collect(needed, lambda: self._means.used_share() <= IMAGES_LEAST)
        used, now = self._means.used_share(), time.monotonic()
        if used > IMAGES_MOST and now - self._told_at > TELL:
            self._told_at = now
            why = f"{used:.0%} of the disk are used, nothing is left to remove"
            self._tell("FreeDiskSpaceFailed", f"Failed to garbage collect required amount of images: {why}")

    def _needed(self) -> set[str]:
        """Names of the images of the pods that are here."""
        found = set()
        for pod in self._pods():
            volumes = [one["image"] for one in pod.pod["spec"].get("volumes") or () if one.get("image")]
            named = [one.get("image", "") for one in every_container(pod.pod)]
            for name in [*named, *(one.get("reference", "") for one in volumes)]:
                with contextlib.suppress(ValueError):
                    found.add(reference.parse(name).text)
        return found

    def _live(self) -> list[Pod]:
        """What may be ended: the system's pods and the node's own are spared, whatever they take."""
        return [
            one
            for one in self._pods()
            if (one.pod.get("status") or {}).get("phase") not in FINAL
            and one.running()
            and not is_critical(one.pod, static=bool(one.digest))
        ]

    async def _end_one(self, met: Met) -> None:
        if self._is_ending():
            return  # what it gives back is not seen yet
        live = {one.uid: one for one in self._live()}
        self._tell("EvictionThresholdMet", f"Attempting to reclaim {met.resource}")
        chosen = eviction.first([await self._candidate(one, met.resource) for one in live.values()], met.resource)
        if chosen is None:
            log.warning("the node is low on %s, and there is no pod to end", met.resource)
            return
        self._ending, self._ended_at = chosen.uid, time.monotonic()
        metadata = chosen.pod["metadata"]
        log.warning("the node is low on %s: ending pod %s/%s", met.resource, metadata["namespace"], metadata["name"])
        self._node.meters.evictions.add(met.signal)
        live[chosen.uid].condemn("Evicted", eviction.message(chosen, met), GRACE)

    def _is_ending(self) -> bool:
        """Whether the pod that was ended last still has containers or volumes, and has not had all the time for that."""
        if time.monotonic() - self._ended_at > CLEANUP:
            return False
        return any(one.uid == self._ending and (one.volumes_ready or one.running()) for one in self._pods())

    def _tell(self, reason: str, text: str) -> None:
        """An event of the node, in the kubelet's words."""
        name = self._node.identity.owner.node
        about = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": name}}
        self._node.recorder.record(about, "Warning", reason, text)

    async def _candidate(self, pod: Pod, resource: str) -> Candidate:
        if resource in (DISK, INODES):
            taken = await self._disk.of(pod)
            own = {name: one.whole for name, one in taken.containers.items()}
            return Candidate(pod.uid, pod.pod, taken.whole, own)
        used = {one.name: await self._node.engine.usage(one.container.id) for one in pod.running()}
        found = {name: float(one.memory if resource == MEMORY else one.processes) for name, one in used.items()}
        return Candidate(pod.uid, pod.pod, sum(found.values()), found)
