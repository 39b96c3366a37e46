"""One priority level: so many seats, and a queue for each flow that wants more than its share.

Kubernetes deals flows onto a fixed number of queues (shuffle sharding) because it cannot afford a queue for each; here a queue
is a deque, so flows never share one (docs/decisions/fairness-has-a-queue-for-each-flow.md). While one flow alone is active
it has all seats; when others are, each may hold its part of a small number, so that a newcomer waits for few requests only.
Everything runs between two awaits of the event loop's thread; no lock is needed.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import NamedTuple

ACTIVE_SECONDS = 1.0
"""A flow counts for so long after its last request."""
CONTENDED_SEATS = 2
"""Seats that flows of one level share while several are active: what a newcomer may have to wait behind."""
LEAST_SEATS = 1
"""Seats that each active flow may have, however many there are. With two, a quiet tenant's p99 beside a flood of creates was
three times its own; the flood was no quicker, as it shares the same cores.
"""
FLOWS = 10_000
"""Idle flows that are remembered."""


class QueueFull(Exception):
    """The flow has as many requests waiting as it may."""


class WaitedTooLong(Exception):
    """The request waited for as long as it may."""


class Turn(NamedTuple):
    """A request that waits. ``seat`` is set when its turn comes; it runs from that moment."""

    seat: asyncio.Future[Seat]
    seats: int


@dataclass(slots=True)
class Flow:
    """Requests of one tenant or user. ``served`` is its time on seats, for fair turns between flows (in seat-seconds)."""

    name: str
    running: int = 0
    waiting: deque[Turn] = field(default_factory=deque)
    served: float = 0.0
    last: float = 0.0


class Seat:
    """A ticket of a limited level."""

    __slots__ = ("_flow", "_level", "_seats", "_since")

    def __init__(self, level: Level, flow: Flow, seats: int, since: float) -> None:
        self._level = level
        self._flow = flow
        self._seats = seats
        self._since = since

    def leave(self) -> None:
        """Give the seats back and let the next one run."""
        self._level.left(self._flow, self._seats, self._since)


class Level:
    """A priority level of type Limited. ``queue_length`` 0 refuses instead of queueing.

    ``most`` is what one flow may hold, alone or not: where seats are held for minutes, a newcomer cannot wait for them. 0: it
    may hold all while it is alone, and few while it is not.
    """

    def __init__(self, name: str, seats: int, queue_length: int, patience: float, most: int = 0) -> None:
        self.name = name
        self.seats = seats
        self.queue_length = queue_length
        self.patience = patience
        self.most = most
        self.running = 0
        self.waiting = 0
        self.refused = 0
        self._flows: OrderedDict[str, Flow] = OrderedDict()
        self._backlogged: dict[str, Flow] = {}
        self._active = 0
        self._counted = 0.0

    def try_enter(self, name: str, seats: int, now: float) -> Seat | None:
        """A seat where one is free for this flow; None: it has to ``wait``."""
        flow = self._flow(name, now)
        if flow.waiting or not self._free(flow, seats, now):
            return None
        return self._seat(flow, seats, now)

    async def wait_turn(self, name: str) -> Seat:
        """One seat, at once where one is free. Raises as ``wait`` does."""
        return self.try_enter(name, 1, asyncio.get_running_loop().time()) or await self.wait(name, 1)

    async def wait(self, name: str, seats: int) -> Seat:
        """A seat, once it is this flow's turn. Raises QueueFull at once, WaitedTooLong after ``patience`` seconds."""
        loop = asyncio.get_running_loop()
        flow = self._flow(name, loop.time())
        if len(flow.waiting) >= self.queue_length:
            self.refused += 1
            raise QueueFull(name)
        turn = Turn(loop.create_future(), seats)
        flow.waiting.append(turn)
        self._backlogged[name] = flow
        self.waiting += 1
        timer = loop.call_later(self.patience, _expire, turn.seat)
        try:
            return await turn.seat
        except WaitedTooLong:
            self.refused += 1
            raise
        except asyncio.CancelledError:
            if turn.seat.done() and not turn.seat.cancelled() and turn.seat.exception() is None:
                turn.seat.result().leave()
            raise
        finally:
            timer.cancel()
            self._forget(flow, turn)

    def left(self, flow: Flow, seats: int, since: float) -> None:
        """A request of ``flow`` is done."""
        now = asyncio.get_running_loop().time()
        flow.running -= seats
        self.running -= seats
        flow.served += (now - since) * seats
        if self._backlogged:
            self.dispatch(now)

    def dispatch(self, now: float) -> None:
        """Give free seats to the flows that were served least."""
        while self._backlogged:
            ready = [flow for flow in self._backlogged.values() if self._free(flow, flow.waiting[0].seats, now)]
            if not ready:
                return
            flow = min(ready, key=lambda each: each.served)
            turn = flow.waiting.popleft()
            self.waiting -= 1
            if not flow.waiting:
                del self._backlogged[flow.name]
            if not turn.seat.done():
                turn.seat.set_result(self._seat(flow, turn.seats, now))

    def _seat(self, flow: Flow, seats: int, now: float) -> Seat:
        flow.running += seats
        self.running += seats
        return Seat(self, flow, seats, now)

    def _free(self, flow: Flow, seats: int, now: float) -> bool:
        """Whether the flow may take the seats. A request wider than its share runs where nothing else of its flow does."""
        if self.running >= self.seats:
            return False
        return flow.running == 0 or flow.running + seats <= self._share(now)

    def _share(self, now: float) -> int:
        """Seats that one flow may hold now."""
        if self.most:
            return self.most
        active = self._active_flows(now)
        if active <= 1:
            return self.seats
        return max(LEAST_SEATS, CONTENDED_SEATS // active)

    def _active_flows(self, now: float) -> int:
        """How many flows have asked lately; counted ten times a second at most."""
        if now - self._counted > ACTIVE_SECONDS / 10:
            self._counted = now
            self._active = sum(
                1 for flow in self._flows.values() if flow.running or flow.waiting or now - flow.last < ACTIVE_SECONDS
            )
        return self._active

    def _flow(self, name: str, now: float) -> Flow:
        flow = self._flows.get(name)
        if flow is None:
            flow = self._flows[name] = Flow(name)
            self._trim()
        if now - flow.last > ACTIVE_SECONDS:
            # Who comes back is not owed what it did not ask for meanwhile: it starts level with those that are waiting.
            flow.served = max(flow.served, min((each.served for each in self._backlogged.values()), default=0.0))
            self._counted = 0.0
        flow.last = now
        return flow

    def _trim(self) -> None:
        while len(self._flows) > FLOWS:
            for name, flow in self._flows.items():
                if not flow.running and not flow.waiting:
                    del self._flows[name]
                    break
            else:
                return

    def _forget(self, flow: Flow, turn: Turn) -> None:
        """Take a turn that was not given out of the queue."""
        if turn in flow.waiting:
            flow.waiting.remove(turn)
            self.waiting -= 1
            if not flow.waiting:
                self._backlogged.pop(flow.name, None)


def _expire(seat: asyncio.Future[Seat]) -> None:
    if not seat.done():
        seat.set_exception(WaitedTooLong())
