"""The loop around a reconcile: keys come in by watch and by timer, outcomes say what happens next.

A reconcile gets a key and nothing else, reads the state itself, and is idempotent. It ends in an outcome; an API error that
repeating may cure counts as ``Temporary``, any other exception is a defect: logged with its trace, and tried again later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from moorage.client.errors import ApiError, ClientError, is_temporary
from moorage.client.queue import QueueStopped, WorkQueue

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do until something changes."""


@dataclass(frozen=True, slots=True)
class After:
    """Look again in ``seconds``; nothing failed."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Temporary:
    """Failed in a way that may pass: again after a growing pause."""

    reason: str


@dataclass(frozen=True, slots=True)
class Permanent:
    """Failed in a way that only a change of the object can cure: wait for that."""

    reason: str


Outcome = Done | After | Temporary | Permanent
DONE = Done()


class Runner(Generic[K]):
    """Runs ``reconcile`` for keys of ``queue`` with ``workers`` tasks; every ``every`` seconds for all of ``all_keys`` too."""

    def __init__(
        self,
        name: str,
        reconcile: Callable[[K], Awaitable[Outcome]],
        *,
        workers: int = 4,
        all_keys: Callable[[], Iterable[K]] | None = None,
        every: float = 0.0,
        queue: WorkQueue[K] | None = None,
    ) -> None:
        self.name = name
        self.queue: WorkQueue[K] = queue if queue is not None else WorkQueue(name)
        self._reconcile = reconcile
        self._workers = workers
        self._all_keys = all_keys
        self._every = every

    async def run(self) -> None:
        """Work until ``stop`` or cancellation. An exception out of here means that a worker died: end the process."""
        ticker = None
        async with asyncio.TaskGroup() as group:
            if self._all_keys is not None and self._every > 0:
                ticker = group.create_task(self._tick(self._all_keys), name=f"{self.name} timer")
            workers = [
                group.create_task(self._work(), name=f"{self.name} worker {number}") for number in range(self._workers)
            ]
            await asyncio.gather(*workers)
            if ticker is not None:
                ticker.cancel()

    def stop(self) -> None:
        """End ``run`` when what is being worked on is finished."""
        self.queue.stop()

    async def _tick(self, all_keys: Callable[[], Iterable[K]]) -> None:
        while True:
            for key in all_keys():
                self.queue.add(key)
            await asyncio.sleep(self._every)

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except QueueStopped:
                return
            try:
                self._settle(key, await self._outcome(key))
            finally:
                self.queue.done(key)

    async def _outcome(self, key: K) -> Outcome:
        try:
            return await self._reconcile(key)
        except ClientError as error:
            if is_temporary(error) or (isinstance(error, ApiError) and error.code in (403, 404)):
                return Temporary(str(error))
            log.exception("%s: %s: the server refuses what we send", self.name, key)
            return Temporary(str(error))
        except Exception as error:
            log.exception("%s: %s: defect in reconcile", self.name, key)
            return Temporary(repr(error))

    def _settle(self, key: K, outcome: Outcome) -> None:
        if isinstance(outcome, Temporary):
            pause = self.queue.retry(key)
            log.info("%s: %s: %s; again in %.2f s", self.name, key, outcome.reason, pause)
            return
        self.queue.forget(key)
        if isinstance(outcome, After):
            self.queue.add_after(key, outcome.seconds)
        elif isinstance(outcome, Permanent):
            log.warning("%s: %s: %s", self.name, key, outcome.reason)
