"""``moorage up``: start the parts in parallel, keep them running, end them in order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from moorage import __version__
from moorage.supervisor import identities, kubeconfig, pki, ranges
from moorage.supervisor.addresses import Listen, server_names
from moorage.supervisor.database import Database
from moorage.supervisor.health import ApiProbe
from moorage.supervisor.layout import Layout, SetupError
from moorage.supervisor.log import LogFile, PartLog
from moorage.supervisor.options import Options
from moorage.supervisor.part import REFUSED, Part, PartSpec
from moorage.supervisor.plan import client_parts, server_part
from moorage.supervisor.process_table import ProcessId, end
from moorage.supervisor.record import Record, read

START_SECONDS = 120.0
"""How long a first start may take; a large database may recover from a crash in that time."""
START_ATTEMPTS = 4
PROBE_SECONDS = 15.0
PROBE_FAILURES = 4
"""A server that gave no answer to so many probes in a row is stuck, and is started again."""

Progress = Callable[[str, str], None]
"""Called with (part, state) when a part's state changes, and with ("", "ready") when all are ready."""


class StartFailed(RuntimeError):
    """A part did not become ready; the text says which one, and its last log lines."""


@contextlib.contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Hold the data directory's lock. Raises SetupError where another supervisor has it."""
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        raise SetupError(
            f"an installation in {layout.root} is already running; see it with: moorage status --data-dir {layout.root}, "
            f"end it with: moorage down --data-dir {layout.root}, or choose another --data-dir"
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def end_remains(layout: Layout) -> None:
    """End the parts that a killed supervisor left behind. Pods go on: they belong to the engine, not to us."""
    record = read(layout.record)
    if record is None:
        return
    left = end([part.process for part in record.parts if part.name != Database.name], patience=10.0)
    if left:
        raise SetupError(
            f"processes {[process.pid for process in left]} of an earlier start do not end; end them by hand"
        )


class Supervisor:
    """One installation's parts, from start to end. ``run`` blocks until it is told to stop (SIGTERM, SIGINT)."""

    def __init__(self, options: Options, progress: Progress, *, echo: bool = False) -> None:
        self._options = options
        self._layout = Layout.at(Path(options.data_dir))
        self._listen = Listen.parse(options.listen)
        self._progress = progress
        self._echo = echo
        self._states: dict[str, str] = {}
        self._database: Database | None = None
        self._parts: list[Part] = []
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Start, stay, end. Raises SetupError and StartFailed, with nothing left running."""
        self._layout.make()
        with locked(self._layout):
            end_remains(self._layout)
            self._listen.check_free()
            self._ranges = ranges.ensure(self._layout, self._options.pod_cidr, self._options.service_cidr)
            names = server_names(self._listen, self._ranges.services)
            certificates = pki.ensure(self._layout.pki, names)
            ca_pem = certificates.ca_certificate.read_bytes()
            identities.ensure(self._layout, self._options.every_node, pki.fingerprint(ca_pem))
            token = (self._layout.tokens / "admin").read_text("ascii").strip()
            url = self._listen.local_url
            kubeconfig.write(self._layout.kubeconfig, server=url, ca_pem=ca_pem, token=token, user="admin")
            self._log = LogFile(self._layout.log)
            try:
                await self._supervise()
            finally:
                self._layout.record.unlink(missing_ok=True)
                self._log.close()

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        database_url = self._options.database_url
        if not database_url:
            self._database = Database(self._layout, self._part_log(Database.name), self._changed)
            database_url = self._database.url
        specs = [
            server_part(self._layout, self._options, database_url, self._ranges),
            *client_parts(self._layout, self._options, self._ranges),
        ]
        self._parts = [self._part(spec) for spec in specs]
        runs = [asyncio.create_task(part.run(), name=part.spec.name) for part in self._parts]
        if self._database is not None:
            runs.insert(0, asyncio.create_task(self._database.run(), name=Database.name))
        try:
            await self._until_ready(runs)
            if not self._stop.is_set():
                self._progress("", "ready")
                await self._stay(runs)
        finally:
            await self._end(runs)

    def _part_log(self, name: str) -> PartLog:
        return PartLog(name, self._log, echo=self._echo)

    def _part(self, spec: PartSpec) -> Part:
        return Part(spec, self._part_log(spec.name), self._changed)

    async def _until_ready(self, runs: list[asyncio.Task[None]]) -> None:
        """Return when every part is ready or the end is asked for. Raises StartFailed."""
        started = time.monotonic()
        stop = asyncio.create_task(self._stop.wait())
        ready = asyncio.create_task(self._all_ready())
        try:
            while not (stop.done() or ready.done()):
                await asyncio.wait([stop, ready, *runs], timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
                self._refuse_failed(runs)
                if time.monotonic() - started > START_SECONDS:
                    waiting = [part for part in self._parts if not part.was_ready.is_set()]
                    raise StartFailed(_failure(waiting[0], f"was not ready after {START_SECONDS:.0f} s"))
        finally:
            stop.cancel()
            ready.cancel()

    async def _all_ready(self) -> None:
        if self._database is not None:
            await self._database.was_ready.wait()
        for part in self._parts:
            await part.was_ready.wait()

    def _refuse_failed(self, runs: list[asyncio.Task[None]]) -> None:
        for run in runs:
            if run.done() and not run.cancelled() and (error := run.exception()) is not None:
                lines = self._database.log.last if self._database and run.get_name() == Database.name else ()
                raise StartFailed("\n".join([f"{run.get_name()}: {error}", *(f"  {line}" for line in lines)]))
        for part in self._parts:
            if part.was_ready.is_set() or part.first_exit is None:
                continue
            if part.state == "stopped" and part.first_exit == REFUSED:
                raise StartFailed(_failure(part, "refuses to start"))
            if part.restarts >= START_ATTEMPTS:
                raise StartFailed(_failure(part, f"ended {part.restarts} times before it was ready"))

    async def _stay(self, runs: list[asyncio.Task[None]]) -> None:
        """Until the end is asked for, probe the server; a part that refuses a restart is loud but leaves the others running."""
        probe = ApiProbe(self._listen.local_url, self._layout.ca_certificate)
        failures = 0
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), PROBE_SECONDS)
                break
            server = self._parts[0]
            failures = 0 if server.state != "ready" or await probe.well() else failures + 1
            if failures >= PROBE_FAILURES:
                server.log.line(f"ERROR gave no answer to {failures} probes; starting it again")
                server.kill()
                failures = 0

    async def _end(self, runs: list[asyncio.Task[None]]) -> None:
        """Clients first, then the server, then the database."""
        server, *clients = self._parts
        await asyncio.gather(*(part.stop() for part in clients))
        await server.stop()
        if self._database is not None:
            await self._database.stop()
        await asyncio.wait(runs, timeout=10.0)
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    def _changed(self) -> None:
        parts = [*([self._database.record()] if self._database else []), *(part.record() for part in self._parts)]
        Record(ProcessId.of(os.getpid()), str(self._listen), __version__, parts).write(self._layout.record)
        for part in parts:
            if self._states.get(part.name) != part.state:
                self._states[part.name] = part.state
                self._progress(part.name, part.state)


def _failure(part: Part, what: str) -> str:
    return "\n".join([f"{part.spec.name} {what}; its last log lines:", *(f"  {line}" for line in part.log.last)])
