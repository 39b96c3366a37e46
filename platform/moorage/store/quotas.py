"""Limits that the commit function nets against: (scope, resource) -> hard limit and what is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from moorage.store.database import Readers

SET = "SELECT moorage_set_quota_1(%s, %s, %s)"
READ = "SELECT resource, hard, used FROM quotas WHERE scope = %s ORDER BY resource"


class Usage(NamedTuple):
    """A limit and what counts against it."""

    hard: int
    used: int


class Quotas:
    """Table ``quotas``. A scope is ``namespace/NAME`` or ``tenant/NAME``. Methods raise Unavailable."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def limit(self, scope: str, resource: str, hard: int | None) -> None:
        """Set a limit, None removes it. What exists is counted; it may be more than the limit allows."""
        await self._readers.execute(SET, (scope, resource, hard))

    async def usage(self, scope: str) -> Mapping[str, Usage]:
        """All limits of a scope."""
        return {resource: Usage(hard, used) for resource, hard, used in await self._readers.fetch(READ, (scope,))}
