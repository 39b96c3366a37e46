"""Bearer tokens, by their SHA-256. Who they are for, what for and how long is stored; the token itself never is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moorage.store.database import Readers


def _seconds(column: str) -> str:
    return f"extract(epoch FROM {column})::float8"


COLUMNS = ", ".join(
    (
        "sha256, username, groups",
        _seconds("created_at"),
        _seconds("expires_at"),
        "description, name, kind, scopes, created_by",
        _seconds("last_used_at"),
        _seconds("used_at"),
        _seconds("revoked_at"),
    )
)
FIND = f"SELECT {COLUMNS} FROM tokens WHERE sha256 = %s"  # noqa: S608 - a constant of this module
LIST = f"SELECT {COLUMNS} FROM tokens ORDER BY created_at, sha256"  # noqa: S608 - a constant of this module
ADD = """
INSERT INTO tokens (sha256, username, groups, created_at, expires_at, description, name, kind, scopes, created_by)
VALUES (%s, %s, %s, to_timestamp(%s), to_timestamp(%s), %s, %s, %s, %s, %s)
ON CONFLICT (sha256) DO UPDATE SET username = excluded.username, groups = excluded.groups,
    expires_at = excluded.expires_at, description = excluded.description, name = excluded.name, kind = excluded.kind,
    scopes = excluded.scopes, created_by = excluded.created_by
"""
REMOVE = "DELETE FROM tokens WHERE sha256 = %s"
REVOKE = "UPDATE tokens SET revoked_at = clock_timestamp() WHERE sha256 = %s AND revoked_at IS NULL"
# One statement: of two servers that are shown the same token at once, one finds it used.
CLAIM = f"""
UPDATE tokens SET used_at = clock_timestamp(), last_used_at = clock_timestamp()
WHERE sha256 = %s AND used_at IS NULL AND revoked_at IS NULL
  AND (expires_at IS NULL OR expires_at > clock_timestamp())
RETURNING {COLUMNS}
"""  # noqa: S608 - a constant of this module
TOUCH = """
UPDATE tokens t SET last_used_at = to_timestamp(u.at) FROM unnest(%s::text[], %s::float8[]) AS u(sha256, at)
WHERE t.sha256 = u.sha256 COLLATE "C" AND (t.last_used_at IS NULL OR t.last_used_at < to_timestamp(u.at))
"""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A row. Times are seconds since the epoch, None means never. ``kind``: personal, join, node or bootstrap. No
    ``scopes``: the whole identity. ``used_at``: when a token for a single use was claimed.
    """

    sha256: str
    user: str
    groups: tuple[str, ...]
    created_at: float
    expires_at: float | None = None
    description: str = ""
    name: str = ""
    kind: str = "personal"
    scopes: tuple[str, ...] = ()
    created_by: str = ""
    last_used_at: float | None = None
    used_at: float | None = None
    revoked_at: float | None = None

    @property
    def id(self) -> str:
        """What the token is called in lists: enough of its hash to be unique, useless for logging in."""
        return self.sha256[:16]


class Tokens:
    """Table ``tokens``. Methods raise Unavailable."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def find(self, sha256: str) -> TokenRow | None:
        """The row of a token's hash (hex), expired, used, revoked or not."""
        found = await self._readers.fetch(FIND, (sha256,))
        return _row(found[0]) if found else None

    async def add(self, row: TokenRow) -> None:
        """Keep a token; one with the same hash is replaced. Its times of use and revocation are not taken from ``row``."""
        values = (row.sha256, row.user, list(row.groups), row.created_at, row.expires_at, row.description)
        more = (row.name, row.kind, list(row.scopes), row.created_by)
        await self._readers.execute(ADD, values + more)

    async def rows(self) -> Sequence[TokenRow]:
        """All tokens, oldest first."""
        return [_row(columns) for columns in await self._readers.fetch(LIST)]

    async def claim(self, sha256: str) -> TokenRow | None:
        """Use a token for a single use up: its row where it was good until now; None for everybody after the first."""
        found = await self._readers.fetch_once(CLAIM, (sha256,))
        return _row(found[0]) if found else None

    async def touch(self, used: Mapping[str, float]) -> None:
        """Note when tokens were last used: hash -> seconds since the epoch. Gather them and call it now and then."""
        if used:
            await self._readers.execute(TOUCH, (list(used), [float(at) for at in used.values()]))

    async def revoke(self, sha256: str) -> bool:
        """Make a token void and keep its row for the lists; whether it was good until now."""
        return await self._readers.execute(REVOKE, (sha256,)) > 0

    async def remove(self, sha256: str) -> bool:
        """Forget a token; whether there was one."""
        return await self._readers.execute(REMOVE, (sha256,)) > 0


def _row(columns: tuple[Any, ...]) -> TokenRow:
    sha256, user, groups, created_at, expires_at, description, name, kind, scopes, *rest = columns
    return TokenRow(sha256, user, tuple(groups), created_at, expires_at, description, name, kind, tuple(scopes), *rest)
