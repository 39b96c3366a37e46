"""The work queue, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from moorage.client.queue import QueueStopped, WorkQueue
from tests.support import virtual


def test_a_key_waits_once() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        queue.add("a")
        assert len(queue) == 1
        assert await queue.get() == "a"
        assert len(queue) == 0

    virtual.run(main())


def test_a_key_added_while_worked_on_comes_back_after_done_and_not_before() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        await queue.get()
        queue.add("a")
        other = asyncio.ensure_future(queue.get())
        await asyncio.sleep(1)
        assert not other.done()
        queue.done("a")
        assert await other == "a"

    virtual.run(main())


def test_failures_wait_twice_as_long_each_time_up_to_the_last_delay() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue(first_delay=1.0, last_delay=5.0)
        pauses = []
        queue.add("a")
        loop = asyncio.get_running_loop()
        for _ in range(5):
            await queue.get()
            failed_at = loop.time()
            queue.retry("a")
            queue.done("a")
            await queue.get()
            pauses.append(loop.time() - failed_at)
            queue.done("a")
            queue.add("a")
        assert pauses == [1, 2, 4, 5, 5]
        queue.forget("a")
        assert queue.retry("a") == 1.0
        assert queue.stats.retries == 6

    virtual.run(main())


def test_the_earlier_of_two_timers_counts() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 10)
        queue.add_after("a", 3)
        queue.add_after("a", 7)
        await queue.get()
        assert asyncio.get_running_loop().time() == pytest.approx(3)

    virtual.run(main())


def test_an_add_overtakes_the_timer() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 10)
        queue.add("a")
        assert await queue.get() == "a"
        queue.done("a")
        later = asyncio.ensure_future(queue.get())
        await asyncio.sleep(60)
        assert not later.done()
        queue.stop()
        with pytest.raises(QueueStopped):
            await later

    virtual.run(main())


def test_a_cancelled_worker_passes_its_wake_up_on() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        first = asyncio.ensure_future(queue.get())
        second = asyncio.ensure_future(queue.get())
        await asyncio.sleep(1)
        queue.add("a")
        first.cancel()
        assert await asyncio.wait_for(second, 5) == "a"

    virtual.run(main())


def test_stop_drops_what_waits_and_ends_idle_workers() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        queue.add_after("b", 5)
        queue.stop()
        queue.add("c")
        with pytest.raises(QueueStopped):
            await queue.get()
        assert queue.idle

    virtual.run(main())
