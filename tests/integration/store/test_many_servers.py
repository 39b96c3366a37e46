"""Several servers at once, and the death of any part: what was acknowledged stays, what was not is whole or absent."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

import moorage_migrations
from moorage.store import PostgresStore
from moorage.store.contracts import Change, Subscription
from moorage.supervisor.postgres import Postgres
from tests.support.store import CONFIGMAPS, ORIGIN, PODS, create, delete, key, names, seen, store, update
from tests.support.wait import until


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode()).fetchall()


def check_whole(url: str) -> None:
    """No gap, no batch twice, no new epoch; both members of every transaction, or neither."""
    revisions = [row[0] for row in query(url, "SELECT revision FROM revisions ORDER BY revision")]
    assert revisions == list(range(2, 2 + len(revisions)))
    assert query(url, "SELECT id FROM batches GROUP BY id HAVING count(*) > 1") == []
    assert query(url, "SELECT * FROM jumps") == []
    stored = {name for (name,) in query(url, "SELECT name FROM objects")}
    twins = {name.removesuffix("-twin") for name in stored if name.endswith("-twin")}
    assert twins == {name for name in stored if "-pair-" in name and not name.endswith("-twin")}


async def collect(watch: Subscription, until_revision: int) -> list[tuple[int, str, str]]:
    """Changes up to a revision."""
    got: list[tuple[int, str, str]] = []

    def take(batch: list[Change]) -> bool:
        got.extend(seen(change) for change in batch)
        return bool(got) and got[-1][0] >= until_revision

    async for batch in watch:
        if take(list(batch)):
            break
    watch.close()
    return got


async def busy(one: PostgresStore, tag: str, rounds: int) -> int:
    """Creates, updates and deletes from eight clients; the last revision written."""

    async def client(number: int) -> int:
        last = 0
        for step in range(rounds):
            name = key(f"{tag}-{number}-{step}")
            (made,) = await one.commit([create(name, uid="u")], ORIGIN)
            both = await one.commit(
                [update(name, "u", expect=made.revision), update(key("shared"), "u", n=step)], ORIGIN
            )
            assert both[0].outcome.value == "written"
            last = max(verdict.revision for verdict in both)
            if step % 3 == 0:
                (gone,) = await one.commit([delete(name, expect=both[0].revision)], ORIGIN)
                last = gone.revision
        return last

    return max(await asyncio.gather(*(client(number) for number in range(8))))


async def test_watchers_on_both_servers_see_every_change_once_and_in_order(database_url: str) -> None:
    async with store(database_url, "one") as one, store(database_url, "two") as two:
        await one.commit([create(key("shared"), uid="u")], ORIGIN)
        await two.commit([create(key("other", resource=CONFIGMAPS))], ORIGIN)
        caches = [await one.cache(PODS), await two.cache(PODS)]
        for cache in caches:
            await cache.wait(await one.latest())
        watches = [cache.subscribe(3) for cache in caches]
        ends = await asyncio.gather(busy(one, "one", 8), busy(two, "two", 8))
        got = await asyncio.gather(*(collect(watch, max(ends)) for watch in watches))
        log = query(
            database_url,
            """SELECT revision, (ARRAY['ADDED', 'MODIFIED', 'DELETED'])[change], name FROM revisions
            WHERE resource = 'pods' AND revision > 3 ORDER BY revision""",
        )
        assert got[0] == got[1] == log
        assert len(log) > 300
        check_whole(database_url)
        assert [(e.key, e.revision, e.data) for e in caches[0].entries()] == [
            (e.key, e.revision, e.data) for e in caches[1].entries()
        ]


@asynccontextmanager
async def writer_process(
    url: str, name: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[tuple[int, str]]]]:
    """A writing process and the writes that it was told of so far."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.store_writer", url, name, "4", stdout=asyncio.subprocess.PIPE
    )
    acknowledged: list[tuple[int, str]] = []

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.endswith(b"\n"):
                revision, written = line.decode().split()
                acknowledged.append((int(revision), written))

    reading = asyncio.create_task(read())
    try:
        yield process, acknowledged
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


async def test_a_killed_server_loses_nothing_acknowledged(database_url: str) -> None:
    async with store(database_url, "witness") as witness:
        pods = await witness.cache(PODS)
        watch = pods.subscribe(pods.revision)
        acknowledged: list[tuple[int, str]] = []
        for life in range(3):
            async with writer_process(database_url, f"life{life}") as (process, told):
                await until(lambda told=told, life=life: len(told) > 20 * (life + 1))  # type: ignore[misc] # loop values
                await until(lambda life=life: chains_of_reads(database_url) > life)  # type: ignore[misc] # loop values
                os.kill(process.pid, signal.SIGKILL)
            acknowledged += told
        # Whatever the killed ones had sent has been decided once the lock is ours.
        (verdict,) = await witness.commit([create(key("end"))], ORIGIN)
        stored = dict(query(database_url, "SELECT revision, name FROM objects"))
        assert len(acknowledged) > 120
        assert all(stored[revision] == name for revision, name in acknowledged)
        check_whole(database_url)
        changes = await collect(watch, verdict.revision)
        assert {revision: name for revision, _, name in changes} == stored
        assert names(pods.entries()) == sorted(stored.values())
        await check_audit(witness, database_url, stored)


def chains_of_reads(url: str) -> int:
    """How many servers have written rows of reads."""
    ((found,),) = query(url, "SELECT count(DISTINCT chain) FROM audit WHERE verb = 'get'")
    return int(found)


async def check_audit(one: PostgresStore, url: str, stored: dict[int, str]) -> None:
    """Chains of servers that were killed hold: every write has its row, and no row that a commit told of is missing."""
    report = await one.audit.verify()
    assert report.problems == []
    assert dict(query(url, "SELECT revision, name FROM audit WHERE verb = 'create'")) == stored
    told = dict(query(url, "SELECT verb, count(*) FROM audit GROUP BY verb"))
    assert told["get"] > 0
    assert told["anchor"] > 0


@pytest.fixture
def durable_cluster() -> Iterator[Postgres]:
    """A cluster with every promise of durability kept."""
    with tempfile.TemporaryDirectory(prefix="moorage-crash-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with (directory / "postgres.log").open("wb") as log:
            cluster = Postgres(directory, log=log)
            try:
                cluster.start()
                moorage_migrations.upgrade(cluster.url)
                yield cluster
            finally:
                cluster.remove()


async def test_a_killed_database_loses_nothing_acknowledged(durable_cluster: Postgres) -> None:
    url = durable_cluster.url
    async with store(url, "witness", commit_deadline=60.0) as witness:
        pods = await witness.cache(PODS)
        watch = pods.subscribe(pods.revision)
        async with writer_process(url, "writer") as (process, told):
            for _ in range(3):
                before = len(told)
                await until(lambda before=before: len(told) > before + 30)  # type: ignore[misc] # loop value
                for pid in durable_cluster.processes():
                    # Backends whose postmaster is gone end by themselves, and may be faster.
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                assert durable_cluster.process is not None
                await asyncio.to_thread(durable_cluster.process.wait)
                await asyncio.to_thread(durable_cluster.start)
            before = len(told)
            await until(lambda: len(told) > before + 30)
            os.kill(process.pid, signal.SIGKILL)
        (verdict,) = await witness.commit([create(key("end"))], ORIGIN)
        stored = dict(query(url, "SELECT revision, name FROM objects"))
        assert all(stored[revision] == name for revision, name in told)
        check_whole(url)
        changes = await collect(watch, verdict.revision)
        assert {revision: name for revision, _, name in changes} == stored
        await pods.wait(await witness.latest())
        assert names(pods.entries()) == sorted(stored.values())
