"""What one process sees of the store: commits, verdicts, caches, watches, old states."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import orjson
import pytest

from moorage.store import InvalidDocument, StoreSettings
from moorage.store.contracts import Encoded, EventType, Op, Outcome, Verdict, Write
from tests.support.store import CONFIGMAPS, ORIGIN, PODS, create, delete, document, key, names, seen, store, update
from tests.support.wait import until


async def test_a_write_is_in_the_cache_when_commit_returns(database_url: str) -> None:
    async with store(database_url) as one:
        pods = await one.cache(PODS)
        assert (pods.revision, list(pods.entries())) == (1, [])
        verdicts = await one.commit([create(key("a"), labels={"app": "x"}), create(key("b"))], ORIGIN)
        assert verdicts == [Verdict(Outcome.WRITTEN, 2), Verdict(Outcome.WRITTEN, 3)]
        assert pods.revision == 3
        entry = pods.get("ns", "a")
        assert entry is not None
        assert entry.labels == {"app": "x"}
        assert orjson.loads(entry.data)["metadata"]["resourceVersion"] == "2"
        assert entry.document()["metadata"]["name"] == "a"
        assert names(pods.entries("ns")) == ["a", "b"]
        assert list(pods.entries("other")) == []


async def test_each_member_has_its_own_verdict_and_failures_take_no_revision(database_url: str) -> None:
    async with store(database_url) as one:
        pods = await one.cache(PODS)
        await one.commit([create(key("a"), uid="u1")], ORIGIN)
        verdicts = await one.commit(
            [
                create(key("a")),
                update(key("missing"), "x"),
                update(key("a"), "u1", expect=7),
                delete(key("a"), expect_uid="other"),
                update(key("a"), "u1", expect=2, step=1),
                update(key("a"), "u1", expect=3, step=2),
                update(key("a"), "u1", expect=2, step=3),
                delete(key("a"), expect=4, expect_uid="u1"),
                create(key("a"), uid="u2"),
            ],
            ORIGIN,
        )
        assert [(v.outcome.value, v.revision) for v in verdicts] == [
            ("exists", 2),
            ("not_found", 0),
            ("conflict", 2),
            ("uid_mismatch", 2),
            ("written", 3),
            ("written", 4),
            ("conflict", 4),
            ("written", 5),
            ("written", 6),
        ]
        entry = pods.get("ns", "a")
        assert entry is not None
        assert (entry.uid, entry.revision, pods.revision) == ("u2", 6, 6)


async def test_an_atomic_batch_is_written_whole_or_not_at_all(database_url: str) -> None:
    async with store(database_url) as one:
        pods = await one.cache(PODS)
        refused = await one.commit([create(key("a")), update(key("b"), "x"), create(key("c"))], ORIGIN, atomic=True)
        assert [v.outcome for v in refused] == [Outcome.ABORTED, Outcome.NOT_FOUND, Outcome.ABORTED]
        assert list(pods.entries()) == []
        assert await one.latest() == 1
        written = await one.commit([create(key("a")), create(key("c"))], ORIGIN, atomic=True)
        assert [v.revision for v in written] == [2, 3]


async def test_a_watch_gives_every_change_once_from_any_start(database_url: str) -> None:
    async with store(database_url, ring_changes=3) as one:
        pods = await one.cache(PODS)
        live = pods.subscribe(pods.revision)
        for number in range(5):
            await one.commit([create(key(f"p{number}")), create(key(f"c{number}", resource=CONFIGMAPS))], ORIGIN)
        await one.commit([update(key("p0"), "u", x=1), delete(key("p1"))], ORIGIN)
        everything = [
            (2, "ADDED", "p0"),
            (4, "ADDED", "p1"),
            (6, "ADDED", "p2"),
            (8, "ADDED", "p3"),
            (10, "ADDED", "p4"),
        ]
        everything += [(12, "MODIFIED", "p0"), (13, "DELETED", "p1")]
        for since in (0, 2, 5, 11, 12):
            expected = [change for change in everything if change[0] > since]
            late = pods.subscribe(max(since, 1))
            got: list[tuple[int, str, str]] = []
            async for batch in late:
                got += [seen(change) for change in batch]
                if len(got) >= len(expected):
                    break
            assert got == expected
            assert late.revision == 13
            late.close()
        got = []
        async for batch in live:
            got += [seen(change) for change in batch]
            if len(got) == len(everything):
                break
        assert got == everything
        live.close()


async def test_a_deletion_shows_the_last_state_at_its_own_revision(database_url: str) -> None:
    async with store(database_url) as one:
        pods = await one.cache(PODS)
        watch = pods.subscribe(pods.revision)
        await one.commit([create(key("a"), uid="u1", color="red")], ORIGIN)
        await one.commit([update(key("a"), "u1", color="blue")], ORIGIN)
        await one.commit([Write(Op.DELETE, key("a"), "u1", document(key("a"), "u1", color="last"))], ORIGIN)
        changes = list(await anext(aiter(watch)))
        while len(changes) < 3:
            changes += await anext(aiter(watch))
        modified, deleted = changes[1], changes[2]
        assert modified.previous is not None
        assert modified.previous.document()["color"] == "red"
        line = orjson.loads(modified.encoded(EventType.DELETED))
        assert (line["type"], line["object"]["color"], line["object"]["metadata"]["resourceVersion"]) == (
            "DELETED",
            "red",
            "3",
        )
        line = orjson.loads(deleted.encoded(EventType.DELETED))
        assert (line["type"], line["object"]["color"], line["object"]["metadata"]["resourceVersion"]) == (
            "DELETED",
            "last",
            "4",
        )
        assert deleted.encoded(EventType.DELETED) is deleted.encoded(EventType.DELETED)
        watch.close()


async def test_many_single_commits_share_batches(database_url: str) -> None:
    async with store(database_url) as one:
        pods = await one.cache(PODS)
        answers = await asyncio.gather(*(one.commit([create(key(f"p{number:03}"))], ORIGIN) for number in range(200)))
        assert sorted(verdict.revision for (verdict,) in answers) == list(range(2, 202))
        assert names(pods.entries()) == [f"p{number:03}" for number in range(200)]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            rb'{"metadata":{"resourceVersion":""},"spec":{"a":["x","\u0000"]}}',
            r"spec\.a\[1\] holds the character U\+0000",
        ),
        (rb'{"metadata":{"resourceVersion":""},"spec":"\ud800"}', "surrogate"),
        (b'{"metadata":{"resourceVersion":""},"spec":', "cannot store"),
        (b'{"metadata":{"resourceVersion":""},"spec":"\xff"}', "cannot store"),
    ],
)
async def test_what_could_not_be_read_again_is_refused_and_spoils_nobody_else(
    database_url: str, body: bytes, problem: str
) -> None:
    async with store(database_url) as one:
        pods = await one.cache(PODS)
        bad = Write(Op.CREATE, key("bad"), "u", Encoded(body, body.index(b'""') + 1))
        # An escaped backslash before u0000 is five harmless characters.
        fine = create(key("fine"), text="\\u0000 \x01")
        good, refused = await asyncio.gather(
            one.commit([fine], ORIGIN), one.commit([bad], ORIGIN), return_exceptions=True
        )
        assert isinstance(refused, InvalidDocument)
        with pytest.raises(InvalidDocument, match=problem):
            raise refused
        assert isinstance(good, list)
        assert good[0].outcome is Outcome.WRITTEN
        assert names(pods.entries()) == ["fine"]


async def test_an_amount_that_no_number_of_the_database_holds_spoils_nobody_else(database_url: str) -> None:
    async with store(database_url) as one:
        await one.cache(PODS)
        bad = replace(create(key("bad")), charge={"requests.cpu": 10**400})
        answers = await asyncio.gather(
            *(one.commit([each], ORIGIN) for each in (create(key("a")), bad, create(key("b")))), return_exceptions=True
        )
        assert isinstance(answers[1], InvalidDocument)
        assert [answer[0].outcome for answer in answers if isinstance(answer, list)] == [Outcome.WRITTEN] * 2


async def test_a_slow_watcher_is_cut_off(database_url: str) -> None:
    from moorage.store.contracts import TooSlow

    async with store(database_url, watcher_changes=10) as one:
        pods = await one.cache(PODS)
        slow, quick = pods.subscribe(1), pods.subscribe(1)
        for number in range(12):
            await one.commit([create(key(f"p{number}"))], ORIGIN)
            await anext(aiter(quick))
        with pytest.raises(TooSlow):
            await anext(aiter(slow))
        quick.close()


async def test_caches_of_two_stores_agree_at_once(database_url: str) -> None:
    async with store(database_url, "one") as one, store(database_url, "two", poll=60.0) as two:
        cache = await two.cache(PODS)
        for number in range(20):
            await one.commit([create(key(f"p{number}"))], ORIGIN)
            await cache.wait(await two.latest())
            assert cache.get("ns", f"p{number}") is not None
        # And without anybody asking: the notification alone brings it, long before the poll.
        await one.commit([create(key("told"))], ORIGIN)
        await until(lambda: cache.get("ns", "told"), timeout=10)


async def test_lists_of_old_revisions(database_url: str) -> None:
    async with store(database_url, settings=StoreSettings(ring_changes=4)) as one:
        await one.cache(PODS)
        history: dict[int, list[str]] = {1: []}
        for number in range(6):
            (verdict,) = await one.commit([create(key(f"p{number}", f"n{number % 2}"), uid=f"u{number}")], ORIGIN)
            history[verdict.revision] = sorted(
                [*history[verdict.revision - 1], f"n{number % 2}/p{number}@{verdict.revision}"]
            )
        (verdict,) = await one.commit([update(key("p0", "n0"), "u0", x=1)], ORIGIN)
        last = history[verdict.revision - 1]
        history[verdict.revision] = sorted([name for name in last if "p0" not in name] + [f"n0/p0@{verdict.revision}"])
        (verdict,) = await one.commit([delete(key("p1", "n1"))], ORIGIN)
        history[verdict.revision] = [name for name in history[verdict.revision - 1] if "p1" not in name]
        for revision, expected in history.items():
            listed = await one.list_at(PODS, revision)
            assert [f"{e.key.namespace}/{e.key.name}@{e.revision}" for e in listed] == expected
        part = await one.list_at(PODS, 7, namespace="n0", after=("n0", "p0"), limit=1)
        assert names(part) == ["p2"]
