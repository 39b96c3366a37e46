"""Signed tokens that were found good, and what a source of them promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from moorage.api.contracts import Identity
from moorage_tenants.authentication import jwt


@dataclass(frozen=True, slots=True)
class Verified:
    """A token whose signature and claims held. ``until`` (seconds since the epoch) is when it is not believed any more;
    ``audiences`` is whom it is for; ``bound`` is what its source looks at in ``alive``, at each use.
    """

    identity: Identity
    until: float
    audiences: tuple[str, ...]
    bound: object = None


class SignedTokens(Protocol):
    """A source of signed tokens: one issuer, or several."""

    def knows(self, issuer: str) -> bool:
        """Whether tokens of ``issuer`` are its business."""
        ...

    async def verify(self, token: jwt.Unverified, audiences: Sequence[str] = ()) -> Verified | None:
        """What stands behind the token; None for one to refuse. ``audiences`` replace those that the API itself has."""
        ...

    async def alive(self, verified: Verified) -> bool:
        """Whether what the token is bound to is still there."""
        ...
