"""Which history a database holds, and when another one begins.

A restored backup, a promoted standby that had not received everything, or another database at the same address continue
from a point in the past: revisions that clients have seen would be given out a second time for other objects. Each new
connection therefore compares PostgreSQL's system identifier and timeline with those on record, and the last batch that
this process saw with the database's. On a mismatch a new epoch begins: revisions jump beyond any that was ever served,
and everything older answers 410, so every client lists again.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass, replace

from moorage.store.database import Connection

log = logging.getLogger("moorage.store.epochs")

JUMP = 10**12
"""Revisions that an epoch has room for: 30 years at a thousand writes a second."""

# The timeline is the first eight hexadecimal digits of a WAL file's name (pg_control_* lag behind a promotion).
STATE = """
SELECT c.uid, c.epoch, c.horizon, greatest(c.base_revision, (SELECT max(last_revision) FROM batches)),
       c.system_identifier, c.timeline, (SELECT s.system_identifier::text FROM pg_control_system() s),
       ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint,
       (SELECT b.id FROM batches b WHERE b.last_revision = %s)
FROM cluster c
"""
ADOPT = "UPDATE cluster SET system_identifier = %s, timeline = %s WHERE system_identifier = ''"
LOCK = "SELECT FROM store_lock WHERE id = 1 FOR UPDATE"
BEGIN_EPOCH = """
UPDATE cluster SET epoch = epoch + 1, base_revision = %s, horizon = %s, system_identifier = %s, timeline = %s
WHERE epoch = %s
"""
RECORD_JUMP = "INSERT INTO jumps VALUES (%s, %s, %s, %s, %s, clock_timestamp())"


@dataclass(frozen=True, slots=True)
class State:
    """What a database says of itself. ``head`` is the newest revision; ``seen_batch`` is the id of the batch that ends
    at the revision asked for, if any.
    """

    cluster: str
    epoch: int
    horizon: int
    head: int
    recorded: tuple[str, int]
    actual: tuple[str, int]
    seen_batch: uuid.UUID | None


@dataclass(slots=True)
class Seen:
    """The history that this process knows: its epoch, and the newest commit that is known to be in the database."""

    epoch: int = 0
    revision: int = 0
    batch: uuid.UUID | None = None

    def note(self, revision: int, batch: uuid.UUID) -> None:
        """Remember a commit, unless a newer one is known."""
        if revision > self.revision:
            self.revision, self.batch = revision, batch

    def restart(self, epoch: int) -> None:
        """Another history: forget the commits of the old one."""
        self.epoch, self.revision, self.batch = epoch, 0, None


async def read_state(connection: Connection, seen: Seen) -> State:
    """One row that says which history this is."""
    cursor = await connection.execute(STATE, (seen.revision,))
    row = await cursor.fetchone()
    assert row is not None, "the migration makes the row"
    return State(row[0], row[1], row[2], row[3], (row[4], row[5]), (row[6], row[7]), row[8])


def mismatch(state: State, seen: Seen) -> str:
    """Why the database does not continue the history on record; "" where it does."""
    if state.recorded[0] not in ("", state.actual[0]):
        return f"the database's system identifier is {state.actual[0]}, on record is {state.recorded[0]}"
    if state.recorded[0] and state.recorded[1] != state.actual[1]:
        return f"the database is on timeline {state.actual[1]}, on record is {state.recorded[1]}"
    if seen.batch is not None and seen.revision > state.horizon and state.seen_batch != seen.batch:
        return f"revision {seen.revision} was committed by batch {seen.batch} and is now of {state.seen_batch}"
    return ""


async def check_history(connection: Connection, seen: Seen, server_name: str) -> State:
    """The database's state, after a new epoch was begun where it was needed."""
    # A copy: commits go on while we ask, and the answer is about what was known when we asked.
    seen = replace(seen)
    state = await read_state(connection, seen)
    if state.recorded[0] == "":
        await connection.execute(ADOPT, state.actual)
        state = await read_state(connection, seen)
    if reason := mismatch(state, seen):
        await begin_epoch(connection, state, seen, reason, server_name)
        state = await read_state(connection, Seen())
    return state


async def begin_epoch(connection: Connection, state: State, seen: Seen, reason: str, server_name: str) -> None:
    """Begin the epoch after ``state.epoch``, unless another server did so first."""
    async with connection.transaction():
        await connection.execute(LOCK)
        # Under the lock: what was committed between the look and the lock counts as served, too.
        newest = (await read_state(connection, seen)).head
        served = max(newest, seen.revision)
        base = (served // JUMP + 1) * JUMP
        cursor = await connection.execute(BEGIN_EPOCH, (base, base, *state.actual, state.epoch))
        if cursor.rowcount == 0:
            return
        await connection.execute(RECORD_JUMP, (state.epoch + 1, served, base, reason, server_name))
        await connection.execute("SELECT pg_notify('moorage', %s)", (str(base),))
    log.error(
        "a new epoch of revisions begins: %s; clients must list again",
        reason,
        extra={"action": "epoch", "epoch": state.epoch + 1, "from": served, "to": base},
    )
