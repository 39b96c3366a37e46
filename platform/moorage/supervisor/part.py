"""One supervised process: started, heard, started again with growing pauses, ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from moorage.supervisor.log import PART_VARIABLE, PartLog
from moorage.supervisor.notice import PARENT_VARIABLE, READY_VARIABLE
from moorage.supervisor.pipes import reading
from moorage.supervisor.process_table import ProcessId
from moorage.supervisor.record import PartRecord

FIRST_PAUSE = 0.5
LAST_PAUSE = 30.0
STEADY = 60.0
"""Seconds after which a part counts as well again: its next pause is the first one."""
REFUSED = 78
"""Exit code of a part that cannot run as it is configured (sysexits.h EX_CONFIG): starting it again would not help."""


@dataclass(frozen=True, slots=True)
class PartSpec:
    """What to run. ``stop_seconds`` is the time for a clean end."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: float = 10.0


class Part:
    """A process of ``spec``. ``changed`` is called whenever ``record()`` would answer differently."""

    def __init__(self, spec: PartSpec, log: PartLog, changed: Callable[[], None]) -> None:
        self.spec = spec
        self.log = log
        self.state = "starting"
        self.restarts = 0
        self.first_exit: int | None = None
        """Exit code of the first end before the part was ever ready."""
        self.was_ready = asyncio.Event()
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._id = ProcessId(0, 0)
        self._since = time.time()
        self._stopping = asyncio.Event()

    def record(self) -> PartRecord:
        """The part as others may know it."""
        return PartRecord(self.spec.name, self.state, self._id.pid, self._id.started, self.restarts, self._since)

    async def run(self) -> None:
        """Keep the process running until ``stop``. Returns early for one that refuses its configuration."""
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            started = time.monotonic()
            code = await self._run_once()
            if self._stopping.is_set():
                break
            if not self.was_ready.is_set() and self.first_exit is None:
                self.first_exit = code
            self.log.line(f"ERROR {_ended(code)}")
            if code == REFUSED:
                break
            if time.monotonic() - started > STEADY:
                pause = FIRST_PAUSE
            self.restarts += 1
            self._become("restarting")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(pause * 2, LAST_PAUSE)
        self._become("stopped")

    async def stop(self) -> None:
        """End the process: SIGTERM, then SIGKILL for its whole group."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._id.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self.spec.stop_seconds)
        except TimeoutError:
            self.log.line(f"WARNING did not end within {self.spec.stop_seconds:.0f} s; killed")
            self.kill()

    def kill(self) -> None:
        """End the process at once; ``run`` starts another unless ``stop`` was called."""
        self._id.signal(signal.SIGKILL)

    async def _run_once(self) -> int:
        # The output has a pipe of its own: asyncio's would keep wait() waiting for as long as a grandchild holds it.
        notice, notice_end = os.pipe()
        output, output_end = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *self.spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output_end,
                stderr=output_end,
                pass_fds=(notice_end,),
                env=self._environment(notice_end),
                start_new_session=True,
            )
        except BaseException:
            os.close(notice)
            os.close(output)
            raise
        finally:
            os.close(notice_end)
            os.close(output_end)
        self._process = process
        self._id = ProcessId.of(process.pid)
        self._become("starting")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(notice))
            tasks.create_task(self._pump(output))
            code = await process.wait()
            self._end_group(process.pid)
        return code

    @staticmethod
    def _end_group(group: int) -> None:
        """End what the process left behind (a Git it ran, say): it would hold the output open, and nobody waits for it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)

    def _environment(self, ready: int) -> dict[str, str]:
        return {
            **os.environ,
            **self.spec.environment,
            READY_VARIABLE: str(ready),
            PARENT_VARIABLE: str(os.getpid()),
            PART_VARIABLE: "part",
            "PYTHONUNBUFFERED": "1",
        }

    async def _listen(self, descriptor: int) -> None:
        """Wait for the notice; the pipe ends without one where the process ended first."""
        async with reading(descriptor) as stream:
            if await stream.readline():
                self._become("ready")
                self.was_ready.set()

    async def _pump(self, descriptor: int) -> None:
        async with reading(descriptor) as stream:
            while data := await stream.read(65536):
                self.log.feed(data)
        self.log.end()

    def _become(self, state: str) -> None:
        if state != self.state:
            self.state, self._since = state, time.time()
        self._changed()


def _ended(code: int) -> str:
    if code < 0:
        return f"ended by signal {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
