"""What is forgotten for its age: partitions of the audit, pushes, versions of deleted Secrets, used-up tokens, rotations.

The change log's own history is ``moorage.store.compaction``'s.
"""

from __future__ import annotations

import logging

from psycopg import sql

from moorage.store.database import Connection
from moorage.store.settings import StoreSettings

log = logging.getLogger("moorage.store.retention")

SWEEP = (
    "DELETE FROM node_tunnels WHERE expires_at < clock_timestamp() - interval '1 hour'",
    # For a while the lists tell what became of a token.
    "DELETE FROM tokens WHERE expires_at < clock_timestamp() - interval '1 day'",
    "DELETE FROM tokens WHERE least(revoked_at, used_at) < clock_timestamp() - interval '30 days'"
    " AND (revoked_at IS NOT NULL OR kind = 'join')",
    "DELETE FROM writers WHERE changed_at < clock_timestamp() - interval '30 days'",
    "DELETE FROM rotations WHERE finished_at < clock_timestamp() - interval '90 days'",
    # The chain of commits goes on after the newest.
    "DELETE FROM audit_heads WHERE seq < (SELECT max(seq) FROM audit_heads)",
)
VERSIONS = "DELETE FROM secret_versions WHERE deleted_at < clock_timestamp() - make_interval(secs => %s)"
# Of each ref that is there the last pushes stay, however old: they tell how it came to where it is. But a repository has a
# limit of its own, for one that is pushed to without end, or to ever new refs.
PUSHES = """
DELETE FROM git_pushes p USING (
    SELECT g.id, row_number() OVER (PARTITION BY g.repository, g.ref ORDER BY g.id DESC) AS of_ref,
           row_number() OVER (PARTITION BY g.repository ORDER BY g.id DESC) AS of_repository,
           EXISTS (SELECT FROM git_refs r WHERE r.repository = g.repository AND r.ref = g.ref) AS there
    FROM git_pushes g
) n
WHERE n.id = p.id AND (
    n.of_repository > %s
    OR ((n.of_ref > %s OR NOT n.there) AND p.at < clock_timestamp() - make_interval(secs => %s)))
"""
AUDIT = """
SELECT name, upper, pending FROM moorage_audit_partitions_2() WHERE upper < clock_timestamp() - make_interval(secs => %s)
"""
FLOOR = "SELECT moorage_audit_floor_2(%s)"
FORGET_FLOORS = """
DELETE FROM audit_floors WHERE chain <> 'commits' AND at < clock_timestamp() - 2 * make_interval(secs => %s)
"""
DETACHED = r"""
SELECT c.relname FROM pg_class c
WHERE c.relkind = 'r' AND c.relname ~ '^audit_\d{8}$'
  AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'audit'::regclass)
  AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
"""


async def sweep(connection: Connection, settings: StoreSettings) -> None:
    """One round. Raises psycopg.Error."""
    for statement in SWEEP:
        await connection.execute(statement.encode())
    await connection.execute(VERSIONS, (settings.deleted_secrets_age,))
    await connection.execute(PUSHES, (settings.pushes_most, settings.pushes_kept, settings.pushes_age))
    await forget_audit(connection, settings.audit_age)


async def forget_audit(connection: Connection, age: float) -> None:
    """Drop the audit's days that ended more than ``age`` seconds ago; where their chains go on is remembered first."""
    for name, upper, pending in await (await connection.execute(AUDIT, (age,))).fetchall():
        detach = sql.SQL("ALTER TABLE audit DETACH PARTITION {} {}")
        if pending:
            await connection.execute(detach.format(sql.Identifier(name), sql.SQL("FINALIZE")))
        else:
            await connection.execute(FLOOR, (upper,))
            await connection.execute(detach.format(sql.Identifier(name), sql.SQL("CONCURRENTLY")))
    for (name,) in await (await connection.execute(DETACHED)).fetchall():
        await connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))
        log.info("a day of the audit was dropped", extra={"action": "audit", "partition": name})
    await connection.execute(FORGET_FLOORS, (age,))
