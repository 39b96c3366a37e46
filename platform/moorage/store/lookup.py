"""Finding out what became of a batch whose answer was lost."""

from __future__ import annotations

from moorage.store.commit import Batch, Committed
from moorage.store.contracts import Outcome, Verdict
from moorage.store.database import Connection

FIND_BATCH = "SELECT first_revision, last_revision FROM batches WHERE last_revision > %s AND id = %s"
FIND_MEMBERS = "SELECT member, revision FROM revisions WHERE revision BETWEEN %s AND %s ORDER BY revision"
FIND_PUSH = "SELECT revision FROM git_pushes WHERE batch = %s"


async def look_up(connection: Connection, batch: Batch, after: int) -> Committed | None:
    """What the batch wrote (it can only be after revision ``after``), or None where it wrote nothing and never will.

    The writer's epoch must have been raised before. Verdicts of members that were not written have revision 0.
    Raises psycopg.OperationalError.
    """
    row = await (await connection.execute(FIND_BATCH, (after, batch.id))).fetchone()
    if row is None:
        return await _ref_only(connection, batch)
    first, last = row
    members: dict[int, int] = dict(await (await connection.execute(FIND_MEMBERS, (first, last))).fetchall())
    verdicts = []
    for number in range(len(batch.writes)):
        revision = members.get(number, 0)
        verdicts.append(Verdict(Outcome.WRITTEN if revision else Outcome.ABORTED, revision))
    return Committed(verdicts, first, last)


async def _ref_only(connection: Connection, batch: Batch) -> Committed | None:
    """A transaction that moved refs and wrote no object leaves its pushes only."""
    if batch.writes or not any(request.refs for request in batch.requests):
        return None
    row = await (await connection.execute(FIND_PUSH, (batch.id,))).fetchone()
    return None if row is None else Committed([Verdict(Outcome.WRITTEN, row[0])], row[0] + 1, row[0])
