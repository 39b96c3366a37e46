"""Which images go when the disk fills: only those that the agent fetched, and that nobody needs."""

from __future__ import annotations

from pathlib import Path

from moorage_agent.engine.contract import ContainerSpec
from moorage_agent.engine.fake import FakeEngine
from moorage_agent.images.collection import YOUNGEST, Collection


class Clock:
    """A time that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_only_what_was_fetched_and_is_not_needed_goes(tmp_path: Path) -> None:
    engine, clock = FakeEngine(["own:1", "needed:1", "used:1", "stranger:1"]), Clock()
    await engine.create(ContainerSpec(name="c", image="used:1"))
    fetched = Collection(engine, tmp_path / "images.json", clock)
    for name in ("own:1", "needed:1", "used:1"):
        fetched.add(name)
    assert await fetched.collect({"needed:1"}) == 0  # too young
    clock.now += YOUNGEST + 1
    again = Collection(engine, tmp_path / "images.json", clock)
    assert await again.collect({"needed:1"}) == 1
    assert set(engine.images) == {"needed:1", "used:1", "stranger:1"}
    assert await again.collect({"needed:1"}) == 0


async def test_a_broken_record_removes_nothing(tmp_path: Path) -> None:
    (tmp_path / "images.json").write_text("[1")
    engine = FakeEngine(["own:1"])
    assert await Collection(engine, tmp_path / "images.json").collect(set()) == 0
    assert set(engine.images) == {"own:1"}


async def test_what_was_not_used_for_longest_goes_first_until_there_is_room(tmp_path: Path) -> None:
    engine, clock = FakeEngine(["first:1", "second:1", "third:1"]), Clock()
    fetched = Collection(engine, tmp_path / "images.json", clock)
    for name in ("first:1", "second:1", "third:1"):
        fetched.add(name)
        clock.now += 1
    clock.now += YOUNGEST
    fetched.use({"first:1", "stranger:1"})
    assert await fetched.collect(set(), lambda: len(engine.images) == 2) == 1
    assert set(engine.images) == {"first:1", "third:1"}
