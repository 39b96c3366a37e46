"""What fairness asks of those around it, and what it gives."""

from __future__ import annotations

from typing import Protocol

from moorage.api.contracts import Identity


class FlowOwners(Protocol):
    """Tells whose flow a request is in. Decided by who asks, never by what is asked: nobody fills another's queue."""

    @property
    def generation(self) -> int:
        """Grows when what ``flow_of`` says may have changed: classifications are kept until then."""
        ...

    def flow_of(self, identity: Identity, namespace: str) -> str:
        """The tenant on whose account ``identity`` works in ``namespace``; "" where it is of none (then each user is a flow)."""
        ...


class NoOwners:
    """Every user is a flow."""

    generation = 0

    def flow_of(self, identity: Identity, namespace: str) -> str:
        """Nobody is of a tenant."""
        return ""


class Ticket(Protocol):
    """The right to run. ``leave`` gives it back, once."""

    def leave(self) -> None:
        """The request is done."""
        ...
