"""A cache on its own: order, snapshots that stay, replays from the ring, old lists that are let go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.resources.kind import ResourceKey
from moorage.store.cache import ResourceCache
from moorage.store.contracts import EventType, Expired
from moorage.store.entry import StoredChange
from moorage.store.feed import Feed
from moorage.store.rows import Row
from moorage.store.settings import StoreSettings
from tests.support.store import CONFIGMAPS, PODS, document, key


class NoSource:
    """A log and a source that are never asked."""

    async def read(self, after: int, until: int, resources: frozenset[ResourceKey]) -> tuple[Sequence[Row], int]:
        raise AssertionError((after, until, resources))

    async def load(self, cache: ResourceCache) -> None:
        raise AssertionError(cache)

    async def replay(self, resource: ResourceKey, after: int, until: int) -> tuple[Sequence[StoredChange], int]:
        raise AssertionError((resource, after, until))


def filled(**settings: int) -> tuple[Feed, ResourceCache]:
    feed = Feed(NoSource())
    feed.revision = feed.horizon = 1
    cache = feed.caches[PODS] = ResourceCache(PODS, feed, NoSource(), StoreSettings(**settings))
    cache.fill([], 1)
    return feed, cache


def row(revision: int, position: tuple[str, str], kind: EventType) -> Row:
    of = key(position[1], position[0])
    encoded = document(of, "u")
    return Row(revision, kind, of, "u", encoded.body, encoded.offset, True)


@given(
    st.lists(
        st.tuples(st.tuples(st.sampled_from("ba"), st.sampled_from(["z", "y", "é", "Z"])), st.booleans()), max_size=30
    )
)
def test_lists_are_ordered_and_snapshots_do_not_change(steps: list[tuple[tuple[str, str], bool]]) -> None:
    feed, cache = filled()
    present: dict[tuple[str, str], int] = {}
    taken: list[tuple[Sequence[object], list[object]]] = []
    for revision, (position, remove) in enumerate(steps, start=2):
        kind = EventType.MODIFIED if position in present else EventType.ADDED
        if remove and position in present:
            kind = EventType.DELETED
            del present[position]
        else:
            present[position] = revision
        feed.apply([row(revision, position, kind)], revision)
        listed = cache.entries()
        assert [(e.key.namespace, e.key.name, e.revision) for e in listed] == [
            (*p, present[p]) for p in sorted(present)
        ]
        for space in "ab":
            assert list(cache.entries(space)) == [e for e in listed if e.key.namespace == space]
        taken.append((listed, list(listed)))
    assert all(list(snapshot) == copy for snapshot, copy in taken)


def test_what_is_applied_already_is_skipped() -> None:
    feed, cache = filled()
    rows = [row(2, ("a", "x"), EventType.ADDED), row(3, ("a", "y"), EventType.ADDED)]
    feed.apply(rows, 3)
    feed.apply([*rows, row(4, ("a", "z"), EventType.ADDED)], 4)
    feed.apply(rows, 3)
    assert feed.revision == cache.revision == 4
    assert [change.revision for change in cache.changes_after(1)] == [2, 3, 4]


def test_the_ring_forgets_the_oldest_and_says_from_where_it_is_whole() -> None:
    feed, cache = filled(ring_changes=2)
    for revision in range(2, 7):
        feed.apply([row(revision, ("a", f"n{revision}"), EventType.ADDED)], revision)
    assert cache.ring_start == 4
    assert [change.revision for change in cache.changes_after(4)] == [5, 6]


async def test_a_cache_of_another_history_ends_its_watches_and_takes_rows_for_later() -> None:
    feed, cache = filled()
    watch = cache.subscribe(1)
    feed.reset(1000, 1000, "another history")
    with pytest.raises(Expired, match="another history"):
        await anext(aiter(watch))
    feed.apply([row(1001, ("a", "x"), EventType.ADDED)], 1001)
    cache.fill([], 1000)
    assert [entry.revision for entry in cache.entries()] == [1001]


async def test_who_waits_for_a_filling_that_was_overtaken_gets_the_next_one() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    loads = []

    class SlowSource(NoSource):
        async def load(self, cache: ResourceCache) -> None:
            cache.begin()
            loads.append(feed.revision)
            begun.set()
            await go_on.wait()
            cache.fill([], feed.revision)

    feed = Feed(NoSource())
    cache = feed.caches[PODS] = ResourceCache(PODS, feed, SlowSource(), StoreSettings())
    waiting = asyncio.create_task(cache.ready())
    await begun.wait()
    feed.reset(1000, 1000, "another history")
    go_on.set()
    await waiting
    assert loads == [0, 1000]


async def test_a_row_that_a_cache_cannot_take_costs_that_cache_its_contents_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    feed, cache = filled()
    other = feed.caches[CONFIGMAPS] = ResourceCache(CONFIGMAPS, feed, NoSource(), StoreSettings())
    other.fill([], 1)
    watch = cache.subscribe(1)
    # A deletion that keeps the stored document, of an object that the cache does not have.
    broken = Row(2, EventType.DELETED, key("gone"), "u", None, 0, False)
    fine = Row(3, EventType.ADDED, key("c", resource=CONFIGMAPS), "u", b'{"metadata":{"resourceVersion":""}}', 32, True)
    feed.apply([broken, fine], 3)
    assert feed.revision == 3
    assert [entry.revision for entry in other.entries()] == [3]
    with pytest.raises(Expired):
        await anext(aiter(watch))
    assert "filled anew" in caplog.text


def test_old_lists_are_let_go() -> None:
    _, cache = filled()
    for revision in range(2, 10):
        cache.keep_snapshot(revision, ())
    assert [cache.snapshot(revision) for revision in (5, 6, 9)] == [None, (), ()]
    cache.forget_snapshots(60.0)
    assert cache.snapshot(9) == ()
    cache.forget_snapshots(0.0)
    assert cache.snapshot(9) is None
