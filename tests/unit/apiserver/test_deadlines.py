"""One clock for all requests: the overdue are cancelled, nobody else is."""

from __future__ import annotations

import asyncio

from moorage.api.deadlines import Deadlines
from tests.support.wait import until


async def test_the_overdue_are_told_and_can_still_answer() -> None:
    deadlines = Deadlines(0.05)
    ready = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, ready.set)

    async def request() -> str:
        task = deadlines.begin()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert deadlines.end(task)
            # The task goes on as if nobody had cancelled it.
            assert task.cancelling() == 0
            await ready.wait()
            return "too late"
        return "in time"

    assert await asyncio.wait_for(request(), 5) == "too late"
    deadlines.close()


async def test_who_let_go_of_the_clock_may_stay() -> None:
    deadlines = Deadlines(0.02)
    others = asyncio.Event()

    async def stream() -> str:
        deadlines.end(deadlines.begin())
        await others.wait()
        return "done"

    async def slow() -> bool:
        task = deadlines.begin()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return deadlines.end(task)
        return False

    long = asyncio.create_task(stream())
    assert await asyncio.wait_for(slow(), 5)
    others.set()
    assert await long == "done"
    deadlines.close()


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    deadlines = Deadlines(60)
    seen: list[bool] = []
    begun = asyncio.Event()

    async def request() -> None:
        task = deadlines.begin()
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(deadlines.end(task))

    task = asyncio.create_task(request())
    await begun.wait()
    task.cancel()
    await until(task.done)
    assert task.cancelled()
    assert seen == [False]
    deadlines.close()
