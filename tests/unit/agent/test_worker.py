"""Workers on the fake engine: what the loop does with failures, hangs, and being killed at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path

import pytest

from moorage.client.errors import Unreachable
from moorage_agent.engine.contract import EngineError, Event
from moorage_agent.pods import worker as worker_module
from moorage_agent.pods.resizing import Room
from moorage_agent.pods.worker import PodWorker
from tests.support.wait import until
from tests.unit.agent.documents import Document, container, pod
from tests.unit.agent.rig import OWNER, Rig


def fake(name: str = "c", image: str = "app:1", **variables: str) -> Document:
    """A container that the fake engine understands."""
    env = [{"name": f"FAKE_{key.upper()}", "value": value} for key, value in variables.items()]
    return container(name, image=image, env=env)


def runs(rig: Rig, worker: PodWorker, name: str = "c") -> bool:
    """Whether the newest start of a container runs."""
    last = worker.observe().last(name)
    return last is not None and last.running


async def test_status_is_written_once_for_each_change(rig: Rig) -> None:
    rig.write_status()
    rig.start(pod())
    await until(lambda: rig.client.statuses.get("web", {}).get("phase") == "Running", every=0.005)
    assert await rig.node.status.settled(5)
    assert rig.node.status.writes <= 2


async def test_status_catches_up_when_the_api_is_back(rig: Rig) -> None:
    rig.client.failing = Unreachable("away", sent=False)
    rig.write_status()
    worker = rig.start(pod())
    await until(lambda: runs(rig, worker))
    assert not rig.client.statuses
    rig.client.failing = None
    await until(lambda: rig.client.statuses.get("web", {}).get("phase") == "Running")


async def test_a_pull_that_hangs_does_not_hold_up_the_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(rig.engine, "pull", hang)
    worker = rig.start(pod(fake(image="slow:1")))
    await until(lambda: worker.observe().images)
    worker.vanish()
    await until(lambda: worker.cleaned)


async def test_pods_that_want_the_same_image_share_its_pull(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived = asyncio.Event()
    pull = rig.engine.pull

    async def slow(reference: str, credentials: object = ()) -> None:
        await arrived.wait()
        await pull(reference)

    monkeypatch.setattr(rig.engine, "pull", slow)
    rig.engine.pulls["shared:1"] = None
    workers = [rig.start(pod(fake(image="shared:1"), name=f"web-{number}")) for number in range(5)]
    await until(lambda: len([1 for reason, _ in rig.recorder.events if reason == "Pulling"]) == 5)
    arrived.set()
    await until(lambda: all(runs(rig, worker) for worker in workers))
    assert rig.engine.calls.count(("pull", "shared:1")) == 1


async def test_an_engine_that_goes_away_is_waited_for(rig: Rig) -> None:
    rig.engine.available = False
    worker = rig.start(pod())
    await until(lambda: ("create", "k8s_POD_web_shop_uid-web_0") in rig.engine.calls)
    before = len(rig.engine.calls)
    rig.engine.available = True
    await until(lambda: runs(rig, worker))
    assert before < 20, "an engine that is away was asked hotly"


async def test_a_start_that_was_done_without_an_answer_is_not_repeated(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = rig.engine.create
    answers = iter([False])

    async def lost(spec: object) -> str:
        identity = await create(spec)  # type: ignore[arg-type]  # as it was given
        if next(answers, True):
            return identity
        raise EngineError("the answer was lost")

    monkeypatch.setattr(rig.engine, "create", lost)
    worker = rig.start(pod())
    await until(lambda: runs(rig, worker), timeout=10)
    assert set(rig.engine.most_running.values()) == {1}


async def test_an_engine_that_may_not_lower_scores_runs_the_pod_all_the_same(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.node.least_oom_score = -1000
    start = rig.engine.start

    async def refused(identity: str) -> None:
        if rig.engine.specs() and any(one.oom_score_adj < 0 for one in rig.engine.specs().values()):
            raise EngineError("write /proc/self/oom_score_adj: permission denied")
        await start(identity)

    monkeypatch.setattr(rig.engine, "start", refused)
    whole = pod()
    whole["status"]["qosClass"] = "Guaranteed"
    worker = rig.start(whole)
    await until(lambda: runs(rig, worker))
    last = worker.observe().last("c")
    assert last is not None
    assert last.attempt == 0
    assert rig.node.least_oom_score == 0


async def test_a_resize_that_was_put_off_is_granted_when_there_is_room(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "ROOM_AGAIN", 0.01)
    used = {"cpu": 1.5, "memory": 0.0}
    rig.node.room = lambda _uid: Room({"cpu": 2.0, "memory": 2.0**30}, used)
    worker = rig.start(pod(container(resources={"requests": {"cpu": "100m"}})))
    await until(lambda: runs(rig, worker))
    larger = pod(container(resources={"requests": {"cpu": "900m"}}))
    worker.update(larger)
    await until(lambda: worker.pending is not None)
    assert worker.pending is not None
    assert worker.pending.reason == "Deferred"
    used["cpu"] = 0.0
    await until(lambda: worker.pending is None)
    assert worker.container("c")["resources"] == {"requests": {"cpu": "900m"}}


async def test_another_image_does_not_wait_for_the_last_ones_back_off(rig: Rig) -> None:
    worker = rig.start(pod(container(image="none:1")))
    await until(lambda: (state := worker.images.get("c")) is not None and state.failure is not None)
    worker.update(pod(container(image="app:1")))
    await until(lambda: runs(rig, worker), timeout=5)


async def test_a_container_that_hangs_in_its_start_does_not_hold_up_the_others(rig: Rig) -> None:
    worker = rig.start(pod(fake("a", hang="start"), fake("b")))
    await until(lambda: runs(rig, worker, "b"))
    assert not runs(rig, worker, "a")


async def test_a_vanished_container_is_noticed_by_its_event(rig: Rig) -> None:
    worker = rig.start(pod())
    await until(lambda: runs(rig, worker))
    last = worker.observe().last("c")
    assert last is not None
    await rig.engine.remove(last.container.id)
    worker.engine_event("destroy", last.container.id)
    await until(lambda: (now := worker.observe().last("c")) is not None and now.running)


@pytest.mark.parametrize("seed", range(8))
async def test_killed_at_any_moment_nothing_runs_twice(seed: int, tmp_path: Path) -> None:
    """The agent dies again and again while containers crash, sandboxes die and the engine comes and goes."""
    chance = random.Random(seed)
    rig = Rig(tmp_path)
    whole = pod(
        fake("a"), fake("b", run_for="0.02"), initContainers=[fake("init", run_for="0.001")], restartPolicy="OnFailure"
    )
    try:
        for _ in range(12):
            rig.engine.available = True
            worker = await rig.adopt(whole)
            follower = asyncio.create_task(_follow(rig, worker))
            for _ in range(chance.randrange(1, 40)):
                await asyncio.sleep(0)
            if chance.random() < 0.5:
                await _break_something(rig, chance)
            rig.engine.available = chance.random() < 0.8
            for _ in range(chance.randrange(1, 80)):
                await asyncio.sleep(0)
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)
            await rig.kill()
        rig.engine.available = True
        worker = await rig.adopt(whole)
        follower = asyncio.create_task(_follow(rig, worker))
        worker.vanish(0.1)
        await until(lambda: worker.cleaned, timeout=10, every=0.005)
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        assert not rig.engine.specs()
        assert set(rig.engine.most_running.values()) <= {1}, rig.engine.most_running
    finally:
        await rig.close()


async def _follow(rig: Rig, worker: PodWorker) -> None:
    async with contextlib.aclosing(rig.engine.events(OWNER.labels())) as events:
        async for event in events:
            if isinstance(event, Event) and worker.engine_event(event.action, event.id):
                worker.look(event.id)


async def _break_something(rig: Rig, chance: random.Random) -> None:
    found = list(await rig.engine.list(OWNER.labels()))
    if found:
        victim = chance.choice(found)
        await (rig.engine.kill if chance.random() < 0.7 else rig.engine.remove)(victim.id)
