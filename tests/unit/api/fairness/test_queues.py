"""A level's seats and queues: who runs, who waits, who is refused."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.api.fairness.queues import Level, QueueFull, Seat, WaitedTooLong


def level(seats: int = 8, queue: int = 100, patience: float = 5.0) -> Level:
    return Level("test", seats, queue, patience)


def now() -> float:
    return asyncio.get_running_loop().time()


async def enter(target: Level, flow: str) -> Seat:
    return target.try_enter(flow, 1, now()) or await target.wait(flow, 1)


async def settle() -> None:
    """Let everything that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_flow_alone_has_every_seat_and_then_waits() -> None:
    target = level(seats=3)
    seats = [target.try_enter("a", 1, now()) for _ in range(3)]
    assert all(seats)
    assert target.try_enter("a", 1, now()) is None
    waiting = asyncio.create_task(target.wait("a", 1))
    await settle()
    assert not waiting.done()
    assert seats[0] is not None
    seats[0].leave()
    (await waiting).leave()
    assert (target.running, target.waiting) == (2, 0)


async def test_a_newcomer_gets_a_seat_before_the_flood_that_waits() -> None:
    target = level(seats=4)
    held = [target.try_enter("flood", 1, now()) for _ in range(4)]
    flood = [asyncio.create_task(target.wait("flood", 1)) for _ in range(20)]
    await settle()
    calm = asyncio.create_task(enter(target, "calm"))
    await settle()
    assert held[0] is not None
    held[0].leave()
    await settle()
    assert calm.done()
    assert not any(task.done() for task in flood)
    for task in flood:
        task.cancel()
    await asyncio.gather(*flood, return_exceptions=True)
    assert target.waiting == 0


async def test_two_active_flows_hold_few_seats_each_however_many_there_are() -> None:
    target = level(seats=100)
    assert target.try_enter("calm", 1, now()) is not None
    given = [target.try_enter("flood", 1, now()) for _ in range(10)]
    assert sum(seat is not None for seat in given) == 1


async def test_a_queue_that_is_full_refuses_at_once() -> None:
    target = level(seats=1, queue=2)
    assert target.try_enter("a", 1, now()) is not None
    waiting = [asyncio.create_task(target.wait("a", 1)) for _ in range(2)]
    await settle()
    with pytest.raises(QueueFull):
        await target.wait("a", 1)
    assert target.refused == 1
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_level_that_rejects_never_queues() -> None:
    target = level(seats=1, queue=0)
    assert target.try_enter("a", 1, now()) is not None
    with pytest.raises(QueueFull):
        await target.wait("b", 1)


async def test_waiting_ends_after_the_patience() -> None:
    target = level(seats=1, patience=0.01)
    assert target.try_enter("a", 1, now()) is not None
    with pytest.raises(WaitedTooLong):
        await target.wait("a", 1)
    assert (target.waiting, target.refused) == (0, 1)


async def test_a_client_that_leaves_as_its_turn_comes_passes_it_on() -> None:
    target = level(seats=1)
    first = target.try_enter("a", 1, now())
    second, third = (asyncio.create_task(target.wait("a", 1)) for _ in range(2))
    await settle()
    assert first is not None
    first.leave()
    second.cancel()
    (await third).leave()
    assert (target.running, target.waiting) == (0, 0)


async def test_a_wide_request_runs_alone_rather_than_never() -> None:
    target = level(seats=2)
    assert target.try_enter("a", 5, now()) is not None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=60), st.integers(1, 6))
def test_seats_are_never_exceeded_and_nobody_is_forgotten(steps: list[tuple[str, bool, bool]], seats: int) -> None:
    async def run() -> None:
        target = level(seats=seats)
        held: list[Seat] = []
        waiting: list[asyncio.Task[Seat]] = []
        for flow, leave, cancel in steps:
            if leave and held:
                held.pop(0).leave()
            elif cancel and waiting:
                waiting.pop().cancel()
            else:
                waiting.append(asyncio.create_task(enter(target, flow)))
            await settle()
            held += [task.result() for task in waiting if task.done() and not task.cancelled()]
            waiting = [task for task in waiting if not task.done()]
            assert target.running == len(held) <= seats
            assert target.waiting == len(waiting)
        while held or waiting:
            for seat in held:
                seat.leave()
            await settle()
            held = [task.result() for task in waiting if task.done() and not task.cancelled()]
            waiting = [task for task in waiting if not task.done()]
            assert held or not waiting
        assert (target.running, target.waiting) == (0, 0)

    asyncio.run(run())
