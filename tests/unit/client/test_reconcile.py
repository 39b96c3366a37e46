"""The loop around a reconcile, in virtual time."""

from __future__ import annotations

import asyncio
import logging

import pytest

from moorage.client.errors import Conflict, Invalid
from moorage.client.queue import WorkQueue
from moorage.client.reconcile import DONE, After, Outcome, Permanent, Runner, Temporary
from tests.support import virtual


def _now() -> float:
    return asyncio.get_running_loop().time()


def test_outcomes_decide_when_a_key_comes_back() -> None:
    async def main() -> list[float]:
        script: list[Outcome] = [After(10), Temporary("later"), Temporary("later"), DONE]
        times: list[float] = []

        async def reconcile(_key: str) -> Outcome:
            times.append(_now())
            if len(times) == len(script):
                runner.stop()
            return script[len(times) - 1]

        runner: Runner[str] = Runner("test", reconcile, queue=WorkQueue(first_delay=1.0))
        runner.queue.add("a")
        await runner.run()
        return times

    assert virtual.run(main()) == pytest.approx([0, 10, 11, 13])


def test_one_key_is_never_worked_on_twice_at_a_time_while_others_are() -> None:
    async def main() -> tuple[int, int]:
        working: set[str] = set()
        most = [0]
        clashes = [0]

        async def reconcile(key: str) -> Outcome:
            clashes[0] += key in working
            working.add(key)
            most[0] = max(most[0], len(working))
            await asyncio.sleep(1)
            working.discard(key)
            return DONE

        runner: Runner[str] = Runner("test", reconcile, workers=3)
        running = asyncio.ensure_future(runner.run())
        for _ in range(10):
            for key in "abc":
                runner.queue.add(key)
            await asyncio.sleep(0.3)
        runner.stop()
        await running
        return most[0], clashes[0]

    assert virtual.run(main()) == (3, 0)


def test_a_permanent_failure_waits_for_a_change(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> int:
        calls = [0]

        async def reconcile(_key: str) -> Outcome:
            calls[0] += 1
            return Permanent("it says replicas: many")

        runner: Runner[str] = Runner("test", reconcile)
        runner.queue.add("a")
        running = asyncio.ensure_future(runner.run())
        await asyncio.sleep(3600)
        runner.queue.add("a")
        await asyncio.sleep(3600)
        runner.stop()
        await running
        return calls[0]

    assert virtual.run(main()) == 2
    assert "it says replicas: many" in caplog.text


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (Conflict(409, {"message": "changed"}), logging.INFO),
        (Invalid(422, {"message": "wrong"}), logging.ERROR),
        (KeyError("spec"), logging.ERROR),
    ],
)
def test_exceptions_are_tried_again_and_defects_are_loud(
    error: Exception, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> int:
        calls = [0]

        async def reconcile(_key: str) -> Outcome:
            calls[0] += 1
            if calls[0] == 1:
                raise error
            runner.stop()
            return DONE

        runner: Runner[str] = Runner("test", reconcile)
        runner.queue.add("a")
        await runner.run()
        return calls[0]

    assert virtual.run(main()) == 2
    assert max(record.levelno for record in caplog.records) == level


def test_the_timer_wakes_every_key() -> None:
    async def main() -> list[float]:
        times: list[float] = []

        async def reconcile(_key: str) -> Outcome:
            times.append(_now())
            if len(times) == 3:
                runner.stop()
            return DONE

        runner: Runner[str] = Runner("test", reconcile, all_keys=lambda: ["a"], every=60)
        await runner.run()
        return times

    assert virtual.run(main()) == pytest.approx([0, 60, 120])
