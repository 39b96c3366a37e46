"""The manager on the fake engine: streams that break, and pods that come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest

from moorage.client.informer import Informer
from moorage_agent.pods.manager import Pods
from tests.support.wait import until
from tests.unit.agent.documents import Document, pod
from tests.unit.agent.rig import OWNER, Rig


class FixedInformer:
    """A cache that tests fill."""

    def __init__(self, *pods: Document) -> None:
        self.pods = {one["metadata"]["name"]: one for one in pods}
        self._handlers: list[Any] = []

    def __iter__(self) -> Iterator[Document]:
        return iter(list(self.pods.values()))

    async def wait_synced(self) -> None:
        """It is."""

    def get(self, _namespace: str, name: str) -> Document | None:
        return self.pods.get(name)

    def add_handler(self, handler: Any) -> None:
        self._handlers.append(handler)
        for one in self:
            handler(None, one)


@pytest.fixture
async def pods(rig: Rig) -> AsyncIterator[Pods]:
    """A manager of one pod ``web``."""
    made = Pods(rig.node, cast("Informer", FixedInformer(pod())), orphan_grace=0.0)
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def running(pods: Pods) -> str:
    """The id of the container that runs, or ""."""
    worker = pods.find("shop", "web")
    last = worker.observe().last("c") if worker else None
    return last.container.id if last is not None and last.running else ""


async def runs(pods: Pods, besides: str = "") -> str:
    """Wait until a container runs that is not ``besides``; its id."""
    await until(lambda: running(pods) not in ("", besides))
    return running(pods)


async def test_what_happened_while_the_events_were_cut_off_is_noticed(rig: Rig, pods: Pods) -> None:
    first = await runs(pods)
    listeners, rig.engine._listeners = rig.engine._listeners, []
    await rig.engine.kill(first)
    assert running(pods) == first
    rig.engine._listeners = listeners
    rig.engine.disconnect()
    second = await runs(pods, first)
    assert second != first
    assert set(rig.engine.most_running.values()) == {1}


async def test_events_go_to_their_pod(rig: Rig, pods: Pods) -> None:
    first = await runs(pods)
    await rig.engine.kill(first)
    await runs(pods, first)


async def test_a_worker_that_fails_is_replaced_and_nothing_runs_twice(
    rig: Rig, pods: Pods, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = await runs(pods)
    worker = pods.find("shop", "web")
    assert worker is not None

    def broken() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(worker, "observe", broken)
    worker.wake()
    await until(lambda: pods.find("shop", "web") not in (None, worker))
    assert "worker of pod web failed" in caplog.text
    assert running(pods) == first
    assert len(await rig.engine.list(OWNER.labels())) == 2
