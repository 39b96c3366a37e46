"""Who sends a bearer token: looked up by hash, remembered for a short time.

Hashing before the lookup is what makes it safe in time: how long a lookup takes tells about the hash, which an attacker
cannot steer towards a stored one.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from moorage.api.contracts import Identity
from moorage.store.tokens import TokenRow
from moorage_tenants.names import AUTHENTICATED
from moorage_tenants.token_text import digest

TTL = 2.0
"""Seconds for which a looked-up token is believed: how late another server learns of a revocation."""
CACHED = 10_000
"""Answers kept, the unknown tokens' included."""
LOOKUPS = 4
"""Lookups in PostgreSQL at a time: whoever sends made-up tokens does not take its connections from the others."""
LONGEST = 1_000


class BadTokens(ValueError):
    """The bootstrap tokens cannot be used; the text names file and place."""


class TokenTable(Protocol):
    """The rows. Methods raise ``moorage.store.contracts.Unavailable`` where PostgreSQL cannot be reached."""

    async def find(self, sha256: str) -> TokenRow | None:
        """The row of a token's hash."""
        ...

    async def add(self, row: TokenRow) -> None:
        """Keep a new token."""
        ...

    async def rows(self) -> Sequence[TokenRow]:
        """All tokens, oldest first."""
        ...

    async def remove(self, sha256: str) -> bool:
        """Forget a token; whether there was one."""
        ...


def read_bootstrap(path: Path) -> dict[str, Identity]:
    """Hash -> identity from ``[{"sha256", "user", "groups"}]``. Raises BadTokens."""
    try:
        entries = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadTokens(f"the bootstrap tokens {path} cannot be read: {error}") from None
    if not isinstance(entries, list):
        raise BadTokens(f'{path}: must be a list of {{"sha256", "user", "groups"}}')
    return dict(_bootstrap_entry(path, number, entry) for number, entry in enumerate(entries))


def _bootstrap_entry(path: Path, number: int, entry: object) -> tuple[str, Identity]:
    if isinstance(entry, Mapping):
        sha256, user, groups = entry.get("sha256"), entry.get("user"), entry.get("groups", [])
        if (
            isinstance(sha256, str)
            and len(sha256) == 64
            and isinstance(user, str)
            and user
            and isinstance(groups, list)
            and all(isinstance(group, str) for group in groups)
        ):
            return sha256, Identity(user, frozenset(groups) | {AUTHENTICATED})
    raise BadTokens(f'{path}: [{number}]: must hold "sha256" (64 hexadecimal digits), "user" and "groups"')


def credentials(authorization: str) -> str | None:
    """The token in an ``Authorization`` header: RFC 6750 Bearer, or RFC 7617 Basic with the token as password."""
    scheme, _, value = authorization.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        token = value
    elif scheme.lower() == "basic":
        try:
            token = base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return None
    else:
        return None
    return token if 0 < len(token) <= LONGEST else None


@dataclass(slots=True)
class _Answer:
    identity: Identity | None
    until: float
    expires_at: float | None


class TokenAuthenticator:
    """Implements ``moorage.api.contracts.Authenticator``: bootstrap tokens first, then the table behind a short cache."""

    def __init__(
        self,
        table: TokenTable,
        bootstrap: Mapping[str, Identity],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._bootstrap = dict(bootstrap)
        self._clock = clock
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Identity | None]] = {}
        self._lookups = asyncio.Semaphore(LOOKUPS)

    async def authenticate(self, authorization: str) -> Identity | None:
        """Identity behind a header value, or None. Raises ``Unavailable`` where it takes PostgreSQL to know."""
        token = credentials(authorization)
        if token is None:
            return None
        sha256 = digest(token)
        known = self._bootstrap.get(sha256)
        if known is not None:
            return known
        answer = self._answers.get(sha256)
        if answer is not None:
            now = self._clock()
            if now < answer.until:
                return answer.identity if answer.expires_at is None or now < answer.expires_at else None
        return await self._ask(sha256)

    def forget(self, sha256: str) -> None:
        """Ask again for this token (it was revoked)."""
        self._answers.pop(sha256, None)

    async def _ask(self, sha256: str) -> Identity | None:
        """One lookup serves all requests that wait for the same token."""
        task = self._asking.get(sha256)
        if task is None:
            task = self._asking[sha256] = asyncio.create_task(self._look_up(sha256))
            task.add_done_callback(lambda _task: self._asking.pop(sha256, None))
        return await asyncio.shield(task)

    async def _look_up(self, sha256: str) -> Identity | None:
        async with self._lookups:
            row = await self._table.find(sha256)
        now = self._clock()
        identity = None
        if row is not None and (row.expires_at is None or now < row.expires_at):
            identity = Identity(row.user, frozenset(row.groups) | {AUTHENTICATED})
        self._answers[sha256] = _Answer(identity, now + TTL, row.expires_at if row else None)
        self._answers.move_to_end(sha256)
        while len(self._answers) > CACHED:
            self._answers.popitem(last=False)
        return identity
