"""The connection is cut at each message of a commit, in each direction, in each way: every outcome is the true one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from moorage.store.contracts import OutcomeUnknown, RefUpdate, Unavailable, Verdict
from moorage.store.pipe import Pipe
from tests.support.store import ORIGIN, PODS, QUICK, create, delete, key, names, store, update
from tests.support.wait import until
from tests.support.wire_proxy import How, Side, proxied

MESSAGES = 12
"""More than a commit has in either direction; the last cuts then hit the next commit, or nothing."""


@pytest.fixture
def sockets() -> Iterator[Path]:
    # A unix socket's path is short, and pytest's temporary directories are not.
    with tempfile.TemporaryDirectory(prefix="mo-") as name:
        yield Path(name)


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode()).fetchall()


def check_log(url: str) -> None:
    """The log has no gap, no batch twice, and agrees with the objects."""
    revisions = [row[0] for row in query(url, "SELECT revision FROM revisions ORDER BY revision")]
    assert revisions == list(range(2, 2 + len(revisions)))
    assert query(url, "SELECT id FROM batches GROUP BY id HAVING count(*) > 1") == []
    assert query(url, "SELECT * FROM jumps") == []
    current = query(
        url,
        """SELECT name, revision FROM (SELECT DISTINCT ON (name) name, revision, change FROM revisions
        ORDER BY name, revision DESC) last WHERE change <> 3 ORDER BY name""",
    )
    assert query(url, "SELECT name, revision FROM objects ORDER BY name") == current


@pytest.mark.parametrize("how", [How.BEFORE, How.HALF, How.AFTER])
@pytest.mark.parametrize("side", list(Side))
async def test_a_cut_at_any_message_changes_no_outcome(database_url: str, sockets: Path, side: Side, how: How) -> None:
    async with proxied(database_url, sockets) as (proxy, url), store(url) as one:
        pods = await one.cache(PODS)
        watch = pods.subscribe(pods.revision)
        await one.commit([create(key("kept"), uid="u")], ORIGIN)
        cuts = 0
        for at in range(1, MESSAGES + 1):
            plan = proxy.cut(side, at, how)
            head = await one.latest()
            verdicts = await one.commit(
                [create(key("kept")), create(key(f"new{at}")), update(key("kept"), "u", step=at), delete(key("none"))],
                ORIGIN,
            )
            assert [(v.outcome.value, v.revision) for v in verdicts] == [
                ("exists", verdicts[0].revision),
                ("written", head + 1),
                ("written", head + 2),
                ("not_found", 0),
            ]
            (atomic,) = await one.commit([create(key(f"atom{at}"))], ORIGIN, atomic=True)
            assert atomic.revision == head + 3
            cuts += plan.done
            assert await one.latest() == head + 3
        # At the very least the messages of one commit: four from the client, five from the server.
        assert cuts >= (4 if side is Side.CLIENT else 5)
        check_log(database_url)
        seen: list[int] = []
        async for batch in watch:
            seen += [change.revision for change in batch]
            if len(seen) == pods.revision - 1:
                break
        assert seen == list(range(2, pods.revision + 1))
        watch.close()


async def test_a_batch_that_the_feed_read_back_first_is_found_all_the_same(database_url: str, sockets: Path) -> None:
    async with proxied(database_url, sockets) as (proxy, url), store(url) as one:
        await one.cache(PODS)
        await one.commit([create(key("first"))], ORIGIN)
        connect = one._link.connect

        async def connect_late(deadline: float) -> Pipe:
            pipe = await connect(deadline)
            await one.feed.catch_up(10**9)
            return pipe

        one._link.connect = connect_late  # type: ignore[method-assign] # the order of events is what is tested
        proxy.cut(Side.SERVER, 1, How.BEFORE)
        (verdict,) = await one.commit([create(key("second"))], ORIGIN)
        assert (verdict.outcome.value, verdict.revision) == ("written", 3)
        check_log(database_url)


@pytest.mark.parametrize("at", [1, 2, 3, 4])
async def test_a_batch_that_arrives_late_is_refused(database_url: str, sockets: Path, at: int) -> None:
    async with proxied(database_url, sockets) as (proxy, url), store(url) as one:
        await one.commit([create(key("first"))], ORIGIN)
        proxy.cut(Side.CLIENT, at, How.LATE)
        (verdict,) = await one.commit([create(key("late"), uid="mine")], ORIGIN)
        assert verdict == Verdict(verdict.outcome, 3)
        assert verdict.outcome.value == "written"
        await proxy.release()
        # The server ends the old session when it has read all of it.
        await until(
            lambda: (
                query(database_url, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'moorage one'")
                <= [(3,)]
            )
        )
        assert query(database_url, "SELECT name, revision FROM objects ORDER BY revision") == [
            ("first", 2),
            ("late", 3),
        ]
        check_log(database_url)


async def test_a_push_is_recorded_once(database_url: str, sockets: Path) -> None:
    async with proxied(database_url, sockets) as (proxy, url), store(url) as one:
        before = ""
        for at in range(1, MESSAGES + 1):
            proxy.cut(Side.SERVER, at, How.BEFORE)
            after = f"{at:040x}"
            (verdict,) = await one.commit(
                [], ORIGIN, atomic=True, refs=[RefUpdate("repo", "refs/heads/main", before, after)]
            )
            assert verdict.outcome.value == "written"
            assert await one.ref("repo", "refs/heads/main") == after
            before = after
        assert query(database_url, "SELECT count(*) FROM git_pushes") == [(MESSAGES,)]


async def test_a_database_that_is_away_for_good_is_told_apart_from_an_unknown_outcome(
    database_url: str, sockets: Path
) -> None:
    async with store(database_url) as witness:
        impatient = replace(QUICK, commit_deadline=1.0, read_deadline=1.0)
        async with proxied(database_url, sockets) as (proxy, url), store(url, settings=impatient) as one:
            await one.commit([create(key("first"))], ORIGIN)
            proxy.cut(Side.SERVER, 1, How.BEFORE)
            proxy.target = sockets / "nowhere"
            with pytest.raises(OutcomeUnknown):
                await one.commit([create(key("second"))], ORIGIN)
            with pytest.raises(Unavailable):
                await one.commit([create(key("third"))], ORIGIN)
            with pytest.raises(Unavailable):
                await one.ref("repo", "main")
        pods = await witness.cache(PODS)
        await pods.wait(await witness.latest())
        # Sent and not answered: it may be there. Not sent: it is not.
        assert "first" in names(pods.entries())
        assert "third" not in names(pods.entries())
