"""History: partitions, compaction, expiry, old states, and what happens when history itself changes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import psycopg
import pytest

from moorage.store import PostgresStore
from moorage.store.compaction import compact
from moorage.store.contracts import Expired, Origin, Subscription
from moorage.store.settings import StoreSettings
from tests.support.store import CONFIGMAPS, ORIGIN, PODS, QUICK, create, delete, key, names, seen, store, update
from tests.support.wait import until


def query(url: str, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


def partitions(url: str) -> list[tuple[int, int]]:
    return query(url, "SELECT lower, upper FROM moorage_partitions_1()")


KILL_ALL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()
"""


async def watch_to_the_end(watch: Subscription) -> None:
    async for _ in watch:
        continue


async def compacted(one: PostgresStore, url: str, **settings: Any) -> int:
    """Run compaction as the leading server does, and let the store learn of it."""
    connection = await one._database.connect()
    horizon = await compact(connection, StoreSettings(**settings))
    await connection.close()
    await until(lambda: one.feed.horizon == horizon)
    return horizon


async def test_partitions_are_made_ahead_and_by_a_writer_that_finds_none(database_url: str) -> None:
    async with store(database_url, partition_size=10, partitions_ahead=1, upkeep_every=3600.0) as one:
        assert partitions(database_url) == [(1, 10), (10, 20)]
        pods = await one.cache(PODS)
        watch = pods.subscribe(1)
        verdicts = await one.commit([create(key(f"p{n:02}")) for n in range(65)], ORIGIN)
        assert [v.revision for v in verdicts] == list(range(2, 67))
        await one.commit([create(key(f"q{n}")) for n in range(40)], ORIGIN, atomic=True)
        ranges = partitions(database_url)
        assert all(low[1] == high[0] for low, high in pairwise(ranges))
        assert ranges[-1][1] > 106
        changes: list[tuple[int, str, str]] = []
        async for batch in watch:
            changes += [seen(change) for change in batch]
            if len(changes) == 105:
                break
        assert [revision for revision, _, _ in changes] == list(range(2, 107))
        watch.close()
    async with store(database_url, partition_size=16, upkeep_every=0.1) as one:
        await until(lambda: partitions(database_url)[-1][1] > 106 + 16)
        (verdict,) = await one.commit([create(key("after"))], ORIGIN)
        assert verdict.revision == 107


async def test_compaction_drops_old_partitions_and_answers_expired(database_url: str) -> None:
    async with store(database_url, partition_size=10, partitions_ahead=1, ring_changes=2) as one:
        pods = await one.cache(PODS)
        for number in range(34):
            await one.commit([create(key(f"p{number:02}"))], ORIGIN)
        await one.commit([create(key("c", resource=CONFIGMAPS))], ORIGIN)
        assert names(await one.list_at(PODS, 12)) == [f"p{n:02}" for n in range(11)]
        assert await compacted(one, database_url, horizon_age=3600.0) == 1
        query(
            database_url,
            "UPDATE batches SET committed_at = committed_at - interval '2 hours' WHERE last_revision <= 25",
        )
        assert await compacted(one, database_url, horizon_age=3600.0) == 25
        assert partitions(database_url)[0] == (20, 30)
        assert query(database_url, "SELECT min(last_revision) FROM batches") == [(26,)]
        assert query(
            database_url, "SELECT count(*) FROM pg_class WHERE relname ~ '^revisions_0' AND relkind = 'r'"
        ) == [(len(partitions(database_url)),)]
        for since in (24, 1):
            with pytest.raises(Expired):
                pods.subscribe(since)
        with pytest.raises(Expired):
            await one.list_at(PODS, 24)
        assert len(await one.list_at(PODS, 25)) == 24
        old = pods.subscribe(25)
        got: list[int] = []
        async for batch in old:
            got += [change.revision for change in batch]
            if got[-1] == 35:
                break
        assert got == list(range(26, 36))
        old.close()
        # However old everything is, the newest commit stays, and numbering goes on.
        query(database_url, "UPDATE batches SET committed_at = committed_at - interval '9 hours'")
        assert await compacted(one, database_url, horizon_age=3600.0) == 36
        assert query(database_url, "SELECT last_revision FROM batches") == [(36,)]
        (verdict,) = await one.commit([create(key("next"))], ORIGIN)
        assert verdict.revision == 37
        assert len(await one.list_at(PODS, 36)) == 34


async def test_compaction_by_size_keeps_the_newest_partition(database_url: str) -> None:
    async with store(database_url, partition_size=10) as one:
        await one.cache(PODS)
        for number in range(25):
            await one.commit([create(key(f"p{number}"))], ORIGIN)
        assert await compacted(one, database_url, history_bytes=1) == 19
        assert partitions(database_url)[0] == (20, 30)


async def test_a_server_that_slept_through_compaction_reads_everything_anew(database_url: str) -> None:
    async with store(database_url, "awake") as awake:
        await awake.commit([create(key("old"))], ORIGIN)
        async with store(database_url, "asleep", poll=3600.0) as asleep:
            pods = await asleep.cache(PODS)
            watch = pods.subscribe(pods.revision)
            # Deaf and without a poll: what is heard here would be heard too late.
            asleep._listener.heard = lambda revision: None  # type: ignore[method-assign] # the ear is what fails here
            asleep._link._heard = lambda revision: None
            await awake.commit([create(key("new")), delete(key("old"))], ORIGIN)
            query(database_url, "UPDATE batches SET committed_at = committed_at - interval '9 hours'")
            await compacted(awake, database_url, horizon_age=3600.0)
            await pods.wait(await asleep.latest())
            assert names(pods.entries()) == ["new"]
            with pytest.raises(Expired):
                await anext(aiter(watch))


async def test_expired_objects_go_and_watchers_see_it(database_url: str) -> None:
    async with store(database_url) as one:
        pods = await one.cache(PODS)
        watch = pods.subscribe(1)
        writes = [create(key(f"e{n}"), expires_in=1) for n in range(3)] + [create(key("stays"), expires_in=3600)]
        await one.commit(writes, Origin(actor="someone"))
        await one.commit([update(key("e0"), "u")], ORIGIN)
        changes: list[tuple[int, str, str]] = []
        async for batch in watch:
            changes += [seen(change) for change in batch]
            if sum(kind == "DELETED" for _, kind, _ in changes) == 2:
                break
        watch.close()
        # The one that was written again without a time to live has none.
        assert sorted(name for _, kind, name in changes if kind == "DELETED") == ["e1", "e2"]
        assert names(pods.entries()) == ["e0", "stays"]
        actors = query(database_url, "SELECT DISTINCT actor FROM revisions WHERE change = 3")
        assert actors == [("system:moorage:expiry",)]


async def test_one_server_of_many_does_the_upkeep_and_another_takes_over(database_url: str) -> None:
    async with store(database_url, "one") as one:
        await until(lambda: one._upkeep.leading)
        async with store(database_url, "two") as two:
            await one.commit([create(key("a"))], ORIGIN)
            assert not two._upkeep.leading
            query(database_url, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            await until(lambda: one._upkeep.leading or two._upkeep.leading)
            assert not (one._upkeep.leading and two._upkeep.leading)


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE cluster SET timeline = timeline + 1",
        "UPDATE cluster SET system_identifier = '42'",
        # The tail of the history is gone, and something else took its place.
        "DELETE FROM objects WHERE name = 'b'; DELETE FROM revisions WHERE revision = 3;"
        "UPDATE batches SET id = gen_random_uuid() WHERE last_revision = 3",
    ],
)
async def test_another_history_begins_a_new_epoch_far_ahead(database_url: str, tamper: str) -> None:
    async with store(database_url, "one") as one, store(database_url, "two") as two:
        cache, other = await one.cache(PODS), await two.cache(PODS)
        await one.commit([create(key("a"))], ORIGIN)
        await one.commit([create(key("b"))], ORIGIN)
        await other.wait(3)
        watch = cache.subscribe(2)
        query(database_url, tamper)
        query(database_url, KILL_ALL)
        await until(lambda: query(database_url, "SELECT epoch FROM cluster") == [(2,)])
        for server, pods in ((one, cache), (two, other)):
            newest = await server.latest()
            assert newest >= 10**12
            await pods.wait(newest)
            stored = query(database_url, "SELECT name FROM objects ORDER BY name")
            assert names(pods.entries()) == [name for (name,) in stored]
            with pytest.raises(Expired):
                pods.subscribe(3)
        (verdict,) = await two.commit([create(key("c"))], ORIGIN)
        assert verdict.revision == 10**12 + 1
        await cache.wait(await one.latest())
        assert "c" in names(cache.entries())
        assert cache.entries()[-1].document()["metadata"]["resourceVersion"] == str(10**12 + 1)
        with pytest.raises(Expired):
            await watch_to_the_end(watch)
        ((epoch, low, high),) = query(database_url, "SELECT epoch, from_revision, to_revision FROM jumps")
        assert (epoch, low, high) == (2, 3, 10**12)
    async with store(database_url, "three", settings=QUICK) as three:
        pods = await three.cache(PODS)
        assert pods.revision == 10**12 + 1
