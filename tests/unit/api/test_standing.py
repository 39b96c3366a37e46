"""What lasts is asked about again only where rights have changed, and ends once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from moorage.api import standing
from moorage.api.standing import Standings
from moorage.store.contracts import Unavailable
from tests.support.wait import until


@dataclass
class Right:
    """A right that tests take away."""

    stamp: int | None = 1
    held: bool = True
    asked: int = 0
    away: bool = False

    async def holds(self) -> bool:
        self.asked += 1
        if self.away:
            raise Unavailable("no database")
        return self.held


async def test_it_asks_where_something_changed() -> None:
    standings, right, ended = Standings(), Right(), []
    with standings.held(right, lambda: ended.append(1)):
        await standings.look()
        assert right.asked == 0
        right.stamp = 2
        await standings.look()
        await standings.look()
        assert (right.asked, ended) == (1, [])
        right.held, right.stamp = False, 3
        await standings.look()
        await standings.look()
        assert (right.asked, ended) == (2, [1])


async def test_what_may_change_at_any_time_is_asked_each_time() -> None:
    standings, right = Standings(), Right(stamp=None)
    with standings.held(right, lambda: None):
        await standings.look()
        await standings.look()
    assert right.asked == 2
    await standings.look()
    assert right.asked == 2


async def test_what_is_over_is_not_ended() -> None:
    standings, right, ended = Standings(), Right(), []
    with standings.held(right, lambda: ended.append(1)):
        right.stamp, right.held = 2, False
    await standings.look()
    with standings.held(None, lambda: ended.append(1)):
        await standings.look()
    assert ended == []


async def test_it_goes_on_after_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "SECONDS", 0.001)
    standings, right, ended = Standings(), Right(stamp=None, held=False, away=True), asyncio.Event()
    task = asyncio.create_task(standings.run())
    with standings.held(right, ended.set):
        await until(lambda: right.asked > 1, every=0.001)
        assert not ended.is_set()
        right.away = False
        await until(ended.is_set, every=0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
