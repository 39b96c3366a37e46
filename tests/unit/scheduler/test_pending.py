"""Pods that wait for a node, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from moorage.scheduler.pending import FLUSH_SECONDS, PendingPods
from tests.support import virtual
from tests.unit.scheduler.documents import pod


def _now() -> float:
    return asyncio.get_running_loop().time()


def test_the_highest_priority_is_taken_first_and_each_pod_once() -> None:
    async def main() -> list[str]:
        pending = PendingPods()
        for name, priority in (("b", 0), ("a", 0), ("urgent", 9), ("gone", 5)):
            pending.add(pod(name, priority=priority))
            pending.add(pod(name, priority=priority))
        pending.discard("gone")
        return [each.uid for each in pending.take(2) + pending.take(9)]

    assert virtual.run(main()) == ["urgent", "a", "b"]


def test_a_pod_that_did_not_fit_waits_for_a_change_but_not_longer_than_a_while() -> None:
    async def main() -> list[float]:
        pending = PendingPods()
        pending.put_back(pod("p"), until_change=True)
        times = []
        await pending.wait()
        times.append(_now())
        pending.take(1)
        pending.put_back(pod("p"), until_change=True)
        changed_at = _now()
        await asyncio.sleep(0.5)
        pending.something_changed()
        await pending.wait()
        times.append(_now() - changed_at)  # its second back-off is 2 s
        pending.take(1)
        pending.put_back(pod("p"), until_change=True)
        await asyncio.sleep(30)
        changed_at = _now()
        pending.something_changed()
        await pending.wait()
        times.append(_now() - changed_at)
        pending.stop()
        return times

    assert virtual.run(main()) == pytest.approx([FLUSH_SECONDS, 2.0, 0.0])


def test_a_pod_that_failed_to_bind_is_tried_after_its_back_off() -> None:
    async def main() -> float:
        pending = PendingPods()
        pending.put_back(pod("p"), until_change=False)
        await pending.wait()
        return _now()

    assert virtual.run(main()) == pytest.approx(1.0)
