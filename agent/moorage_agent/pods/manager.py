"""All pods of the node: a worker for each that the API has or the engine still runs, engine events, re-lists, sweeps.

Recovery comes before everything else: containers are listed and handed to their pods' workers before the first of them
decides anything. Only containers that carry this cluster's and this node's labels are ever looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moorage.client.errors import ClientError
from moorage.client.informer import Informer
from moorage.client.resource import PODS
from moorage_agent.engine.contract import Container, EngineError, NoSuchContainer, State, Summary
from moorage_agent.pods import labels as names
from moorage_agent.pods import resizing
from moorage_agent.pods.networking import NetworkError
from moorage_agent.pods.node import Node
from moorage_agent.pods.worker import PodWorker
from moorage_agent.static.mirrors import is_mirror
from moorage_agent.volumes import sources
from moorage_agent.waiting import happened

log = logging.getLogger(__name__)

Document = dict[str, Any]

FINAL = ("Succeeded", "Failed")
RELIST = 60.0
"""Seconds between looks at all containers, for what events did not tell."""
ORPHAN_GRACE = 30.0
"""Seconds for which containers of a pod that the API does not have are left alone."""
REFRESH = 10.0
"""Seconds between looks at the ConfigMaps and Secrets in volumes."""
SECOND_LOOK = 5.0
"""Seconds after the engine has come back until all containers are looked at again: what it was starting may have come late."""
EVENTS_FIRST, EVENTS_LAST = 0.2, 10.0
INSPECTS_AT_ONCE = 16


class Pods:
    """The pods of one node. ``run`` works until cancelled; containers go on when it ends."""

    def __init__(
        self, node: Node, informer: Informer, *, orphan_grace: float = ORPHAN_GRACE, static: bool = False
    ) -> None:
        """``static``: pods of the node's own begin before the API has been heard."""
        self._node = node
        node.claim_user = self.claim_user
        node.room = self.room
        self._informer = informer
        self._orphan_grace = orphan_grace
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._orphans: dict[str, float] = {}
        self._adoptions: set[asyncio.Task[None]] = set()
        self._found: dict[str, dict[str, Container]] = {}
        self._lost = asyncio.Event()
        self._listed_at = time.monotonic()
        self._static = static
        self._beginning: dict[str, PodWorker] = {}
        self._apart: set[str] | None = None
        self.on_static_end: Callable[[], None] = lambda: None
        """Called when a static pod has ended."""
        self.recovered = asyncio.Event()
        """Set once the engine's containers are known: static pods may begin."""
        self.connected = asyncio.Event()
        """Set while the engine's events are followed."""

    def find(self, namespace: str, name: str, uid: str = "") -> PodWorker | None:
        """The worker of a pod. Without ``uid``, of several of one name (one is ending) the one that the API has."""
        if uid:
            return self._workers.get(uid) or next((one for one in self._workers.values() if one.api_uid == uid), None)
        found = [
            one
            for one in self._workers.values()
            if one.pod["metadata"]["name"] == name and one.pod["metadata"]["namespace"] == namespace
        ]
        return next((one for one in found if not one.gone), found[0] if found else None)

    def claim_user(self, namespace: str, claim: str, uid: str) -> str:
        """The name of another pod than ``uid`` that has its volumes, this claim's among them; "" where there is none."""
        for one in self._workers.values():
            metadata = one.pod["metadata"]
            others = one.uid != uid and one.volumes_ready and metadata["namespace"] == namespace
            if others and claim in sources.claims(one.pod).values():
                return str(metadata["name"])
        return ""

    def room(self, uid: str) -> resizing.Room:
        """What the node has in all, and what its pods other than ``uid`` were granted of it."""
        used = dict.fromkeys(resizing.UNITS, 0.0)
        for one in self._workers.values():
            if one.uid != uid and not one.gone and (one.pod.get("status") or {}).get("phase") not in FINAL:
                for name, amount in resizing.requests(one.pod).items():
                    used[name] += amount
        facts = self._node.facts
        return resizing.Room({"cpu": facts.cpu, "memory": float(facts.memory)}, used)

    def __iter__(self) -> Iterator[PodWorker]:
        """The pods that the node has now."""
        return iter(list(self._workers.values()))

    def __len__(self) -> int:
        return len(self._workers)

    async def run(self) -> None:
        """Recover, then follow the API and the engine."""
        try:
            if not self._static:
                await self._informer.wait_synced()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_engine(), name="engine events")
                await self.connected.wait()
                self.recovered.set()
                if self._static:
                    await self._informer.wait_synced()
                    await self._look_again()
                self._informer.add_handler(self._changed)
                self._found = {}
                group.create_task(self._relist_often(), name="re-list")
                group.create_task(self._refresh_volumes(), name="volume refresh")
        finally:
            tasks = [*self._tasks.values(), *self._adoptions]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def static_workers(self) -> list[PodWorker]:
        """The static pods that run, begin or end."""
        return [*self._beginning.values(), *(one for one in self._workers.values() if one.digest)]

    def begin_static(self, pod: Document, digest: str) -> bool:
        """Run a pod of the node's own. False where one of this uid is still here."""
        worker = PodWorker(self._node, pod, digest)
        if worker.uid in self._workers or worker.uid in self._beginning:
            return False
        self._orphans.pop(worker.uid, None)
        self._beginning[worker.uid] = worker
        task = asyncio.create_task(self._adopt_static(worker), name=f"adopt static pod {pod['metadata']['name']}")
        self._adoptions.add(task)
        task.add_done_callback(self._adoptions.discard)
        return True

    async def _adopt_static(self, worker: PodWorker) -> None:
        """Look at what the engine has of it from before, then run it."""
        found: list[Container] = []
        while True:
            try:
                found = await self._of_pod(worker.uid)
                if not worker.pod["spec"].get("hostNetwork"):
                    found = [await self._unless_apart(one) for one in found]
                break
            except EngineError as error:
                log.warning("adopting static pod %s: %s", worker.pod["metadata"]["name"], error)
                await asyncio.sleep(1.0)
        del self._beginning[worker.uid]
        self._start(worker, {one.id: one for one in found})

    async def _of_pod(self, uid: str) -> list[Container]:
        labels = {**self._node.identity.owner.labels(), names.POD_UID: uid}
        return await self._inspect([one.id for one in await self._node.engine.list(labels)])

    async def _unless_apart(self, container: Container) -> Container:
        """A sandbox that lost its network is ended; its pod gets another."""
        if container.id not in (self._apart or ()) or container.state is not State.RUNNING:
            return container
        await self._node.engine.stop(container.id, 0.0)
        return await self._node.engine.inspect(container.id)

    async def _look_again(self) -> None:
        """The API was heard after the engine: what ran then may have ended meanwhile."""
        while True:
            try:
                await self._relist(first=True)
                return
            except EngineError as error:
                log.warning("looking at all containers: %s", error)
                await asyncio.sleep(1.0)

    def _changed(self, old: Document | None, new: Document | None) -> None:
        """A pod of this node was added, changed or deleted in the API."""
        if any(is_mirror(one) for one in (old, new) if one is not None):
            return  # it shows a static pod, which has a worker already
        if new is None:
            assert old is not None
            worker = self._workers.get(old["metadata"]["uid"])
            if worker is not None:
                worker.vanish()
            return
        uid = new["metadata"]["uid"]
        worker = self._workers.get(uid)
        if worker is not None:
            worker.update(new)
        elif self._orphans.pop(uid, None) is not None:
            task = asyncio.create_task(self._adopt(new), name=f"adopt pod {new['metadata']['name']}")
            self._adoptions.add(task)
            task.add_done_callback(self._adoptions.discard)
        else:
            self._start(PodWorker(self._node, new))

    async def _adopt(self, pod: Document) -> None:
        """The API has a pod again whose containers were taken for orphans (a restored database): look before doing anything."""
        uid = pod["metadata"]["uid"]
        while uid not in self._workers:
            try:
                found = await self._of_pod(uid)
            except EngineError as error:
                log.warning("adopting pod %s: %s", pod["metadata"]["name"], error)
                await asyncio.sleep(1.0)
                continue
            current = self._informer.get(pod["metadata"]["namespace"], pod["metadata"]["name"])
            if current is None or current["metadata"]["uid"] != uid:
                return
            self._start(PodWorker(self._node, current), {one.id: one for one in found})

    def _start(self, worker: PodWorker, found: Mapping[str, Container] | None = None) -> None:
        worker.adopt(found or self._found.pop(worker.uid, {}))
        uid = worker.uid
        self._workers[uid] = worker
        task = asyncio.create_task(worker.run(), name=f"pod {worker.pod['metadata']['name']}")
        self._tasks[uid] = task
        task.add_done_callback(lambda done: self._ended(uid, done))

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(uid, None)
        worker = self._workers.pop(uid, None)
        self._node.status.forget(uid)
        if worker is None or task.cancelled():
            return
        self._node.meters.forget(worker.pod)
        if worker.digest:
            self._node.status.forget(worker.api_uid)
            self.on_static_end()
        error = task.exception()
        if error is not None:  # a dead worker is loud, and its pod gets a new one
            log.error("worker of pod %s failed", worker.pod["metadata"]["name"], exc_info=error)
            asyncio.get_running_loop().call_later(1.0, self._revive, worker.pod)

    def _revive(self, pod: Mapping[str, Any]) -> None:
        """A pod without a worker is an orphan that the API has: it is looked at, then gets a worker."""
        metadata = pod["metadata"]
        current = self._informer.get(metadata["namespace"], metadata["name"])
        if current is not None:
            self._orphans.setdefault(current["metadata"]["uid"], 0.0)
            self._changed(None, current)

    async def _follow_engine(self) -> None:
        """Events for as long as the engine sends them; after each (re)connect a look at everything."""
        labels = self._node.identity.owner.labels()
        delay = EVENTS_FIRST
        first = True
        while True:
            try:
                async with contextlib.aclosing(self._node.engine.events(labels)) as events:
                    async for event in events:
                        if event is not None:
                            self._event(event.action, event.id, event.labels)
                            continue
                        await self._relist(first=first)
                        first = False
                        delay = EVENTS_FIRST
                        self.connected.set()
                        asyncio.get_running_loop().call_later(SECOND_LOOK, self._lost.set)
                log.warning("the engine ended its event stream; following it again")
            except EngineError as error:
                log.warning("engine events: %s; again in %.1f s", error, delay)
            finally:
                self.connected.clear()
            await asyncio.sleep(delay)
            delay = min(delay * 2, EVENTS_LAST)

    def _event(self, action: str, identity: str, labels: Mapping[str, str]) -> None:
        worker = self._workers.get(labels.get(names.POD_UID, ""))
        if worker is not None and worker.engine_event(action, identity):
            worker.look(identity)

    async def _relist_often(self) -> None:
        while True:
            await happened(self._lost, RELIST)
            self._lost.clear()
            self._node.objects.prune()
            try:
                await self._relist(first=False)
            except EngineError as error:
                log.warning("looking at all containers: %s", error)

    async def _relist(self, *, first: bool) -> None:
        """Compare what the engine has with what the workers know. What it has and does not know of is ended before."""
        for identity in await self._node.engine.end_lost():
            log.warning("container %s ran though the engine did not know: its processes were ended", identity[:12])
            for worker in self._workers.values():
                if identity in worker.history.ids():
                    worker.look(identity)
        found: dict[str, list[Summary]] = {}
        for one in await self._node.engine.list(self._node.identity.owner.labels()):
            found.setdefault(one.labels.get(names.POD_UID, ""), []).append(one)
        if first:
            every = [one.id for several in found.values() for one in several]
            for container in await self._inspect(every):
                self._found.setdefault(container.labels.get(names.POD_UID, ""), {})[container.id] = container
            await self._recover_network()
        for uid, worker in list(self._workers.items()):
            here = {one.id: one.state for one in found.get(uid, ())}
            for identity in worker.history.ids() - set(here):
                worker.look(identity)  # it may have been made after the list was taken
            for identity, state in here.items():
                known = worker.history.get(identity)
                if known is None or (known.container.state is State.RUNNING) != (state is State.RUNNING):
                    worker.look(identity)
        self._listed_at = time.monotonic()
        await self._sweep(found)

    def unlisted(self) -> float:
        """Seconds since all containers were last looked at."""
        return time.monotonic() - self._listed_at

    async def _recover_network(self) -> None:
        """Have the network know what runs; a sandbox that nobody connected is ended, and its pod gets another."""
        every = (one for several in self._found.values() for one in several.values())
        sandboxes = [
            one for one in every if one.state is State.RUNNING and one.labels.get(names.CONTAINER) == names.SANDBOX_NAME
        ]
        try:
            if self._apart is None:
                self._apart = set(await self._node.network.recover(sandboxes))
        except NetworkError as error:
            raise EngineError(f"recovering the network: {error}") from error
        alone = {pod["metadata"]["uid"] for pod in self._informer if not pod["spec"].get("hostNetwork")}
        for one in sandboxes:
            uid = one.labels.get(names.POD_UID, "")
            if one.id in self._apart and uid in alone:
                log.warning("sandbox %s has no network; ending it", one.id[:12])
                await self._node.engine.stop(one.id, 0.0)
                self._found[uid] |= {each.id: each for each in await self._inspect([one.id])}

    async def _inspect(self, identities: list[str]) -> list[Container]:
        slots = asyncio.Semaphore(INSPECTS_AT_ONCE)

        async def one(identity: str) -> Container | None:
            async with slots:
                try:
                    return await self._node.engine.inspect(identity)
                except NoSuchContainer:
                    return None

        return [container for container in await asyncio.gather(*map(one, identities)) if container is not None]

    async def _sweep(self, found: Mapping[str, list[Summary]]) -> None:
        """End what no pod of the API stands for any more: after a grace period, and after the API was asked once more."""
        now = asyncio.get_running_loop().time()
        wanted = {str(pod["metadata"]["uid"]) for pod in self._informer} | set(self._workers) | set(self._beginning)
        left = await asyncio.get_running_loop().run_in_executor(self._node.files, self._node.volumes.known)
        unknown = (set(found) | left) - wanted
        self._orphans = {uid: self._orphans.get(uid, now) for uid in unknown}
        due = [uid for uid, since in self._orphans.items() if now - since >= self._orphan_grace]
        if due:
            due = await self._without_bound(due)
        for uid in set(due) & set(self._orphans):
            await self._sweep_one(uid, found.get(uid, []))
        waiting = [since + self._orphan_grace - now for since in self._orphans.values()]
        if waiting:
            asyncio.get_running_loop().call_later(max(1.0, min(waiting)), self._lost.set)

    async def _without_bound(self, uids: list[str]) -> list[str]:
        """Those that the API, asked anew, does not have either. An API that does not answer says nothing of any."""
        try:
            bound = await self._node.client.list(PODS, fields={"spec.nodeName": self._node.identity.owner.node})
        except ClientError as error:
            log.warning("sweep put off: %s", error)
            return []
        here = {pod["metadata"]["uid"] for pod in bound.items}
        return [uid for uid in uids if uid not in here]

    async def _sweep_one(self, uid: str, found: list[Summary]) -> None:
        labels: Mapping[str, str] = found[0].labels if found else {}
        namespace, name = labels.get(names.NAMESPACE, ""), labels.get(names.POD, "")
        log.info("removing what is left of pod %s/%s (uid %s), which the API does not have", namespace, name, uid)
        del self._orphans[uid]
        grace = int(labels.get(names.GRACE, "30") or 0)
        metadata = {"namespace": namespace, "name": name, "uid": uid}
        pod = {"metadata": metadata, "spec": {"containers": [], "terminationGracePeriodSeconds": grace}}
        worker = PodWorker(self._node, pod)
        worker.vanish(grace)
        containers = {one.id: one for one in await self._inspect([one.id for one in found])}
        self._start(worker, containers)

    async def _refresh_volumes(self) -> None:
        """Bring ConfigMaps and Secrets in volumes up to date."""
        while True:
            await asyncio.sleep(REFRESH)
            begun = self._node.clock()
            for worker in list(self._workers.values()):
                await worker.refresh_volumes(begun - 1.0)
