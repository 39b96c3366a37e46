"""The rest of those who watch one collection."""

from __future__ import annotations

import asyncio

import pytest

from moorage.api.verbs.pacing import FEW, Pace


async def _served(pace: Pace, deliveries: int) -> list[float]:
    """How long each of so many watchers rests that are served in one turn of the loop."""
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def one() -> float:
        await pace.rest()
        return loop.time() - begun

    return await asyncio.gather(*(one() for _ in range(deliveries)))


@pytest.fixture
def asked_to_wait(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The rests that the loop's timers were set for, which are over at once."""
    rests: list[float] = []

    def later(self: asyncio.AbstractEventLoop, delay: float, call: object, *arguments: object) -> asyncio.Handle:
        rests.append(delay)
        return self.call_soon(call, *arguments)  # type: ignore[arg-type]  # whatever the loop was given

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_later", later)
    return rests


async def test_a_change_that_goes_to_few_lets_nobody_rest(asked_to_wait: list[float]) -> None:
    await _served(Pace(), FEW)
    assert asked_to_wait == []


async def test_the_more_are_served_at_once_the_longer_all_rest_together(asked_to_wait: list[float]) -> None:
    pace = Pace()
    await _served(pace, 100)
    await _served(pace, 200)
    short, longer = asked_to_wait
    assert 0 < short < longer


async def test_a_rest_is_counted_anew_after_each(asked_to_wait: list[float]) -> None:
    pace = Pace()
    await _served(pace, 100)
    await _served(pace, FEW)
    assert len(asked_to_wait) == 1


async def test_one_that_goes_does_not_wake_the_others(asked_to_wait: list[float]) -> None:
    pace = Pace()
    resting = [asyncio.create_task(pace.rest()) for _ in range(2)]
    await asyncio.sleep(0)
    resting[0].cancel()
    await asyncio.wait_for(resting[1], 5)
    assert not resting[1].cancelled()
    await asyncio.gather(*resting, return_exceptions=True)
