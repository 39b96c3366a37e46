"""Processes that the engine has forgotten: known by their control group, ended, and their start counted."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from moorage_agent.engine.contract import ContainerSpec, State
from moorage_agent.engine.docker import DockerEngine
from moorage_agent.engine.groups import ROOT, Groups, name_of
from tests.support.docker import IMAGE, Owned, ensure_images
from tests.support.wait import until

pytestmark = pytest.mark.docker

HIERARCHY = ROOT / "pids" if (ROOT / "pids").is_dir() else ROOT


@pytest.fixture
def group(owned: Owned) -> Iterator[str]:
    name = name_of(owned.cluster, "node")
    yield name
    Groups(name).remove()


@pytest.fixture
async def engine(group: str, tmp_path: Path) -> AsyncIterator[DockerEngine]:
    made = DockerEngine()
    made.keep_in(group, tmp_path / "lost.json")
    try:
        await ensure_images(made)
        yield made
    finally:
        await made.close()


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _lose(processes: ExitStack, group: str, container: str) -> subprocess.Popen[bytes]:
    """A process in a container's control group, as an engine leaves it that is killed while it starts the container."""
    folder = HIERARCHY / group / container
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(["sleep", "600"])
    processes.callback(process.kill)
    (folder / "cgroup.procs").write_text(str(process.pid))
    return process


def _spec(owned: Owned) -> ContainerSpec:
    command = ["/bin/sh", "-c", "sleep 600 & sleep 600"]
    return ContainerSpec(name=owned.cluster, image=IMAGE, labels=owned.labels, entrypoint=command, network="none")


async def test_processes_of_a_container_that_the_engine_does_not_have_are_ended(
    engine: DockerEngine, group: str, processes: ExitStack
) -> None:
    lost = _lose(processes, group, "f" * 64)
    assert list(await engine.end_lost()) == ["f" * 64]
    assert lost.wait(timeout=10) == -9
    assert not (HIERARCHY / group / ("f" * 64)).exists()
    assert list(await engine.end_lost()) == []


async def test_a_container_that_the_engine_believes_was_never_started_has_ended(
    engine: DockerEngine, group: str, owned: Owned, processes: ExitStack, tmp_path: Path
) -> None:
    identity = await engine.create(_spec(owned))
    assert list(await engine.end_lost()) == []
    lost = _lose(processes, group, identity)
    assert (await engine.inspect(identity)).state is State.CREATED
    assert list(await engine.end_lost()) == [identity]
    assert lost.wait(timeout=10) == -9
    again = DockerEngine()  # an agent that was killed meanwhile knows it, too
    again.keep_in(group, tmp_path / "lost.json")
    for one in (engine, again):
        found = await one.inspect(identity)
        assert (found.state, found.exit_code) == (State.EXITED, 137)
        assert found.finished >= found.started > 0
    await again.remove(identity)
    await again.end_lost()
    assert (tmp_path / "lost.json").read_text() == "{}"
    await again.close()


async def test_containers_that_run_are_left_alone_and_have_their_group(
    engine: DockerEngine, group: str, owned: Owned
) -> None:
    identity = await engine.create(_spec(owned))
    await engine.start(identity)
    assert (HIERARCHY / group / identity).is_dir()
    assert list(await engine.end_lost()) == []
    assert (await engine.inspect(identity)).state is State.RUNNING
    await engine.remove(identity)
    assert not (HIERARCHY / group / identity).exists()


async def test_what_a_removed_container_left_is_ended_with_it(
    engine: DockerEngine, group: str, owned: Owned, processes: ExitStack
) -> None:
    identity = await engine.create(_spec(owned))
    lost = _lose(processes, group, identity)
    await engine.remove(identity)
    await until(lambda: lost.poll() == -9)
