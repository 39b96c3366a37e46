"""Rotations of keys: which is under way and how far it is. Whoever finds an unfinished one goes on with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.store.database import Readers

COLUMNS = """id, kind, scope, started_by, total, done, message, extract(epoch FROM started_at)::float8,
extract(epoch FROM changed_at)::float8, extract(epoch FROM finished_at)::float8"""
BEGIN = f"""
INSERT INTO rotations AS r (kind, scope, started_by, total, done, message, started_at, changed_at)
VALUES (%s, %s, %s, %s, 0, '', clock_timestamp(), clock_timestamp())
ON CONFLICT (kind, scope) WHERE finished_at IS NULL DO UPDATE SET changed_at = r.changed_at
RETURNING {COLUMNS}
"""  # noqa: S608 - constants of this module
LIST = f"SELECT {COLUMNS} FROM rotations ORDER BY id DESC LIMIT %s"  # noqa: S608 - constants of this module
UNFINISHED = f"SELECT {COLUMNS} FROM rotations WHERE finished_at IS NULL ORDER BY id"  # noqa: S608 - constants of this module
PROGRESS = """
UPDATE rotations SET done = %s, total = %s, message = %s, changed_at = clock_timestamp() WHERE id = %s AND finished_at IS NULL
"""
FINISH = """
UPDATE rotations SET finished_at = clock_timestamp(), changed_at = clock_timestamp(), message = %s
WHERE id = %s AND finished_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Rotation:
    """One rotation. ``kind`` and ``scope`` are the rotating party's words ("data", a namespace); of each pair one at a time
    is unfinished. ``done`` of ``total`` is the progress; times are seconds since the epoch.
    """

    id: int
    kind: str
    scope: str
    started_by: str
    total: int
    done: int
    message: str
    started_at: float
    changed_at: float
    finished_at: float | None = None


class Rotations:
    """Table ``rotations``. Methods raise Unavailable."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def begin(self, kind: str, scope: str, started_by: str, total: int = 0) -> Rotation:
        """A new rotation, or the one of this kind and scope that is under way."""
        return Rotation(*(await self._readers.fetch(BEGIN, (kind, scope, started_by, total)))[0])

    async def progress(self, rotation: int, done: int, total: int, message: str = "") -> bool:
        """Note how far it is; False where it has ended."""
        return await self._readers.execute(PROGRESS, (done, total, message, rotation)) > 0

    async def finish(self, rotation: int, message: str = "") -> bool:
        """It has ended; a ``message`` says why where it did not succeed. False where it had ended before."""
        return await self._readers.execute(FINISH, (message, rotation)) > 0

    async def unfinished(self) -> Sequence[Rotation]:
        """What is to be gone on with, oldest first."""
        return [Rotation(*columns) for columns in await self._readers.fetch(UNFINISHED)]

    async def newest(self, limit: int = 20) -> Sequence[Rotation]:
        """The last rotations, newest first."""
        return [Rotation(*columns) for columns in await self._readers.fetch(LIST, (limit,))]
