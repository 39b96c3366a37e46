"""Ends one container: its preStop hook, its turn among the pod's containers, its signal, and the kill when its time is up.

Source: Pod Lifecycle, "Termination of Pods"; KEP-753 (sidecars end last). All of it shares one grace period.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from moorage_agent.engine.contract import NoSuchContainer
from moorage_agent.pods import hooks
from moorage_agent.pods.observed import every_container

if TYPE_CHECKING:
    from moorage_agent.pods.worker import PodWorker

LEAST_GRACE = 2.0
"""Seconds that a container has after its hook, or the wait for its turn, used up its time."""


class Grace:
    """The time that a container has to end. A harder delete of its pod that comes meanwhile shortens it."""

    def __init__(self, worker: PodWorker, seconds: float) -> None:
        self._worker = worker
        self._clock = asyncio.get_running_loop().time
        self._ends = self._clock() + seconds

    def left(self) -> float:
        """Seconds, 0.0 where none are left."""
        return max(0.0, self._ends - self._clock())

    async def passed_before(self, work: asyncio.Task[Any]) -> bool:
        """Wait for ``work``, which goes on in any case; True where its time was up first."""
        while not work.done():
            changed = asyncio.create_task(self._worker.termination_changed.wait())
            try:
                await asyncio.wait((work, changed), timeout=self.left(), return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
            termination = self._worker.termination
            if changed.done() and not changed.cancelled() and termination is not None:
                self._ends = min(self._ends, self._clock() + termination.grace)
            if not work.done() and self.left() == 0.0:
                return True
        return False


async def end(
    worker: PodWorker, name: str, identity: str, grace: float | None, message: str, after: tuple[str, ...] = ()
) -> None:
    """End it, and return when it has ended. ``grace`` None is the pod's own. ``after`` are containers that end before it."""
    worker.tell("Normal", "Killing", message, name)
    seconds = float(worker.pod["spec"].get("terminationGracePeriodSeconds", 30)) if grace is None else float(grace)
    time = Grace(worker, seconds)
    container = next((one for one in every_container(worker.pod) if one["name"] == name), {})
    hook = (container.get("lifecycle") or {}).get("preStop")
    least = 0.0
    if hook and seconds > 0:
        least = LEAST_GRACE
        run = hooks.run(worker.node.checks, hook, hooks.target(worker, name, identity), seconds)
        if await _within(time, run) is False:
            worker.tell("Warning", "FailedPreStopHook", "PreStopHook failed", name)
    if after and seconds > 0 and worker.any_runs(after):
        least = LEAST_GRACE
        await _within(time, worker.when_none_runs(after))
    await _stop(worker, identity, Grace(worker, max(least, time.left())) if least else time)


async def _within(time: Grace, work: Coroutine[Any, Any, Any]) -> Any:
    """What ``work`` returns; None where its time was up first, and then it is given up."""
    task = asyncio.create_task(work)
    try:
        if await time.passed_before(task):
            return None
        return task.result()
    finally:
        task.cancel()


async def _stop(worker: PodWorker, identity: str, time: Grace) -> None:
    engine = worker.node.engine
    stop = asyncio.create_task(engine.stop(identity, time.left()))
    try:
        if await time.passed_before(stop):
            await engine.kill(identity)
        await stop
    except NoSuchContainer:
        worker.history.drop(identity)
    finally:
        stop.cancel()
