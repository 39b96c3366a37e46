"""What is swept for its age or number, and what stays."""

from __future__ import annotations

from typing import Any

import psycopg

from moorage.store.contracts import RefUpdate
from moorage.store.retention import sweep
from moorage.store.settings import StoreSettings
from tests.support.store import ORIGIN, QUICK, create, key, store

PUSHED = """
INSERT INTO git_pushes (repository, ref, old_id, new_id, result, actor, batch, revision, at)
SELECT %s, %s, '', n::text, '{}', 'ann', gen_random_uuid(), n, now() - make_interval(days => %s)
FROM generate_series(1, %s) n
"""
LEFT = "SELECT repository, ref, count(*), min(new_id::int) FROM git_pushes GROUP BY repository, ref ORDER BY 1, 2"


async def swept(url: str, settings: StoreSettings) -> None:
    """One round of the sweep."""
    async with store(url, settings=settings) as one, one._readers.connection() as connection:
        await sweep(connection, settings)


def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as plain:
        return plain.execute(query.encode()).fetchall()


async def test_pushes_are_kept_by_ref_by_age_and_by_repository(database_url: str) -> None:
    main, old = "refs/heads/main", "refs/heads/old"
    async with store(database_url) as one:
        refs = [RefUpdate("a", main, "", "1" * 40), RefUpdate("b", main, "", "1" * 40)]
        await one.commit([], ORIGIN, atomic=True, refs=refs)
    with psycopg.connect(database_url, autocommit=True) as plain:
        plain.execute("DELETE FROM git_pushes")
        for repository, ref, days, count in (
            ("a", main, 40, 8),
            ("a", main, 1, 3),
            ("a", old, 40, 5),
            ("a", "refs/heads/gone", 1, 1),
            ("b", main, 1, 30),
        ):
            plain.execute(PUSHED, (repository, ref, days, count))
    settings = StoreSettings(pushes_kept=6, pushes_most=20)
    await swept(database_url, settings)
    assert fetch(database_url, LEFT) == [
        # Six of the ref, of which three are old; none of a ref that is gone for long; no more than twenty of a repository.
        ("a", "refs/heads/gone", 1, 1),
        ("a", main, 6, 1),
        ("b", main, 20, 11),
    ]


async def test_small_tables_forget_what_nobody_asks_for_any_more(database_url: str) -> None:
    statements = (
        "INSERT INTO node_tunnels VALUES ('old', 's', 'a', now() - interval '2 hours'), ('new', 's', 'a', now())",
        "INSERT INTO tokens (sha256, username, groups, created_at, description, expires_at, revoked_at, used_at, kind) VALUES"
        " ('expired', 'u', '{}', now(), '', now() - interval '2 days', NULL, NULL, 'personal'),"
        " ('just expired', 'u', '{}', now(), '', now() - interval '2 hours', NULL, NULL, 'personal'),"
        " ('revoked', 'u', '{}', now(), '', NULL, now() - interval '31 days', NULL, 'personal'),"
        " ('used', 'u', '{}', now(), '', NULL, NULL, now() - interval '31 days', 'join'),"
        " ('in use', 'u', '{}', now(), '', NULL, NULL, now() - interval '31 days', 'personal'),"
        " ('valid', 'u', '{}', now(), '', NULL, NULL, NULL, 'personal')",
        "INSERT INTO writers VALUES ('old', 1, 's', now() - interval '31 days')",
        "INSERT INTO rotations (kind, scope, started_by, total, done, message, started_at, changed_at, finished_at) VALUES"
        " ('k', 'old', '', 0, 0, '', now(), now(), now() - interval '91 days'), ('k', 'new', '', 0, 0, '', now(), now(), now())",
        "INSERT INTO secret_versions SELECT 'ns', s, 1, 'u', 1, '', 0, '', '', now(), d FROM (VALUES"
        " ('gone', now() - interval '31 days'), ('deleted', now()), ('alive', NULL)) v(s, d)",
    )
    async with store(database_url) as one:
        for number in range(5):
            await one.commit([create(key(f"p{number}"))], ORIGIN)
    with psycopg.connect(database_url, autocommit=True) as plain:
        for statement in statements:
            plain.execute(statement.encode())
    await swept(database_url, QUICK)
    assert fetch(database_url, "SELECT node FROM node_tunnels") == [("new",)]
    kept = fetch(database_url, "SELECT sha256 FROM tokens ORDER BY 1")
    assert [name for (name,) in kept] == ["in use", "just expired", "valid"]
    assert "old" not in {writer for (writer,) in fetch(database_url, "SELECT writer FROM writers")}
    assert fetch(database_url, "SELECT scope FROM rotations") == [("new",)]
    assert fetch(database_url, "SELECT name FROM secret_versions ORDER BY 1") == [("alive",), ("deleted",)]
    assert fetch(database_url, "SELECT seq FROM audit_heads") == [(5,)]
