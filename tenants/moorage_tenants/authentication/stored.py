"""Opaque tokens: looked up by hash, remembered for a short time; when each was last used is noted now and then.

Hashing before the lookup is what makes it safe in time: how long a lookup takes tells about the hash, which an attacker
cannot steer towards a stored one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from moorage.api.contracts import Identity
from moorage.store.contracts import Unavailable
from moorage.store.tokens import TokenRow
from moorage_tenants.authentication.scopes import EXTRA as SCOPES
from moorage_tenants.names import AUTHENTICATED

log = logging.getLogger(__name__)

TTL = 2.0
"""Seconds for which a looked-up token is believed: how late another server learns of a revocation."""
CACHED = 10_000
"""Answers kept, the unknown tokens' included."""
LOOKUPS = 4
"""Lookups in PostgreSQL at a time: whoever sends made-up tokens does not take its connections from the others."""
TOUCH = 60.0
"""Seconds between two notes of when tokens were last used."""

JOIN, NODE, PERSONAL = "join", "node", "personal"
CREDENTIAL = "authentication.kubernetes.io/credential-id"
TOKEN_ID = "tokens.moorage.io/id"  # noqa: S105 - the name of a field
"""``Identity.extra`` of whoever came with a stored token: which one."""


class TokenTable(Protocol):
    """The rows. Methods raise ``moorage.store.contracts.Unavailable`` where PostgreSQL cannot be reached."""

    async def find(self, sha256: str) -> TokenRow | None:
        """The row of a token's hash."""
        ...

    async def add(self, row: TokenRow) -> None:
        """Keep a new token."""
        ...

    async def claim(self, sha256: str) -> TokenRow | None:
        """Use a token for a single use up: its row where it was good until now; None for everybody after the first."""
        ...

    async def touch(self, used: Mapping[str, float]) -> None:
        """Note when tokens were last used."""
        ...

    async def rows(self) -> Sequence[TokenRow]:
        """All tokens, oldest first."""
        ...

    async def revoke(self, sha256: str) -> bool:
        """Make a token void; whether it was good until now."""
        ...

    async def remove(self, sha256: str) -> bool:
        """Forget a token; whether there was one."""
        ...


@dataclass(slots=True)
class _Answer:
    identity: Identity | None
    until: float
    expires_at: float | None


class StoredTokens:
    """Tokens in the database behind a short cache."""

    def __init__(self, table: TokenTable, *, clock: Callable[[], float] = time.time) -> None:
        self.table = table
        self._clock = clock
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Identity | None]] = {}
        self._lookups = asyncio.Semaphore(LOOKUPS)
        self._used: dict[str, float] = {}

    async def identify(self, sha256: str) -> Identity | None:
        """Who has the token of this hash, or None. Raises ``Unavailable`` where it takes PostgreSQL to know."""
        answer = self._answers.get(sha256)
        if answer is not None:
            now = self._clock()
            if now < answer.until:
                return answer.identity if answer.expires_at is None or now < answer.expires_at else None
        return await self._ask(sha256)

    def forget(self, sha256: str) -> None:
        """Ask again for this token (it was revoked)."""
        self._answers.pop(sha256, None)

    async def run(self) -> None:
        """Note last uses, until cancelled."""
        while True:
            await asyncio.sleep(TOUCH)
            await self.note_uses()

    async def note_uses(self) -> None:
        """Write down when tokens were last used. What cannot be written now is written later."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            await self.table.touch(used)
        except Unavailable as error:
            self._used = {**used, **self._used}
            log.warning("when tokens were last used was not noted: %s", error)

    async def _ask(self, sha256: str) -> Identity | None:
        """One lookup serves all requests that wait for the same token."""
        task = self._asking.get(sha256)
        if task is None:
            task = self._asking[sha256] = asyncio.create_task(self._look_up(sha256))
            task.add_done_callback(lambda _task: self._asking.pop(sha256, None))
        return await asyncio.shield(task)

    async def _look_up(self, sha256: str) -> Identity | None:
        async with self._lookups:
            row = await self.table.find(sha256)
        now = self._clock()
        identity = _identity(row) if row is not None and is_valid(row, now) else None
        if identity is not None:
            self._used[sha256] = now
        self._answers[sha256] = _Answer(identity, now + TTL, row.expires_at if row else None)
        self._answers.move_to_end(sha256)
        while len(self._answers) > CACHED:
            self._answers.popitem(last=False)
        return identity


def is_valid(row: TokenRow, now: float) -> bool:
    """Whether a token may be used: not expired, not revoked, not used up."""
    return (row.expires_at is None or now < row.expires_at) and row.revoked_at is None and row.used_at is None


def _identity(row: TokenRow) -> Identity | None:
    """Whose token it is. A join token is nobody's: it can be exchanged, and that is all."""
    if row.kind == JOIN:
        return None
    extra: dict[str, Sequence[str]] = {CREDENTIAL: (f"TOKEN={row.id}",), TOKEN_ID: (row.id,)}
    if row.scopes:
        extra[SCOPES] = row.scopes
    return Identity(row.user, frozenset(row.groups) | {AUTHENTICATED}, extra=extra)
