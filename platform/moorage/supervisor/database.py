"""The embedded PostgreSQL as a part: started, heard, started again when it dies, ended last."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable

from moorage.supervisor.layout import Layout, SetupError
from moorage.supervisor.log import PartLog
from moorage.supervisor.part import FIRST_PAUSE, LAST_PAUSE
from moorage.supervisor.pipes import reading
from moorage.supervisor.postgres import Postgres
from moorage.supervisor.postgres_place import PostgresError
from moorage.supervisor.process_table import ProcessId
from moorage.supervisor.record import PartRecord


class Database:
    """Keeps PostgreSQL running. Its calls block, so each has a thread; its end is learnt from a pidfd (pidfd_open(2))."""

    name = "postgres"

    def __init__(self, layout: Layout, log: PartLog, changed: Callable[[], None]) -> None:
        self.log = log
        self.state = "starting"
        self.restarts = 0
        self.was_ready = asyncio.Event()
        self._changed = changed
        self._since = time.time()
        self._stopping = asyncio.Event()
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC)
        try:
            self._postgres = Postgres(layout.root, log=self._writer)
        except PostgresError as error:
            raise SetupError(str(error)) from None

    @property
    def url(self) -> str:
        """Where it is or will be reached."""
        return self._postgres.url

    def record(self) -> PartRecord:
        """The part as others may know it."""
        process = self._postgres.process
        identity = ProcessId.of(process.pid) if process is not None else ProcessId(0, 0)
        return PartRecord(self.name, self.state, identity.pid, identity.started, self.restarts, self._since)

    async def run(self) -> None:
        """Start, and start again, until ``stop``. Raises PostgresError where the first start fails."""
        pump = asyncio.create_task(self._pump())
        try:
            await asyncio.to_thread(self._postgres.start)
            self._become("ready")
            self.was_ready.set()
            while await self._ended():
                self.log.line("ERROR ended; starting it again")
                self.restarts += 1
                self._become("restarting")
                await self._start_again()
        finally:
            pump.cancel()

    async def stop(self) -> None:
        """Fast shutdown."""
        self._stopping.set()
        await asyncio.to_thread(self._postgres.stop)
        self._become("stopped")

    async def _start_again(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                await asyncio.to_thread(self._postgres.start)
            except (RuntimeError, OSError) as error:
                self.log.line(f"ERROR {error}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)
                pause = min(pause * 2, LAST_PAUSE)
            else:
                self._become("ready")
                return

    async def _ended(self) -> bool:
        """Wait; True where the process ended by itself, False where it is to stop."""
        process = self._postgres.process
        if process is None:
            return False
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        descriptor = os.pidfd_open(process.pid)
        loop.add_reader(descriptor, gone.set)
        try:
            waits = [asyncio.create_task(gone.wait()), asyncio.create_task(self._stopping.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return not self._stopping.is_set()

    async def _pump(self) -> None:
        try:
            async with reading(self._reader) as stream:
                while data := await stream.read(65536):
                    self.log.feed(data)
        finally:
            self.log.end()
            os.close(self._writer)

    def _become(self, state: str) -> None:
        if state != self.state:
            self.state, self._since = state, time.time()
        self._changed()
