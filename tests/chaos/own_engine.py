"""A Docker Engine of a test's own, with live-restore: what may be killed. Nothing of it is left when it is closed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from moorage_agent.volumes import mounts
from tests.support.docker import docker
from tests.support.wait import until

CGROUPS = Path("/sys/fs/cgroup")
SHIM_SOCKETS = Path("/run/containerd/s")
"""Where containerd's shims listen, under a hash of their engine's socket, namespace and container."""
END_SECONDS = 15.0


class OwnEngine:
    """``dockerd`` and its ``containerd`` in a folder: data, sockets, logs; containers in a control group of the folder's name.

    As where an init system runs them, containerd is a service beside dockerd: it does not die with it. (One that dockerd itself
    started does, and what it was starting at that moment runs on unknown to everybody.)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix://{folder}/docker.sock"
        self.log = folder / "log"
        self.groups = [folder.name]
        """Control groups in which its containers are: its own, and those that agents ask for."""
        self._socket = folder / "containerd.sock"
        self._containerd: asyncio.subprocess.Process | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start what does not run; it does not answer yet on return."""
        if not _runs(self._containerd):
            config = self.folder / "containerd.toml"
            config.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
            places = ["--root", str(self.folder / "containerd"), "--state", str(self.folder / "state")]
            self._containerd = await self._run(
                "containerd", "--config", str(config), *places, "--address", str(self._socket), "--log-level", "warn"
            )
            await until(self._socket.exists)
        if not _runs(self._process):
            (self.folder / "pid").unlink(missing_ok=True)
            places = ["--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec")]
            places += ["--pidfile", str(self.folder / "pid"), "--cgroup-parent", f"/{self.folder.name}"]
            network = ["--bridge=none", "--iptables=false", "--ip-forward=false"]
            ways = ["--host", self.address, "--containerd", str(self._socket)]
            # A dockerd without a bridge removes docker0 where it finds it: that is the machine's own engine's.
            apart = ("unshare", "--net")
            self._process = await self._run(*apart, "dockerd", "--live-restore", *network, *places, *ways)

    async def _run(self, *command: str) -> asyncio.subprocess.Process:
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            return await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, start_new_session=True)
        finally:
            os.close(log)

    async def kill(self) -> None:
        """SIGKILL for dockerd; its containers go on."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def kill_containerd(self) -> None:
        """SIGKILL for containerd; the shims of its containers go on."""
        if self._containerd is not None and self._containerd.returncode is None:
            self._containerd.kill()
            await self._containerd.wait()

    def hang(self) -> None:
        """Stop dockerd's process: connections are taken, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it go on."""
        if self._process is not None and _runs(self._process):
            self._process.send_signal(signal.SIGCONT)

    async def answers(self) -> None:
        """Wait until it does; one that ended by itself is started again, as an init system would."""

        async def version() -> str:
            await self.start()
            return await asyncio.to_thread(docker, "--host", self.address, "version", "--format", "{{.Server.Version}}")

        await until(version, timeout=90, every=0.2)

    async def close(self) -> None:
        """End it and its containers, whatever state they are in, and remove every trace."""
        try:
            await self.start()
            await self.answers()
            found = await asyncio.to_thread(docker, "--host", self.address, "ps", "-aq")
            if found:
                await asyncio.to_thread(docker, "--host", self.address, "rm", "--force", "--volumes", *found.split())
        finally:
            await self._end()
            await asyncio.to_thread(self._clear)

    def processes(self) -> dict[str, list[int]]:
        """Processes by the container (id) in whose control group they are, whatever the engine knows of them."""
        found: dict[str, list[int]] = {}
        for group in self._groups():
            try:
                pids = [int(pid) for pid in (group / "cgroup.procs").read_text().split()]
            except OSError:
                continue  # it has just gone
            if pids:
                found.setdefault(group.name, []).extend(pids)
        return found

    async def _end(self) -> None:
        for process in (self._process, self._containerd):
            if process is not None and process.returncode is None:
                process.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), END_SECONDS)
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()

    def _clear(self) -> None:
        """What a killed engine leaves: shims with their sockets, containers, control groups and mounts."""
        sockets = [socket for pid in self._own() if (socket := _shim_socket(pid)) is not None]
        ending = [*self._own(), *(pid for pids in self.processes().values() for pid in pids)]
        for pid in ending:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for socket in sockets:
            socket.unlink(missing_ok=True)
        for point in mounts.mounted_below(self.folder):
            subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)
        end = time.monotonic() + END_SECONDS
        while self._groups() and time.monotonic() < end:  # a killed process is in its group until it is reaped
            for group in self._groups():
                with contextlib.suppress(OSError):
                    group.rmdir()
            time.sleep(0.05)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _own(self) -> Iterator[int]:
        """Processes that name our folder: nobody else's do."""
        for entry in Path("/proc").iterdir():
            if (
                entry.name.isdigit()
                and int(entry.name) != os.getpid()
                and str(self.folder).encode() in _arguments(entry)
            ):
                yield int(entry.name)

    def _groups(self) -> list[Path]:
        """Our control groups, innermost first: of the one hierarchy of version 2, or of each of version 1."""
        tops = [top for name in self.groups for top in (CGROUPS / name, *CGROUPS.glob(f"*/{name}"))]
        every = [
            group for top in tops if top.is_dir() for group in (top, *(one for one in top.rglob("*") if one.is_dir()))
        ]
        return sorted(every, key=lambda group: len(group.parts), reverse=True)


def _runs(process: asyncio.subprocess.Process | None) -> bool:
    return process is not None and process.returncode is None


def _arguments(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def _shim_socket(pid: int) -> Path | None:
    """The socket of a containerd shim (``SocketAddress`` in containerd's runtime/v2/shim), None for other processes."""
    words = [os.fsdecode(word) for word in _arguments(Path(f"/proc/{pid}")).split(b"\0")]
    named = dict(itertools.pairwise(words))
    if "-id" not in named or "-address" not in named or "-namespace" not in named:
        return None
    text = f"{named['-address']}/{named['-namespace']}/{named['-id']}"
    return SHIM_SOCKETS / hashlib.sha256(text.encode()).hexdigest()


@contextlib.asynccontextmanager
async def own_engine() -> AsyncIterator[OwnEngine]:
    """An engine that answers, removed at the end."""
    engine = OwnEngine(Path(tempfile.mkdtemp(prefix="moorage-chaos-")))
    try:
        await engine.start()
        await engine.answers()
        yield engine
    except BaseException:
        print(engine.log.read_text(errors="replace")[-10_000:])
        raise
    finally:
        await engine.close()
