"""Parts are real processes here: a few lines of Python each."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from moorage.supervisor import part as module
from moorage.supervisor.log import LogFile, PartLog
from moorage.supervisor.part import Part, PartSpec
from moorage.supervisor.process_table import ProcessId, end, wait_gone
from tests.support.wait import until

READY = "from moorage.supervisor.notice import ready, end_with_parent; end_with_parent(); ready();"
FOREVER = "import time; [time.sleep(0.02) for _ in range(10**6)]"

Start = Callable[[str], Part]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.02)

    def make(code: str) -> Part:
        spec = PartSpec("part", [sys.executable, "-c", code], stop_seconds=5)
        return Part(spec, PartLog("part", LogFile(tmp_path / "log")), lambda: None)

    return make


@asynccontextmanager
async def running(part: Part) -> AsyncIterator[Part]:
    task = asyncio.create_task(part.run())
    try:
        yield part
    finally:
        await part.stop()
        await asyncio.wait_for(task, 10)


async def test_it_is_ready_when_it_says_so(start: Start) -> None:
    async with running(start(f"{READY} print('INFO here', flush=True); {FOREVER}")) as part:
        await until(lambda: part.state == "ready")
        await until(lambda: "here" in part.log.last)
        process = part.record().process
        assert process.alive
    assert not process.alive
    assert part.state == "stopped"
    assert part.restarts == 0


async def test_one_that_dies_is_started_again(start: Start) -> None:
    async with running(start(READY + FOREVER)) as part:
        await until(lambda: part.state == "ready")
        first = part.record().process
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: part.restarts == 1 and part.state == "ready")
        assert part.record().process != first
        assert "ended by signal SIGKILL" in part.log.last


async def test_one_that_refuses_its_configuration_is_not(start: Start) -> None:
    part = start("import sys; print('moorage: no good'); sys.exit(78)")
    await asyncio.wait_for(part.run(), 10)
    assert (part.first_exit, part.restarts, part.state) == (78, 0, "stopped")
    assert "moorage: no good" in part.log.last


async def test_pauses_grow(start: Start) -> None:
    async with running(start("raise SystemExit(3)")) as part:
        await until(lambda: part.restarts >= 3)
        assert part.first_exit == 3
        assert not part.was_ready.is_set()


async def test_one_that_does_not_end_is_killed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    part = start(f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY} {FOREVER}")
    object.__setattr__(part.spec, "stop_seconds", 0.1)
    async with running(part):
        await until(lambda: part.state == "ready")
    assert "did not end within" in " ".join(part.log.last)


async def test_what_it_left_behind_ends_with_it(start: Start) -> None:
    child = (
        f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {FOREVER!r}]); print(p.pid, flush=True);"
    )
    async with running(start(f"{child} {READY} {FOREVER}")) as part:
        await until(lambda: part.state == "ready" and part.log.last)
        grandchild = ProcessId.of(int(part.log.last[0]))
        assert grandchild.alive
        os.kill(part.record().pid, signal.SIGKILL)
        await until(lambda: part.restarts == 1)
        await until(lambda: not grandchild.alive)


async def test_it_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
from moorage.supervisor.log import LogFile, PartLog
from moorage.supervisor.part import Part, PartSpec
async def main():
    spec = PartSpec("part", [sys.executable, "-c", {READY + FOREVER!r}])
    part = Part(spec, PartLog("part", LogFile(Path({str(tmp_path / "log")!r}))), lambda: None)
    task = asyncio.create_task(part.run())
    await part.was_ready.wait()
    print(part.record().pid, flush=True)
    await task
asyncio.run(main())
"""
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert supervisor.stdout is not None
    part = ProcessId.of(int(await supervisor.stdout.readline()))
    assert part.alive
    supervisor.kill()
    await supervisor.communicate()
    await until(lambda: not part.alive)


def test_a_pid_that_belongs_to_another_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", FOREVER]) as process:
        try:
            true = ProcessId.of(process.pid)
            stranger = ProcessId(true.pid, true.started + 1)
            assert true.alive
            assert not stranger.alive
            assert end([stranger, ProcessId(true.pid, 0)], patience=0.1) == []
            assert true.alive
            assert end([true], patience=5) == []
            assert wait_gone([true], 0) == []
        finally:
            process.kill()
