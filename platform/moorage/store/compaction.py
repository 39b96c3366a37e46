"""Forgetting old history: the horizon is recorded first, then partitions wholly below it are detached and dropped.

A reader that began below the horizon sees, after its read, that the horizon has passed it, and answers 410; it never
returns a history with holes. The newest revision always stays, and so does everything after the horizon.
"""

from __future__ import annotations

import logging
from typing import Any

from psycopg import sql

from moorage.store.database import Connection
from moorage.store.settings import StoreSettings

log = logging.getLogger("moorage.store.compaction")

# The first commit that ends at a revision or after it, and whether it is old enough.
FIRST_FROM = """
SELECT last_revision, committed_at <= clock_timestamp() - make_interval(secs => %s)
FROM batches WHERE last_revision >= %s ORDER BY last_revision LIMIT 1
"""
PARTITIONS = "SELECT name, lower, upper, bytes, pending FROM moorage_partitions_1()"
LIMITS = "SELECT c.horizon, greatest(c.base_revision, (SELECT max(last_revision) FROM batches)) FROM cluster c"
COVERING = "SELECT min(last_revision) FROM batches WHERE last_revision >= %s"
ADVANCE = "UPDATE cluster SET horizon = %s WHERE horizon < %s"
FORGET = """
DELETE FROM batches WHERE last_revision <= %s AND last_revision < (SELECT max(last_revision) FROM batches)
"""
# Tables that were detached by a server which then stopped.
DETACHED = r"""
SELECT c.relname FROM pg_class c
WHERE c.relkind = 'r' AND c.relname ~ '^revisions_\d{19}$'
  AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'revisions'::regclass)
  AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
"""


async def compact(connection: Connection, settings: StoreSettings) -> int:
    """Advance the horizon and drop what lies below it. Returns the horizon. Raises psycopg.Error."""
    horizon: int
    head: int
    horizon, head = await _fetch(connection, LIMITS)
    by_age = await _by_age(connection, settings.horizon_age, horizon, head)
    target = max(by_age, await _by_size(connection, settings.history_bytes, head))
    if target > horizon:
        await connection.execute(ADVANCE, (target, target))
        horizon = target
    await connection.execute(FORGET, (horizon,))
    await _drop(connection, horizon, head)
    return horizon


async def _by_age(connection: Connection, age: float, horizon: int, head: int) -> int:
    """The newest commit that is older than ``age`` seconds; 0 for none. Times grow with revisions, so halving finds it."""
    found, low, high = 0, horizon + 1, head
    while low <= high:
        middle = (low + high) // 2
        revision, old = await _fetch(connection, FIRST_FROM, (age, middle), nothing=(None, False))
        if old:
            found, low = revision, revision + 1
        else:
            high = middle - 1
    return found


async def _by_size(connection: Connection, limit: int, head: int) -> int:
    """The commit at which the horizon must be so that the partitions above it fit; 0 where all do."""
    partitions = await (await connection.execute(PARTITIONS)).fetchall()
    total = sum(size for _, _, _, size, _ in partitions)
    below = 0
    for _, _, upper, size, _ in partitions:
        if total <= limit or upper > head:
            break
        total -= size
        below = upper - 1
    return (await _fetch(connection, COVERING, (below,)))[0] or 0 if below else 0


async def _fetch(
    connection: Connection, query: str, values: tuple[object, ...] = (), *, nothing: tuple[Any, ...] = ()
) -> tuple[Any, ...]:
    return await (await connection.execute(query.encode(), values)).fetchone() or nothing


async def _drop(connection: Connection, horizon: int, head: int) -> None:
    for name, _, upper, _, pending in await (await connection.execute(PARTITIONS)).fetchall():
        detach = sql.SQL("ALTER TABLE revisions DETACH PARTITION {} {}")
        if pending:
            await connection.execute(detach.format(sql.Identifier(name), sql.SQL("FINALIZE")))
        elif upper - 1 <= horizon and upper <= head:
            # Locks nobody out: it waits for those who read now, and new ones do not see the partition any more.
            await connection.execute(detach.format(sql.Identifier(name), sql.SQL("CONCURRENTLY")))
    for (name,) in await (await connection.execute(DETACHED)).fetchall():
        await connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
        log.info("history dropped", extra={"action": "compact", "partition": name, "horizon": horizon})
