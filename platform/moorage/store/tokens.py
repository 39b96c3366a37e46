"""Bearer tokens, by their SHA-256. Who they are for and how long is stored; the token itself never is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moorage.store.database import Readers

COLUMNS = "sha256, username, groups, extract(epoch FROM created_at)::float8, extract(epoch FROM expires_at)::float8, description"
FIND = f"SELECT {COLUMNS} FROM tokens WHERE sha256 = %s"  # noqa: S608 - a constant of this module
LIST = f"SELECT {COLUMNS} FROM tokens ORDER BY created_at, sha256"  # noqa: S608 - a constant of this module
ADD = """
INSERT INTO tokens (sha256, username, groups, created_at, expires_at, description)
VALUES (%s, %s, %s, to_timestamp(%s), to_timestamp(%s), %s)
ON CONFLICT (sha256) DO UPDATE SET username = excluded.username, groups = excluded.groups,
    expires_at = excluded.expires_at, description = excluded.description
"""
REMOVE = "DELETE FROM tokens WHERE sha256 = %s"


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A row. Times are seconds since the epoch; ``expires_at`` None means never."""

    sha256: str
    user: str
    groups: tuple[str, ...]
    created_at: float
    expires_at: float | None = None
    description: str = ""

    @property
    def id(self) -> str:
        """What the token is called in lists: enough of its hash to be unique, useless for logging in."""
        return self.sha256[:16]


class Tokens:
    """Table ``tokens``. Methods raise Unavailable."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def find(self, sha256: str) -> TokenRow | None:
        """The row of a token's hash (hex), expired or not."""
        found = await self._readers.fetch(FIND, (sha256,))
        return _row(found[0]) if found else None

    async def add(self, row: TokenRow) -> None:
        """Keep a token; one with the same hash is replaced."""
        values = (row.sha256, row.user, list(row.groups), row.created_at, row.expires_at, row.description)
        await self._readers.execute(ADD, values)

    async def rows(self) -> Sequence[TokenRow]:
        """All tokens, oldest first."""
        return [_row(columns) for columns in await self._readers.fetch(LIST)]

    async def remove(self, sha256: str) -> bool:
        """Forget a token; whether there was one."""
        return await self._readers.execute(REMOVE, (sha256,)) > 0


def _row(columns: tuple[Any, ...]) -> TokenRow:
    sha256, user, groups, created_at, expires_at, description = columns
    return TokenRow(sha256, user, tuple(groups), created_at, expires_at, description)
