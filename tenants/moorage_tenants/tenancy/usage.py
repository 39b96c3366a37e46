"""Writes what the store has counted against each tenant into the Tenant's status.

Every server looks, and the first that finds a change writes it; for the others the same patch changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from moorage.api.contracts import Identity, Operation, TransactionRequest, Transactor
from moorage.resources.kind import Document
from moorage.resources.quota_amounts import shown
from moorage.resources.tenancy import TENANT
from moorage.store.contracts import Unavailable
from moorage_tenants import names

log = logging.getLogger(__name__)

SCOPE = "tenant/"
EVERY = 1.0
"""Seconds between two looks."""
BATCH = 500
MANAGER = "moorage-quota"
WRITER = Identity("system:apiserver", frozenset({names.MASTERS}))
_JSON_PATCH = "application/json-patch+json"


class Limit(Protocol):
    """A limit and what counts against it."""

    @property
    def hard(self) -> int:
        """The most that may be used."""
        ...

    @property
    def used(self) -> int:
        """What is used."""
        ...


class Counted(Protocol):
    """All limits of a scope."""

    @property
    def scope(self) -> str:
        """``tenant/NAME``."""
        ...

    @property
    def revision(self) -> int:
        """The revision of the newest change."""
        ...

    @property
    def usage(self) -> Mapping[str, Limit]:
        """By resource."""
        ...


class Counts(Protocol):
    """Where the store counts (``moorage.store.quotas.Quotas``)."""

    async def changed_since(self, revision: int) -> Sequence[Counted]:
        """The scopes that changed after ``revision``; all of them for 0. Raises Unavailable."""
        ...


def usage_document(usage: Mapping[str, Limit]) -> Document:
    """``status.usage`` of a Tenant with these limits."""
    return {
        "hard": {name: shown(name, limit.hard) for name, limit in usage.items()},
        "used": {name: shown(name, limit.used) for name, limit in usage.items()},
    }


class TenantUsage:
    """The loop. ``ready``: whether the server has what it writes with."""

    def __init__(self, counts: Counts, transactor: Transactor, every: float = EVERY) -> None:
        self._counts = counts
        self._transactor = transactor
        self._every = every
        self._seen = 0

    async def run(self, ready: Callable[[], bool]) -> None:
        """Work until cancelled."""
        while True:
            if ready():
                try:
                    await self.look()
                except Unavailable as error:
                    log.info("usage of tenants: %s", error)
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Write what changed since the last look. Raises Unavailable."""
        changed = await self._counts.changed_since(self._seen)
        mine = [each for each in changed if each.scope.startswith(SCOPE)]
        for start in range(0, len(mine), BATCH):
            operations = [_told(each.scope.removeprefix(SCOPE), each.usage) for each in mine[start : start + BATCH]]
            request = TransactionRequest(operations, atomic=False, field_manager=MANAGER)
            result = await self._transactor.transact(WRITER, request)
            if result.error is not None:
                raise Unavailable(str(result.error.get("message", "the write failed")))
        self._seen = max([self._seen, *(each.revision for each in changed)])


def _told(tenant: str, usage: Mapping[str, Limit]) -> Operation:
    patch: Any = [{"op": "add", "path": "/status/usage", "value": usage_document(usage)}]
    return Operation("patch", TENANT, "", tenant, subresource="status", patch=patch, patch_type=_JSON_PATCH)
