"""Turns of pushes and fetches: so many of one tenant at a time, so that nobody's slow uploads keep other teams from deploying."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from moorage.api.fairness.contracts import FlowOwners, Ticket
from moorage.api.fairness.queues import Level, QueueFull, WaitedTooLong
from moorage_gitops.host.http.access import Caller, Target
from moorage_gitops.host.http.exchange import Refusal

_LATER = ((b"retry-after", b"5"),)


class Turn:
    """A seat of a tenant."""

    def __init__(self, flow: str, seat: Ticket, idle: Level) -> None:
        self._flow = flow
        self._seat = seat
        self._idle = idle

    def rest(self) -> None:
        """From here on the request only waits. It gives way to others, as long as not too many of its tenant wait."""
        seat = self._idle.try_enter(self._flow, 1, asyncio.get_running_loop().time())
        if seat is not None:
            self._seat.leave()
            self._seat = seat

    def leave(self) -> None:
        """The request is done."""
        self._seat.leave()


class Turns:
    """Seats for one kind of Git request, shared between tenants (and users of no tenant) as the API's requests are."""

    def __init__(self, level: Level, idle: Level, owners: FlowOwners) -> None:
        self._level = level
        self._idle = idle
        self._owners = owners

    @asynccontextmanager
    async def turn(self, caller: Caller, wanted: Target) -> AsyncIterator[Turn]:
        """Run the body once it is this tenant's turn. Raises Refusal 429 (with Retry-After) where it never is."""
        owner = self._owners.flow_of(caller.identity, wanted.namespace)
        flow = f"tenant/{owner}" if owner else f"user/{caller.identity.name}"
        try:
            turn = Turn(flow, await self._level.wait_turn(flow), self._idle)
        except QueueFull:
            raise Refusal(
                429, "too many pushes and fetches of yours are waiting already; try again later", _LATER
            ) from None
        except WaitedTooLong:
            message = (
                f"{self._level.patience:g} s were not enough for your turn: {self._level.most} of yours run at a time"
            )
            raise Refusal(429, message, _LATER) from None
        try:
            yield turn
        finally:
            turn.leave()
