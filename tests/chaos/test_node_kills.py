"""Kill -9 of the agent, of the engine (with live-restore) and of its containerd, and hangs, in any order, while pods come and go.

At the end the node has the pods that the API wants: no container twice, none and no volume, mount, link or address of a pod that
is gone, and nothing was started anew that had not ended. ``CHAOS_SECONDS`` (default 25) and ``CHAOS_SEED`` steer it.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from moorage_agent.engine.groups import name_of
from moorage_agent.identity import cluster_uid
from moorage_agent.network.making import obstacle, remove
from moorage_agent.network.names import names
from moorage_agent.volumes import mounts
from tests.bench.installation import Installation, installation
from tests.chaos.churn import PODS, Churn
from tests.chaos.killer import Killer
from tests.chaos.node_state import NodePlace, Starts, restarts_are_right
from tests.chaos.own_engine import OwnEngine, own_engine
from tests.support.docker import import_image
from tests.support.wait import NotYet, until

SECONDS = float(os.environ.get("CHAOS_SECONDS", "25"))
SEED = int(os.environ.get("CHAOS_SEED", str(random.SystemRandom().randrange(10**6))))
NODE = "bench"
AGENT = f"agent/{NODE}"
PAUSE = (1.5, 5.0)
"""Seconds between kills."""
DOWN = (0.0, 2.5)
"""Seconds for which a killed engine stays away, and one that hangs does so."""
VICTIMS = [
    ["agent"],
    ["engine"],
    ["agent", "engine"],
    ["engine", "agent"],
    ["hang"],
    ["hang", "agent"],
    ["hang", "engine"],
    ["containerd"],
    ["containerd", "engine"],
    ["agent", "containerd"],
]


def _missing() -> str:
    missing = [program for program in ("dockerd", "containerd") if shutil.which(program) is None]
    return f"there is no {' and no '.join(missing)} to start" if missing else ""


reason = obstacle("unix:///var/run/docker.sock") or _missing()


@pytest.mark.chaos
@pytest.mark.docker
@pytest.mark.skipif(bool(reason), reason=f"no engine of our own here: {reason}")
@pytest.mark.timeout(SECONDS + 300)
async def test_a_node_whose_agent_and_engine_are_killed_stays_true_to_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(own_engine())
        monkeypatch.setenv("DOCKER_HOST", engine.address)
        await asyncio.to_thread(import_image)
        async with installation() as target:
            cluster = cluster_uid(target.ca_file.read_text())
            engine.groups.append(name_of(cluster, NODE))
            stack.push_async_callback(asyncio.to_thread, _clear, target.data_dir, cluster)
            try:
                place = NodePlace(engine, target.data_dir / "agents" / NODE, names(cluster, NODE))
                await _kill_and_check(target, place)
            finally:
                await engine.answers()  # the installation ends its pods' containers through it


def _clear(data_dir: Path, cluster: str) -> None:
    """What an installation leaves that could not be ended in good order. Blocking."""
    remove(cluster, NODE)
    for point in mounts.mounted_below(data_dir):
        subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)
    shutil.rmtree(data_dir, ignore_errors=True)


async def _kill_and_check(target: Installation, place: NodePlace) -> None:
    churn, starts, killer = Churn(target, SEED), Starts(), Killer(target.data_dir, SEED)
    await churn.prepare()
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(churn.run(stop.is_set))
        try:
            kills = await _kill(target, place.engine, killer, starts)
        finally:
            stop.set()
    told = f"seed {SEED}: killed {kills}, {churn.changes} changes"
    await place.engine.answers()

    async def true_to_the_api() -> bool:
        pods = await _pods(target)
        try:
            return await asyncio.to_thread(place.check, pods, churn)
        except (AssertionError, KeyError, OSError) as error:
            raise NotYet(f"{told}: {error!r}") from error

    begun = time.monotonic()
    await until(true_to_the_api, timeout=150, every=0.5)
    pods = await _pods(target)
    compared = starts.check(pods)
    assert compared, f"{told}: no pod lived through a kill"
    restarts_are_right(place.data, pods, kills.count("engine"))
    lost = (target.data_dir / "moorage.log").read_text(errors="replace").count("though the engine did not know")
    older = (
        f"{len(pods)} pods, {compared} of them older than a kill, {lost} containers that the engine forgot were ended"
    )
    print(f"{told}; {older}; in order {time.monotonic() - begun:.0f} s later")


async def _kill(target: Installation, engine: OwnEngine, killer: Killer, starts: Starts) -> list[str]:
    """Kill for the time that is set; returns what was killed."""
    chance, loop, kills = random.Random(SEED), asyncio.get_running_loop(), []
    end = loop.time() + SECONDS
    while loop.time() < end:
        await asyncio.sleep(chance.uniform(*PAUSE))
        starts.note(await _pods(target))
        victims = chance.choice(VICTIMS)
        for victim in victims:
            kills.append(victim)
            if victim == "agent":
                killer.kill(AGENT)
            elif victim == "hang":
                engine.hang()
            elif victim == "containerd":
                await engine.kill_containerd()
            else:
                await engine.kill()
            await asyncio.sleep(chance.choice([0.0, chance.uniform(0.0, 1.0)]))
        if victims != ["agent"]:
            await asyncio.sleep(chance.uniform(*DOWN))
            engine.go_on()
            await engine.start()
    return kills


async def _pods(target: Installation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await target.get(PODS))["items"]
    return found
