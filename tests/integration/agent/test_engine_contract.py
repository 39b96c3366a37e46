"""One suite over both engines: what holds for the fake holds for Docker, or tests on the fake would prove nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

import orjson
import pytest

from moorage_agent.engine import pause
from moorage_agent.engine.contract import (
    ContainerSpec,
    Engine,
    EngineError,
    EngineUnavailable,
    Event,
    Limits,
    LogOptions,
    NameConflict,
    NoSuchContainer,
    NoSuchImage,
    PullError,
    Session,
    SessionOptions,
    State,
    Usage,
)
from moorage_agent.engine.docker import DockerEngine
from moorage_agent.engine.fake import FakeEngine
from tests.support.docker import IMAGE, Owned, ensure_images
from tests.support.wait import until

pytestmark = pytest.mark.docker


@dataclass
class Bench:
    """An engine and a way to describe containers that both kinds understand."""

    engine: Engine
    owned: Owned
    number: int = 0

    def spec(
        self,
        *,
        output: str = "",
        run_for: float | None = None,
        exit_code: int = 0,
        stubborn: bool = False,
        **fields: object,
    ) -> ContainerSpec:
        """A container that prints, runs for a while and ends as told; without ``run_for`` until it is stopped."""
        self.number += 1
        env = [
            f"FAKE_OUTPUT={output}",
            f"FAKE_EXIT_CODE={exit_code}",
            f"FAKE_EXEC={orjson.dumps({'false': [1, '']}).decode()}",
        ]
        if run_for is not None:
            env.append(f"FAKE_RUN_FOR={run_for}")
        if stubborn:
            env.append("FAKE_IGNORES_TERM=1")
        trap = "trap '' TERM" if stubborn else f"trap 'exit {exit_code}' TERM"
        loop = "while :; do sleep 1 & wait $!; done" if run_for is None else f"sleep {run_for}"
        script = f'{trap}; printf %s "$FAKE_OUTPUT"; {loop}; exit {exit_code}'
        return ContainerSpec(
            name=cast("str", fields.pop("name", f"{self.owned.cluster}-{self.number}")),
            image=cast("str", fields.pop("image", IMAGE)),
            labels={**self.owned.labels, "number": str(self.number)},
            entrypoint=["/bin/sh", "-c", script],
            env=env,
            network=cast("str", fields.pop("network", "none")),
            limits=cast("Limits", fields.pop("limits", Limits())),
        )

    async def run(self, **behaviour: object) -> str:
        """Create and start one."""
        identity = await self.engine.create(self.spec(**behaviour))  # type: ignore[arg-type]  # passed on as they are
        await self.engine.start(identity)
        return identity


@pytest.fixture(params=["fake", "docker"])
async def bench(request: pytest.FixtureRequest, owned: Owned) -> AsyncIterator[Bench]:
    engine: Engine = FakeEngine([IMAGE]) if request.param == "fake" else DockerEngine()
    try:
        if isinstance(engine, DockerEngine):
            await ensure_images(engine)
            await engine.info()
        yield Bench(engine, owned)
    finally:
        await engine.close()


async def test_the_engine_says_what_it_is(bench: Bench) -> None:
    await bench.engine.ping()
    info = await bench.engine.info()
    assert info.cpus > 0
    assert info.memory > 0


async def test_a_container_lives_and_ends(bench: Bench) -> None:
    identity = await bench.engine.create(bench.spec(exit_code=3))
    made = await bench.engine.inspect(identity)
    assert made.state is State.CREATED
    assert made.created > 0
    assert made.started == made.finished == 0
    await bench.engine.start(identity)
    await bench.engine.start(identity)  # a second start changes nothing
    running = await bench.engine.inspect(identity)
    assert running.state is State.RUNNING
    assert running.started >= made.created
    await bench.engine.stop(identity, 5)
    ended = await bench.engine.inspect(identity)
    assert (ended.state, ended.exit_code) == (State.EXITED, 3)
    assert ended.finished >= ended.started
    await bench.engine.stop(identity, 5)  # nothing to stop
    await bench.engine.kill(identity)
    await bench.engine.remove(identity)
    await bench.engine.remove(identity)  # nothing to remove
    for call in (bench.engine.inspect, bench.engine.start, bench.engine.wait):
        with pytest.raises(NoSuchContainer):
            await call(identity)


async def test_one_that_ends_by_itself_is_waited_for(bench: Bench) -> None:
    identity = await bench.run(run_for=0.2, exit_code=7)
    assert await bench.engine.wait(identity) == 7
    assert await bench.engine.wait(identity) == 7


async def test_one_that_ignores_the_request_is_killed_after_its_grace(bench: Bench) -> None:
    identity = await bench.run(stubborn=True)
    await bench.engine.stop(identity, 1)
    assert (await bench.engine.inspect(identity)).exit_code == 137


async def test_a_kill_ends_a_stop_that_waits(bench: Bench) -> None:
    identity = await bench.run(stubborn=True)
    stop = asyncio.create_task(bench.engine.stop(identity, 100))
    await until(lambda: not stop.done(), timeout=1)
    await bench.engine.kill(identity)
    await asyncio.wait_for(stop, 10)


async def test_a_name_is_given_once(bench: Bench) -> None:
    spec = bench.spec()
    identity = await bench.engine.create(spec)
    with pytest.raises(NameConflict):
        await bench.engine.create(spec)
    assert (await bench.engine.inspect(spec.name)).id == identity


async def test_what_is_not_there_is_told_apart(bench: Bench) -> None:
    with pytest.raises(NoSuchImage):
        await bench.engine.create(bench.spec(image="moorage-test/none:1"))
    assert await bench.engine.image("moorage-test/none:1") is None
    assert (await bench.engine.image(IMAGE)) is not None
    with pytest.raises(PullError):
        await bench.engine.pull("127.0.0.1:9/moorage-test/none:1")

    async def join_nobody() -> None:
        await bench.engine.start(await bench.engine.create(bench.spec(network="container:" + "0" * 64)))

    with pytest.raises(EngineError):
        await join_nobody()


async def test_a_start_that_fails_leaves_its_reason(bench: Bench) -> None:
    broken = bench.spec()
    spec = ContainerSpec(
        name=broken.name,
        image=IMAGE,
        labels=broken.labels,
        entrypoint=["/no/such/program"],
        env=["FAKE_START_ERROR=exec: /no/such/program: no such file or directory"],
        network="none",
    )
    identity = await bench.engine.create(spec)
    with pytest.raises(EngineError, match="/no/such/program"):
        await bench.engine.start(identity)
    found = await bench.engine.inspect(identity)
    assert found.state is not State.RUNNING
    assert "/no/such/program" in found.error


async def test_lists_are_by_label(bench: Bench) -> None:
    first, second = await bench.run(), await bench.run(run_for=0)
    await bench.engine.wait(second)
    found = {one.id: one for one in await bench.engine.list(bench.owned.labels)}
    assert {identity: one.state for identity, one in found.items()} == {first: State.RUNNING, second: State.EXITED}
    assert found[first].labels["number"] == "1"
    assert [one.id for one in await bench.engine.list({**bench.owned.labels, "number": "2"})] == [second]


async def test_a_command_in_a_container(bench: Bench) -> None:
    identity = await bench.run()
    assert (await bench.engine.exec(identity, ["true"], 10)).exit_code == 0
    assert (await bench.engine.exec(identity, ["false"], 10)).exit_code == 1
    await bench.engine.stop(identity, 1)
    with pytest.raises(EngineError):
        await bench.engine.exec(identity, ["true"], 10)


async def test_logs_by_tail_and_to_the_end(bench: Bench) -> None:
    identity = await bench.run(output="one\ntwo\nthree\n", run_for=0.3)

    async def read(**options: object) -> bytes:
        chosen = LogOptions(**options)  # type: ignore[arg-type]  # passed on as they are
        return b"".join([chunk async for chunk in bench.engine.logs(identity, chosen)])

    assert await read(follow=True) == b"one\ntwo\nthree\n"
    assert await bench.engine.wait(identity) == 0
    assert await read() == b"one\ntwo\nthree\n"
    assert await read(tail=1) == b"three\n"
    assert await read(tail=0) == b""


async def test_logs_by_time_and_with_times(bench: Bench) -> None:
    begun = time.time()
    identity = await bench.run(output="one\ntwo\n", run_for=0.1)
    await bench.engine.wait(identity)

    async def read(**options: object) -> str:
        chosen = LogOptions(**options)  # type: ignore[arg-type]  # passed on as they are
        return b"".join([chunk async for chunk in bench.engine.logs(identity, chosen)]).decode()

    stamped = await read(timestamps=True)
    for line, text in zip(stamped.splitlines(), ("one", "two"), strict=True):
        moment, _, rest = line.partition(" ")
        assert rest == text
        assert begun - 1 < datetime.fromisoformat(moment).timestamp() < begun + 60
        assert len(moment) == len("2026-01-01T00:00:00.123456789Z")
    assert await read(since=begun - 10) == "one\ntwo\n"
    assert await read(since=begun + 600) == ""
    with pytest.raises(NoSuchContainer):
        [chunk async for chunk in bench.engine.logs("0" * 64, LogOptions())]


async def test_attaching_and_a_command_that_is_talked_with(bench: Bench) -> None:
    identity = await bench.run(output="begin", run_for=1.0)
    wanted = SessionOptions(stdin=False)
    async with bench.engine.command(identity, ["false"], wanted) as session:
        assert await _all_of(session) == b""
        assert await session.exit_code() == 1
    talker = await bench.run()
    async with bench.engine.command(talker, ["cat"], SessionOptions(stdin=True)) as session:
        await session.write(b"echoed")
        await session.end_input()
        assert await _all_of(session) == b"echoed"
        assert await session.exit_code() == 0
    async with bench.engine.attach(talker, wanted) as attached:
        listening = asyncio.create_task(_all_of(attached))
        await bench.engine.stop(talker, 5)
        await asyncio.wait_for(listening, 10)
    for missing in (bench.engine.attach, lambda name, how: bench.engine.command(name, ["true"], how)):
        with pytest.raises(EngineError):
            async with missing(talker, wanted):
                raise AssertionError("it does not run any more")


async def _all_of(session: Session) -> bytes:
    return b"".join([piece async for _, piece in session.output()])


async def test_limits_are_changed_while_it_runs(bench: Bench) -> None:
    before = Limits(cpu_shares=102, cpu_quota=10_000, memory=64 * 2**20, pids=100)
    identity = await bench.run(limits=before)
    assert (await bench.engine.inspect(identity)).limits == before
    after = Limits(cpu_shares=204, cpu_quota=20_000, memory=96 * 2**20, pids=100)
    await bench.engine.update(identity, after)
    assert (await bench.engine.inspect(identity)).limits == after
    with pytest.raises(NoSuchContainer):
        await bench.engine.update("0" * 64, after)


async def test_nothing_of_a_container_that_is_not_there(bench: Bench) -> None:
    nobody = "0" * 64
    engine = bench.engine
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: engine.stop(nobody, 1),
        lambda: engine.kill(nobody),
        lambda: engine.usage(nobody),
        lambda: engine.places(nobody),
        lambda: engine.exec(nobody, ["true"], 5),
    ]
    for call in calls:
        with pytest.raises(NoSuchContainer):
            await call()
    with pytest.raises(EngineError):
        await engine.layers("moorage-test/none:1")
    assert await engine.end_lost() == (), "of a node that keeps its containers nowhere"


async def test_a_command_that_takes_too_long(bench: Bench) -> None:
    spec = bench.spec()
    hanging = replace(spec, env=[*spec.env, "FAKE_HANG=exec"])
    identity = await bench.engine.create(hanging)
    await bench.engine.start(identity)
    with pytest.raises(TimeoutError):
        await bench.engine.exec(identity, ["sleep", "60"], 0.5)


async def test_what_a_running_container_uses_and_what_one_that_ended(bench: Bench) -> None:
    identity = await bench.run()
    used = await bench.engine.usage(identity)
    assert used.processes >= 1
    assert await bench.engine.usage(identity) >= Usage()
    await bench.engine.stop(identity, 1)
    assert (await bench.engine.usage(identity)).memory == 0


async def test_events_tell_of_ends_and_removals(bench: Bench) -> None:
    seen: list[Event] = []
    ready = asyncio.Event()

    async def follow() -> None:
        async with contextlib.aclosing(bench.engine.events(bench.owned.labels)) as events:
            async for event in events:
                if event is None:
                    ready.set()
                else:
                    seen.append(event)

    task = asyncio.create_task(follow())
    await asyncio.wait_for(ready.wait(), 10)
    identity = await bench.run(run_for=0.1, exit_code=2)
    await bench.engine.wait(identity)
    await bench.engine.remove(identity)
    actions: Callable[[], list[str]] = lambda: [event.action for event in seen if event.id == identity]  # noqa: E731 - read at each look
    await until(lambda: "destroy" in actions())
    assert actions() == ["start", "die", "destroy"]
    assert seen[0].labels["number"] == "1"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_memory_in_use(bench: Bench) -> None:
    identity = await bench.run()
    used = await bench.engine.usage(identity)
    assert 0 < used.memory < 2**30
    assert used.cpu >= 0.0


async def test_an_image_is_removed_once(bench: Bench) -> None:
    name = f"moorage-test/gone:{uuid.uuid4().hex}"
    await bench.engine.import_image(name, pause.archive(), ["/pause"])
    assert await bench.engine.image(name) is not None
    await bench.engine.remove_image(name)
    assert await bench.engine.image(name) is None
    await bench.engine.remove_image(name)


async def test_thirty_streams_hold_up_no_call(bench: Bench) -> None:
    identity = await bench.run(output="x\n")

    async def follow() -> bytes:
        return b"".join([chunk async for chunk in bench.engine.logs(identity, LogOptions(follow=True))])

    streams = [asyncio.create_task(follow()) for _ in range(30)]
    await asyncio.wait_for(bench.engine.ping(), 5)
    await asyncio.wait_for(bench.engine.stop(identity, 1), 30)
    assert await asyncio.gather(*streams) == [b"x\n"] * 30


async def test_an_engine_that_is_not_there_is_unavailable() -> None:
    engine = DockerEngine("unix:///nowhere/docker.sock")
    with pytest.raises(EngineUnavailable, match=r"/nowhere/docker\.sock"):
        await engine.ping()
    await engine.close()
