"""The engine is killed while it starts containers, again and again: what it forgets of them is ended, and counted as started.

Runs where ``CHAOS_SECONDS`` asks for more than a minute, for a tenth of it; ``CHAOS_SEED`` steers it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
import random
import shutil
from pathlib import Path

import pytest

from moorage_agent.engine.contract import ContainerSpec, EngineError, State
from moorage_agent.engine.docker import DockerEngine
from tests.chaos.own_engine import OwnEngine, own_engine
from tests.support.docker import IMAGE, ensure_images
from tests.support.wait import NotYet, until

SECONDS = float(os.environ.get("CHAOS_SECONDS", "0")) / 10
SEED = int(os.environ.get("CHAOS_SEED", str(random.SystemRandom().randrange(10**6))))
AT_ONCE = 4
GROUP = "moorage-lost"
missing = [program for program in ("dockerd", "containerd") if shutil.which(program) is None]
reason = (
    f"there is no {' and no '.join(missing)}" if missing else "" if SECONDS > 6 else "CHAOS_SECONDS is not above 60"
)


@pytest.mark.chaos
@pytest.mark.docker
@pytest.mark.skipif(bool(reason), reason=f"no starts to cut off: {reason}")
@pytest.mark.timeout(SECONDS + 180)
async def test_no_process_outlives_an_engine_that_forgot_it(tmp_path: Path) -> None:
    chance, loop = random.Random(SEED), asyncio.get_running_loop()
    group = f"{GROUP}-{os.getpid()}"
    lost: list[str] = []
    async with own_engine() as own:
        own.groups.append(group)
        engine = DockerEngine(own.address)
        engine.keep_in(group, tmp_path / "lost.json")
        await ensure_images(engine)
        numbers, end = itertools.count(), loop.time() + SECONDS
        while loop.time() < end:
            specs = [_spec(next(numbers)) for _ in range(AT_ONCE)]
            made = [await engine.create(spec) for spec in specs]
            starts = [asyncio.ensure_future(_start(engine, one)) for one in made]
            await asyncio.sleep(chance.uniform(0.0, 0.6))
            await own.kill()
            await asyncio.gather(*starts)
            await own.start()
            await own.answers()
            lost += await until(functools.partial(_in_order, engine, own, made))
            for one in made:
                await engine.remove(one)
            assert not own.processes(), f"seed {SEED}: left behind {own.processes()}"
        await engine.close()
    print(f"seed {SEED}: {next(numbers)} containers, of which the engine forgot {len(lost)}")


def _spec(number: int) -> ContainerSpec:
    return ContainerSpec(name=f"one-{number}", image=IMAGE, entrypoint=["/bin/sleep", "3600"], network="none")


async def _start(engine: DockerEngine, container: str) -> None:
    with contextlib.suppress(EngineError):  # it was killed meanwhile
        await engine.start(container)


async def _in_order(engine: DockerEngine, own: OwnEngine, made: list[str]) -> list[str]:
    """What was lost and ended, once the engine and the machine tell the same of every container."""
    lost = list(await engine.end_lost())
    for one in lost:
        assert (await engine.inspect(one)).state is State.EXITED, "a start that happened is not counted"
    states = {one: (await engine.inspect(one)).state for one in made}
    running = {one for one, state in states.items() if state is State.RUNNING}
    if own.processes().keys() != running:
        raise NotYet(f"seed {SEED}: processes {own.processes()}, the engine says {states}, ended {lost}")
    return lost
