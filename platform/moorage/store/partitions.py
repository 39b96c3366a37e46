"""Partitions of the change log and of the audit: made ahead, and by a writer that finds none."""

from __future__ import annotations

import logging
from datetime import datetime

from moorage.store.database import Connection
from moorage.store.settings import StoreSettings

log = logging.getLogger("moorage.store.partitions")

NEXT = "SELECT greatest(c.base_revision, (SELECT max(last_revision) FROM batches)) + 1 FROM cluster c"
BOUNDS = "SELECT lower, upper FROM moorage_partitions_1()"
MAKE = "SELECT moorage_make_partition_1(%s, %s)"
AUDIT = """
SELECT d.day FROM (SELECT date_trunc('day', clock_timestamp(), 'UTC') + make_interval(days => n) AS day
                   FROM generate_series(0, 2) n) d
WHERE NOT EXISTS (SELECT FROM moorage_audit_partitions_2() p WHERE p.lower = d.day)
"""
MAKE_AUDIT = "SELECT moorage_make_audit_partition_2(%s)"


def missing(bounds: list[tuple[int, int]], following: int, size: int, ahead: int) -> list[tuple[int, int]]:
    """Ranges to make so that ``following`` and ``ahead`` partitions after its own exist. ``bounds`` are ordered."""
    made: list[tuple[int, int]] = []
    point = following
    for _ in range(ahead + 1):
        inside = next(((low, high) for low, high in bounds if low <= point < high), None)
        if inside is None:
            below = max((high for _, high in bounds if high <= point), default=1)
            above = min((low for low, _ in bounds if low > point), default=None)
            low = max(below, point // size * size, 1)
            high = (point // size + 1) * size
            inside = (low, high if above is None else min(high, above))
            made.append(inside)
        point = inside[1]
    return made


async def make_partitions(connection: Connection, settings: StoreSettings, *, room: int = 0) -> int:
    """Make what is missing for the next revisions (``room``: of a batch that waits for them). Returns how many were made."""
    row = await (await connection.execute(NEXT)).fetchone()
    assert row is not None
    bounds = [(low, high) for low, high in await (await connection.execute(BOUNDS)).fetchall()]
    ahead = settings.partitions_ahead + room // settings.partition_size + (1 if room else 0)
    ranges = missing(bounds, row[0], settings.partition_size, ahead)
    for low, high in ranges:
        await connection.execute(MAKE, (low, high))
        log.info("partition made", extra={"action": "partition", "lower": low, "upper": high})
    for (day,) in await (await connection.execute(AUDIT)).fetchall():
        await make_audit_partition(connection, day)
    return len(ranges)


async def make_audit_partition(connection: Connection, at: datetime) -> None:
    """Make the audit's partition for the day (UTC) of ``at``, unless it is there."""
    row = await (await connection.execute(MAKE_AUDIT, (at,))).fetchone()
    if row is not None and row[0]:
        log.info("partition of the audit made", extra={"action": "partition", "day": f"{at:%Y-%m-%d}"})
