"""One worker per pod: observes, has the planner decide, starts what it decided, reports. Serial inside, parallel outside.

The loop itself never waits for the engine or the API: operations are tasks, at most one for each container, and their
end wakes the loop. So a pod that pulls an image for an hour or ends a container for a minute still reacts to everything
else at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, Literal

from moorage.client.errors import ClientError
from moorage_agent.engine.contract import EngineError, EngineUnavailable, NoSuchContainer, State
from moorage_agent.pods import actions, admission, outcome, resizing
from moorage_agent.pods.door import Waiting
from moorage_agent.pods.history import History
from moorage_agent.pods.node import Node
from moorage_agent.pods.observed import (
    END,
    POD,
    VOLUMES,
    Attempt,
    Failure,
    ImageState,
    Observed,
    Termination,
    Verdict,
    every_container,
)
from moorage_agent.pods.operations import Operations
from moorage_agent.pods.plan import plan
from moorage_agent.pods.probing import Probing
from moorage_agent.pods.reporting import Reporting
from moorage_agent.timestamps import seconds
from moorage_agent.volumes import sources
from moorage_agent.waiting import happened

log = logging.getLogger(__name__)

Document = dict[str, Any]

HOLD_FIRST, HOLD_LAST = 0.5, 15.0
"""Seconds for which an operation that failed keeps others from its container."""
ROOM_AGAIN = 3.0
"""Seconds between looks whether there is room now for a resize that was put off."""
FORCED_GRACE = 2.0
"""Seconds that containers of a pod have that was deleted at once (the kubelet's minimum)."""


class PodWorker:
    """The life of one pod (one uid) on this node. ``digest`` is that of a static pod's file, "" for pods of the API."""

    def __init__(self, node: Node, pod: Mapping[str, Any], digest: str = "") -> None:
        self.node = node
        self.pod = pod
        self.digest = digest
        self._mirror: Mapping[str, Any] | None = None
        self.history = History(node.network.address)
        self.seen_at = node.clock()
        self.volumes_ready = False
        self.cleaned = False
        self.gone = False
        self.failures: dict[str, Failure] = {}
        self.images: dict[str, ImageState] = {}
        self.starting: set[str] = set()
        """Containers that run and whose postStart hook has not returned."""
        self.termination: Termination | None = None
        self.termination_changed = asyncio.Event()
        self.failed: tuple[str, str] | None = None
        self._verdict: Verdict | None = None
        self._start_time = _recorded_start(pod)
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._fetches: dict[str, asyncio.Task[None]] = {}
        self._interruptible: set[str] = set()
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._holds: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._do = Operations(self)
        self._probing = Probing(self)
        self._reporting = Reporting(self)
        self._allocated: dict[str, resizing.Resources] | None = None
        self._asked = pod
        self.pending: resizing.Pending | None = None
        """The resize that the node has not granted."""
        self.update(pod)

    @property
    def uid(self) -> str:
        """The pod's uid."""
        return str(self.pod["metadata"]["uid"])

    @property
    def api_uid(self) -> str:
        """The uid by which the API knows the pod: its mirror's, "" where a static pod has none."""
        if not self.digest:
            return self.uid
        return str(self._mirror["metadata"]["uid"]) if self._mirror is not None else ""

    @property
    def shown(self) -> Mapping[str, Any] | None:
        """The pod of the API whose status is written: this one, or a static pod's mirror, None where it has none."""
        return self._mirror if self.digest else self.pod

    def reflect(self, mirror: Mapping[str, Any] | None) -> None:
        """The pod of the API that shows this static one; None where there is none."""
        before = self.api_uid
        self._mirror = mirror
        if before and before != self.api_uid:
            self.node.status.forget(before)
        if mirror is not None:
            self.update({**self._asked, "status": mirror.get("status") or self.pod.get("status") or {}})
        self.wake()

    def end(self) -> None:
        """A static pod's file is gone or another: end it, with its own grace period."""
        if self.termination is None:
            self._end(Termination(float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))))

    def update(self, pod: Mapping[str, Any]) -> None:
        """The API shows the pod anew."""
        if self._allocated is None:
            self._allocated = resizing.recorded(pod)
        self._forget_images(pod)
        self._asked = pod
        self.pod = resizing.granted(pod, self._allocated)
        metadata = pod["metadata"]
        if metadata.get("deletionTimestamp") and not self.gone:
            grace = metadata.get("deletionGracePeriodSeconds")
            if grace is None:
                grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
            self._end(Termination(float(grace)))
        self.wake()

    def _forget_images(self, pod: Mapping[str, Any]) -> None:
        """What is known of the images of containers that have another one now, failed pulls and their back-off among it."""
        before = {one["name"]: one.get("image") for one in every_container(self._asked)}
        for one in every_container(pod):
            name = one["name"]
            if name in before and before[name] != one.get("image"):
                self.images.pop(name, None)
                self.failures.pop(name, None)
                self.failures.pop(f"image {name}", None)
                if name in self._fetches:
                    self._fetches[name].cancel()

    def vanish(self, orphaned: float | None = None) -> None:
        """The API has the pod no more. ``orphaned`` is the grace of one that nobody asked to end before."""
        self.gone = True
        if orphaned is not None:
            self._end(Termination(orphaned, gone=True))
            return
        grace = (
            self.termination.grace
            if self.termination
            else float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))
        )
        self._end(Termination(min(grace, FORCED_GRACE), gone=True))

    def _end(self, termination: Termination) -> None:
        if termination == self.termination:
            return
        self.termination = termination
        self.termination_changed.set()
        self.termination_changed = asyncio.Event()
        for task in self._fetches.values():
            task.cancel()
        for name in self._interruptible:
            if name in self._operations:
                self._operations[name].cancel()
        self.wake()

    def condemn(self, reason: str, message: str, grace: float) -> None:
        """The node ends the pod for good: it has failed, for ``reason``, and its containers have ``grace`` seconds."""
        self._judge(Verdict(reason, message, grace))

    def _judge(self, verdict: Verdict) -> None:
        if self._verdict is None and self.termination is None and not outcome.settled(self.pod, self.observe()):
            self._verdict = verdict
            self.tell("Warning", verdict.reason, verdict.message)
            self.wake()

    def wake(self) -> None:
        """Something changed."""
        self._wake.set()
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def any_runs(self, containers: Collection[str]) -> bool:
        """Whether one of these containers runs."""
        return any(one.name in containers for one in self.running())

    async def when_none_runs(self, containers: Collection[str]) -> None:
        """Return when none of these containers runs any more."""
        while self.any_runs(containers):
            await self._moved.wait()

    def adopt(self, found: Mapping[str, Any]) -> None:
        """Containers found on the engine (by id) when the agent started, before the first step."""
        for container in found.values():
            self.history.put(container)
            if container.state is State.EXITED and container.exit_code != 0:
                self.look(container.id)  # it may have ended while nobody looked

    async def run(self) -> None:
        """Until nothing of the pod is left here and the API has it no more."""
        try:
            while True:
                self._wake.clear()
                wake_at = self._step()
                if self.gone and self.cleaned and not self._operations:
                    return
                timeout = None if wake_at is None else max(0.0, wake_at - self.node.clock())
                await happened(self._wake, timeout)
        finally:
            self._probing.close()
            await self._abandon()

    def _step(self) -> float | None:
        """Observe, decide, act, report. Returns when to come back at the latest."""
        now = self.node.clock()
        if not self._start_time and not self._admit(now):
            return None
        self._probing.follow(now, self._operations)
        self._grant()
        seen = self.observe()
        decision = plan(self.pod, seen, now)
        if self.pending is not None and self.pending.reason == resizing.DEFERRED:
            decision.wake(now + ROOM_AGAIN)
        for action in decision.actions:
            self._begin(action)
        if decision.failed and decision.failed != self.failed:
            self.failed = decision.failed
            if self._verdict is None:
                self.tell("Normal", *decision.failed)
        self._reporting.tell_back_offs(seen, decision)
        if not self.gone:
            self._reporting.report(seen, decision, now, starting=bool(self._operations))
        return decision.wake_at

    def _admit(self, now: float) -> bool:
        """Let the pod in, or have it fail; one whose containers are here was let in before. False where it is not decided yet."""
        refused = admission.refusal(self.pod, apparmor=self.node.apparmor)
        if refused is None and not self.history.ids() and self.termination is None:
            if why := self.node.unwilling(self.pod):
                refused = admission.rejected("Evicted", why)
            else:
                try:
                    refused = self.node.admit(self)
                except Waiting:
                    return False
        self._start_time = now
        if refused is not None:
            self.node.meters.rejections.add(refused.reason)
            self._judge(refused)
        return True

    @property
    def admitted(self) -> bool:
        """Whether it was let in and still has a place here."""
        refused = self._verdict is not None and self._verdict.refused
        over = self.gone or self.cleaned or (self.pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        return bool(self._start_time) and not refused and not over

    def _grant(self) -> None:
        """Take up a resize that was asked for, where the node has room for it; else say why not, and look again later."""
        wanted = resizing.asked(self._asked)
        before, self.pending = self.pending, None
        if wanted == self._allocated or self.termination is not None:
            return
        self.pending = resizing.judge(self._asked, self.node.room(self.uid)) if self._allocated else None
        if self.pending is None:
            self._allocated = wanted
            self.pod = resizing.granted(self._asked, wanted)
        elif self.pending != before:
            self.tell(
                "Warning", f"Resize{self.pending.reason}", f"Pod resize {self.pending.reason}: {self.pending.message}"
            )

    def observe(self) -> Observed:
        """The pod as it is known now."""
        return Observed(
            sandboxes=self.history.sandboxes(),
            attempts=self.history.attempts(),
            busy=frozenset(self._operations),
            volumes_ready=self.volumes_ready,
            failures=self.failures,
            images=self.images,
            health=self._probing.health(),
            termination=self.termination,
            start_time=self._start_time,
            cleaned=self.cleaned,
            verdict=self._verdict,
            pending=self.pending,
            starting=frozenset(self.starting),
        )

    def _begin(self, action: actions.Action) -> None:
        match action:
            case actions.FetchImage(name):
                if name not in self._fetches:
                    self._fetches[name] = self._task(f"fetch {name}", self._fetch(name))
            case actions.CreateSandbox() | actions.StartSandbox() | actions.StopSandbox():
                self._operate(POD, self._do.sandbox(action))
            case actions.PrepareVolumes():
                self._operate(VOLUMES, self._do.prepare_volumes())
            case actions.StartContainer(name, attempt, sandbox, backoff):
                self._operate(name, self._do.start(name, attempt, sandbox, backoff))
            case actions.Resume(name, identity):
                self._operate(name, self._do.resume(name, identity))
            case actions.Resize(name, identity, limits):
                self._operate(name, self._do.resize(name, identity, limits))
            case actions.Kill(name):
                self._operate(name, self._do.kill(action))
            case actions.Remove(name, identity):
                self._operate(name, self._do.remove(identity))
            case actions.CleanUp(whole):
                self._operate(END, self._do.clean_up(whole))
            case actions.Finish():
                self._operate(END, self._do.finish())

    def _operate(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        if name in self._operations:
            work.close()
            return
        self._operations[name] = self._task(f"{name} of pod {self.pod['metadata']['name']}", self._guarded(name, work))

    def _task(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work, name=name)

    async def _guarded(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run one operation. What fails keeps its name busy for a growing while, so that it is not repeated hotly."""
        try:
            await work
            self._holds.pop(name, None)
        except Exception as error:  # the edge of the worker's loop: a pod's fault must not end its worker
            hold = self._holds[name] = min(self._holds.get(name, HOLD_FIRST / 2) * 2, HOLD_LAST)
            expected = isinstance(error, EngineError | OSError)
            where = f"{self.pod['metadata']['namespace']}/{self.pod['metadata']['name']}"
            log.warning("pod %s, %s: %s; again in %.1f s", where, name, error, hold, exc_info=not expected)
            await asyncio.sleep(hold)
        finally:
            self._interruptible.discard(name)
            self.starting.discard(name)
            self._operations.pop(name, None)
            self.wake()

    def interruptible(self, name: str, may: bool) -> None:
        """Whether the end of the pod may interrupt the operation that runs under ``name`` at this point."""
        (self._interruptible.add if may else self._interruptible.discard)(name)
        if may and self.termination is not None:
            self._operations[name].cancel()

    async def _fetch(self, name: str) -> None:
        try:
            self.images[name] = ImageState()
            self.images[name] = await self._do.fetch_image(name)
        except asyncio.CancelledError:
            self.images.pop(name, None)
            raise
        except Exception as error:  # as for operations: shown as the container's waiting reason and tried again
            log.warning("image of container %s: %s", name, error, exc_info=not isinstance(error, EngineUnavailable))
            failure = Failure("ErrImagePull", str(error), self.node.clock() + 5.0)
            self.images[name] = ImageState(failure=failure)
        finally:
            self._fetches.pop(name, None)
            self.wake()

    async def refresh(self, identity: str) -> None:
        """Ask the engine how one container is."""
        try:
            self.history.put(await self.node.engine.inspect(identity))
        except NoSuchContainer:
            self.history.drop(identity)
        self.wake()

    def engine_event(self, action: str, identity: str) -> bool:
        """The engine says that something happened to a container. Returns whether it must be looked at."""
        if action == "destroy":
            self.history.drop(identity)
            self.wake()
            return False
        known = self.history.get(identity)
        return known is not None and known.container.state is State.RUNNING

    def look(self, identity: str) -> None:
        """Have a container looked at soon."""
        if identity not in self._looks:
            task = self._task(f"look at {identity[:12]}", self._look(identity))
            self._looks[identity] = task
            task.add_done_callback(lambda _done: self._looks.pop(identity, None))

    async def _look(self, identity: str) -> None:
        try:
            await self._do.ended(identity)
        except EngineError as error:
            log.warning("container %s: %s", identity[:12], error)  # the next re-list looks again

    async def refresh_volumes(self, not_before: float) -> None:
        """Bring ConfigMaps and Secrets in volumes up to date, where there are any."""
        if any(any(volume.get(kind) is not None for kind in sources.KINDS) for volume in _volumes(self.pod)):
            try:
                await self._do.refresh_volumes(not_before)
            except (ClientError, OSError) as error:
                log.info("volumes of pod %s not brought up to date: %s", self.pod["metadata"]["name"], error)

    def tell(self, kind: Literal["Normal", "Warning"], reason: str, message: str, container: str = "") -> None:
        """Record an event about the pod, or about one of its containers."""
        if self.gone:
            return
        about: Document = {"apiVersion": "v1", "kind": "Pod", "metadata": self.pod["metadata"]}
        if container:
            parts = ("containers", "initContainers", "ephemeralContainers")
            spec = self.pod["spec"]
            part = next(part for part in parts if any(one["name"] == container for one in spec.get(part) or ()))
            about["fieldPath"] = f"spec.{part}{{{container}}}"
        self.node.recorder.record(about, kind, reason, message)

    def attempts(self) -> Mapping[str, Sequence[Attempt]]:
        """The starts of its containers that are still here, by name."""
        return self.history.attempts()

    def running(self) -> list[Attempt]:
        """Its containers that run, the sandbox not counted."""
        return [one for starts in self.history.attempts().values() for one in starts if one.running]

    def container(self, name: str) -> Mapping[str, Any]:
        """A container's spec."""
        return next(one for one in every_container(self.pod) if one["name"] == name)

    def message(self, attempt: Attempt) -> str:
        """The termination message (``Describe``)."""
        return self.node.volumes.message(self.uid, attempt.name, attempt.attempt)

    def image_digest(self, image_id: str) -> str:
        """The registry's name of an image (``Describe``)."""
        return self.node.images.digest(image_id)

    def pod_ip(self) -> str:
        """The address of the running sandbox, or ""."""
        if self.pod["spec"].get("hostNetwork"):
            return self.node.facts.host_ip
        return next((one.container.ip for one in reversed(self.history.sandboxes()) if one.running), "")

    async def _abandon(self) -> None:
        """Stop all tasks (the agent stops, or the pod is done); containers go on."""
        tasks = [*self._operations.values(), *self._fetches.values(), *self._looks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _volumes(pod: Mapping[str, Any]) -> list[Document]:
    return pod["spec"].get("volumes") or []


def _recorded_start(pod: Mapping[str, Any]) -> float:
    return seconds((pod.get("status") or {}).get("startTime") or "")
