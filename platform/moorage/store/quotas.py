"""Quota rows, which the commit function nets charges against: (scope, resource) -> hard limit and what is used.

They are set by the commit that writes their object (``Write.limits``); here they are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from moorage.resources.kind import ResourceKey
from moorage.store.contracts import Key, Limits, Op, Write
from moorage.store.database import Readers

READ = "SELECT resource, hard, used FROM quotas WHERE scope = %s ORDER BY resource"
# The rows are few and change all the time: an index over the revision would cost each charge more than this look does.
CHANGED = """
SELECT q.scope, q.resource, q.hard, q.used, max(q.revision) OVER (PARTITION BY q.scope)
FROM quotas q WHERE q.scope IN (SELECT scope FROM quotas WHERE revision > %s)
ORDER BY q.scope, q.resource
"""

RESOURCE_QUOTAS = ResourceKey("", "resourcequotas")
TENANTS = ResourceKey("tenancy.moorage.io", "tenants")


class Usage(NamedTuple):
    """A limit and what counts against it."""

    hard: int
    used: int


@dataclass(frozen=True, slots=True)
class ScopeUsage:
    """All limits of a scope; ``revision`` is that of the newest change."""

    scope: str
    revision: int
    usage: Mapping[str, Usage] = field(default_factory=dict)


class Quotas:
    """Table ``quotas``. A scope is ``quota/NAMESPACE/NAME`` or ``tenant/NAME``. Methods raise Unavailable."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def usage(self, scope: str) -> Mapping[str, Usage]:
        """All limits of a scope."""
        return {resource: Usage(hard, used) for resource, hard, used in await self._readers.fetch(READ, (scope,))}

    async def changed_since(self, revision: int) -> Sequence[ScopeUsage]:
        """The scopes whose limits or usage changed after ``revision``, ordered by name; all of them for 0. Ask again with
        the greatest revision of the answer.
        """
        found: dict[str, ScopeUsage] = {}
        rows: dict[str, dict[str, Usage]] = {}
        for scope, resource, hard, used, changed in await self._readers.fetch(CHANGED, (revision,)):
            usage = rows.setdefault(scope, {})
            usage[resource] = Usage(hard, used)
            found[scope] = ScopeUsage(scope, changed, usage)
        return list(found.values())


def scope_of(key: Key) -> str:
    """The scope that an object of ours sets the limits of; "" for all other kinds."""
    if key.resource_key == RESOURCE_QUOTAS:
        return f"quota/{key.namespace}/{key.name}"
    return f"tenant/{key.name}" if key.resource_key == TENANTS else ""


def encoded(write: Write) -> bytes | None:
    """What the commit function is told of a write's limits."""
    limits = write.limits
    if write.op is Op.DELETE:
        scope = scope_of(write.key)
        limits = Limits(scope) if scope else None
    if limits is None:
        return None
    parts = limits.scope.split("/")
    subject = f"namespace/{parts[1]}" if parts[0] == "quota" and len(parts) == 3 else limits.scope
    return orjson.dumps(
        {
            "scope": limits.scope,
            "subject": subject,
            "hard": dict(limits.hard),
            "matcher": [dict(requirement) for requirement in limits.matcher] or None,
        }
    )
