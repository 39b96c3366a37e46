"""Pods that wait for a node: those to be tried now, by priority and age, and those that did not fit, who wait for a change.

Source: Kubernetes' ``scheduling_queue.go``: a pod that did not fit is tried again when something changed, but not before its
back-off (1 s, doubling to 10 s) is over, and in any case after a while.
"""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass

from moorage.client.objects import ObjectKey
from moorage.scheduler.podinfo import PodInfo

FIRST_DELAY, LAST_DELAY = 1.0, 10.0
FLUSH_SECONDS = 300.0


@dataclass(slots=True)
class _Waiting:
    pod: PodInfo
    not_before: float


class PendingPods:
    """For one event loop. By uid."""

    def __init__(self) -> None:
        self._ready: dict[str, PodInfo] = {}
        self._heap: list[tuple[int, str, ObjectKey, str]] = []
        self._waiting: dict[str, _Waiting] = {}
        self._attempts: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready) + len(self._waiting)

    @property
    def ready(self) -> int:
        """Pods to be tried now."""
        return len(self._ready)

    def add(self, pod: PodInfo) -> None:
        """A pod is new, or it changed so that it may fit now."""
        self._waiting.pop(pod.uid, None)
        if pod.uid not in self._ready:
            heapq.heappush(self._heap, (-pod.priority, pod.created, pod.key, pod.uid))
        self._ready[pod.uid] = pod
        self._wake.set()

    def discard(self, uid: str) -> None:
        """A pod is bound or gone."""
        self._ready.pop(uid, None)
        self._waiting.pop(uid, None)
        self._attempts.pop(uid, None)

    def knows(self, uid: str) -> bool:
        """Whether the pod waits here."""
        return uid in self._ready or uid in self._waiting

    def put_back(self, pod: PodInfo, *, until_change: bool) -> None:
        """A pod was tried in vain. It waits for a change (``until_change``) or only for its back-off."""
        attempts = self._attempts.get(pod.uid, 0)
        self._attempts[pod.uid] = attempts + 1
        delay = min(LAST_DELAY, FIRST_DELAY * 2.0 ** min(attempts, 10))
        now = asyncio.get_running_loop().time()
        self._waiting[pod.uid] = _Waiting(pod, now + delay)
        self._alarm(FLUSH_SECONDS if until_change else delay)

    def something_changed(self) -> None:
        """Nodes or room changed: try waiting pods again, each after its back-off."""
        now = asyncio.get_running_loop().time()
        later = []
        for waiting in list(self._waiting.values()):
            if waiting.not_before <= now:
                self.add(waiting.pod)
            else:
                later.append(waiting.not_before - now)
        if later:
            self._alarm(min(later))

    async def wait(self) -> None:
        """Return when there is a pod to be tried."""
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()

    def take(self, most: int) -> list[PodInfo]:
        """The next pods to be tried, at most this many: highest priority first, then oldest."""
        taken: list[PodInfo] = []
        while self._heap and len(taken) < most:
            pod = self._ready.pop(heapq.heappop(self._heap)[3], None)
            if pod is not None:
                taken.append(pod)
        return taken

    def stop(self) -> None:
        """Cancel the alarm."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _alarm(self, seconds: float) -> None:
        """Look at the waiting pods again in ``seconds``, or earlier where that was asked for before."""
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.something_changed()
        if self._waiting and self._timer is None:
            self._alarm(FLUSH_SECONDS)
