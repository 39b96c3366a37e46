"""Writes what the store counts into the status of ResourceQuotas, soon after each change.

Every server of a cluster does this. An object is read before the counts are, and written only if it is still the one that was
read: so nobody puts older counts over newer ones, and who comes second finds nothing to do. A status that somebody else wrote
is put right by the look at everything that is taken now and then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from moorage.api.contracts import Operation, TransactionRequest, Transactor
from moorage.api.writing.together import SERVER
from moorage.resources.core.quotas import RESOURCE_QUOTA
from moorage.resources.quota_amounts import shown
from moorage.store.contracts import Entry, OutcomeUnknown, Store, Unavailable

log = logging.getLogger(__name__)

EVERY = 0.1
"""Seconds between two looks at whether anything was written at all (a number in memory)."""
FULL_EVERY = 60.0
"""Seconds between two looks at every quota."""
_PREFIX = "quota/"
MOST = 500
"""Objects written in one request."""


class Counted(Protocol):
    """A limit and what counts against it (``moorage.store.quotas.Usage``)."""

    @property
    def hard(self) -> int: ...
    @property
    def used(self) -> int: ...


class Scope(Protocol):
    """All limits of a scope (``moorage.store.quotas.ScopeUsage``)."""

    @property
    def scope(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def usage(self) -> Mapping[str, Counted]: ...


class Counts(Protocol):
    """What the store counts (``moorage.store.quotas.Quotas``)."""

    async def changed_since(self, revision: int) -> Sequence[Scope]:
        """The scopes whose limits or usage changed after ``revision``, all for 0."""
        ...


class UsageWriter:
    """One loop of one server. ``revision`` gives the newest revision that this server knows of."""

    def __init__(self, store: Store, counts: Counts, transactor: Transactor, revision: Callable[[], int]) -> None:
        self._store = store
        self._counts = counts
        self._transactor = transactor
        self._revision = revision
        self._seen = 0
        self._again: set[str] = set()

    async def run(self, is_ready: Callable[[], bool]) -> None:
        """Work until cancelled, from when the server is ready on."""
        loop = asyncio.get_running_loop()
        looked, full = -1, loop.time()
        while True:
            await asyncio.sleep(EVERY)
            due = loop.time() >= full
            if not is_ready() or not (due or self._again or self._revision() != looked):
                continue
            looked = self._revision()
            try:
                await self.look(everything=due)
            except (Unavailable, OutcomeUnknown) as error:
                log.info("usage of quotas was not written: %s; trying again", error)
                looked = -1
            except Exception:  # the loop's edge: what it does not know must not end it
                log.exception("usage of quotas was not written; trying again")
                looked = -1
            if due:
                full = loop.time() + FULL_EVERY

    async def look(self, *, everything: bool = False) -> None:
        """Write what changed since the last look. Raises Unavailable."""
        since = 0 if everything else self._seen
        changed = await self._counts.changed_since(since)
        newest = max((each.revision for each in changed), default=self._seen)
        scopes = {each.scope for each in changed if each.scope.startswith(_PREFIX)} | self._again
        if not scopes:
            self._seen = newest
            return
        entries = await self._entries(scopes, newest)
        # Read again, now that the objects are read: these counts are not older than what any of them says.
        first = 0 if self._again or everything else since
        counts = {each.scope: each for each in await self._counts.changed_since(first)}
        operations = [
            operation
            for scope, entry in entries.items()
            if (operation := _operation(entry, counts[scope].usage if scope in counts else {})) is not None
        ]
        self._again = set()
        for start in range(0, len(operations), MOST):
            await self._write(operations[start : start + MOST])
        self._seen = max(self._seen, newest)

    async def _entries(self, scopes: Iterable[str], revision: int) -> dict[str, Entry]:
        """The objects whose limits these are, those that are gone left out."""
        cache = await self._store.cache(RESOURCE_QUOTA.storage)
        await cache.wait(revision)
        found: dict[str, Entry] = {}
        for scope in sorted(scopes):
            namespace, _, name = scope.removeprefix(_PREFIX).partition("/")
            entry = cache.get(namespace, name)
            if entry is not None:
                found[scope] = entry
        return found

    async def _write(self, operations: Sequence[Operation]) -> None:
        result = await self._transactor.transact(SERVER, TransactionRequest(operations, atomic=False))
        if result.error is not None:
            raise Unavailable(str(result.error.get("message", "")))
        for each in result.results:
            if each.error is None or each.error.get("code") == 404:
                continue
            if each.error.get("code") == 409:
                self._again.add(_scope(each.operation))
            else:
                log.warning("usage of %s was not written: %s", _scope(each.operation), each.error.get("message"))


def _scope(operation: Operation) -> str:
    return f"{_PREFIX}{operation.namespace}/{operation.name}"


def _operation(entry: Entry, usage: Mapping[str, Counted]) -> Operation | None:
    """The write that makes a quota's status say what is counted; None where it does."""
    document = entry.document()
    status = document.get("status") or {}
    wanted = _told((document.get("spec") or {}).get("hard") or {}, usage)
    if all(status.get(name) == amounts for name, amounts in wanted.items()):
        return None
    document["status"] = {**status, **wanted}
    return Operation(
        "update", RESOURCE_QUOTA, entry.key.namespace, entry.key.name, document=document, subresource="status"
    )


def _told(hard: Mapping[str, str], usage: Mapping[str, Counted]) -> dict[str, dict[str, str]]:
    """``hard`` and ``used``, of what is limited and counted; {} where nothing is."""
    names = sorted(name for name in hard if name in usage)
    if not names:
        return {}
    return {
        "hard": {name: hard[name] for name in names},
        "used": {name: shown(name, usage[name].used, hard[name]) for name in names},
    }
