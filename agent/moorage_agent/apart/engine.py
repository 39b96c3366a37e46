"""The Docker Engine of a node apart: ``containerd`` and ``dockerd`` in one folder and in the node's network.

It ends with its node, and its containers with it; images and the layers of containers stay in the folder. What a killed launcher
left behind is ended before the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PROGRAMS = ("dockerd", "containerd", "nsenter")
START_SECONDS, END_SECONDS = 60.0, 25.0
SOCKET_MOST = 100
"""Characters of a socket's path (unix(7) allows 107)."""
EVERY = 0.05


class EngineFailed(Exception):
    """The engine cannot run; the text says why."""


async def ended(process: asyncio.subprocess.Process, seconds: float) -> None:
    """Ask ``process`` to end, and make it after so many seconds."""
    if process.returncode is None:
        process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), seconds)
    if process.returncode is None:
        process.kill()
        await process.wait()


class Engine:
    """``there`` is the descriptor of the network that it is to be in."""

    def __init__(self, folder: Path, there: int) -> None:
        self.folder = folder
        self.address = f"unix://{folder}/docker.sock"
        self._there = there
        self._group = f"moorage-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        """Start both and wait until they answer. Raises EngineFailed."""
        missing = [program for program in PROGRAMS if shutil.which(program) is None]
        if missing:
            raise EngineFailed(f"a node apart needs {' and '.join(missing)} on this machine, which cannot be found")
        socket = self.folder / "containerd.sock"
        if len(str(socket)) > SOCKET_MOST:
            raise EngineFailed(f"{self.folder}: the path is too long for sockets; choose a shorter --data-dir")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await asyncio.to_thread(self.clear)
        for name in ("pid", "docker.sock", "containerd.sock"):
            (self.folder / name).unlink(missing_ok=True)
        config = self.folder / "containerd.toml"
        config.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n', "ascii")
        places = ["--root", str(self.folder / "containerd"), "--state", str(self.folder / "state")]
        await self._run("containerd", "--config", str(config), *places, "--address", str(socket), "--log-level", "warn")
        await self._appears(socket)
        places = ["--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec")]
        places += ["--pidfile", str(self.folder / "pid"), "--cgroup-parent", f"/{self._group}"]
        # Pods are connected by the agent; without these a dockerd would also change what others have in its network.
        network = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]
        ways = ["--host", self.address, "--containerd", str(socket), "--log-level", "warn"]
        await self._run("dockerd", *network, *places, *ways)
        await self._appears(self.folder / "docker.sock")

    async def wait(self) -> None:
        """Return when one of both has ended."""
        ends = [asyncio.create_task(process.wait()) for process in self._processes]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def stop(self) -> None:
        """End both, and every container."""
        for process in reversed(self._processes):
            await ended(process, END_SECONDS)
        self._processes.clear()
        await asyncio.to_thread(self.clear)

    def clear(self) -> None:
        """End what works in the folder without us, and remove its control groups. Blocking."""
        for pid in self._left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + END_SECONDS
        while self._groups() and time.monotonic() < end:
            for group in self._groups():
                with contextlib.suppress(OSError):
                    for word in (group / "cgroup.procs").read_text("ascii").split():
                        os.kill(int(word), signal.SIGKILL)
                with contextlib.suppress(OSError):  # a killed process is in its group until it is reaped
                    group.rmdir()
            time.sleep(EVERY)

    async def _run(self, *command: str) -> None:
        inside = ("nsenter", f"--net=/proc/{os.getpid()}/fd/{self._there}", "--", *command)
        log = os.open(self.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            made = await asyncio.create_subprocess_exec(*inside, stdout=log, stderr=log, start_new_session=True)
        finally:
            os.close(log)
        self._processes.append(made)

    async def _appears(self, socket: Path) -> None:
        process = self._processes[-1]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                while process.returncode is None:
                    if await _answers(socket):
                        return
                    await asyncio.sleep(EVERY)
        last = (self.folder / "log").read_text("utf-8", errors="replace").strip().rpartition("\n")[2]
        raise EngineFailed(f"the node's Docker Engine does not start: {last[:500]} (see {self.folder / 'log'})")

    def _left(self) -> Iterator[int]:
        """Processes of an engine in this folder."""
        ours = f"{self.folder}/".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                program = os.path.basename(words[0])
                engine = program == b"dockerd" or program.startswith(b"containerd")
                if engine and any(ours in word for word in words):
                    yield int(entry.name)

    def _groups(self) -> list[Path]:
        """Control groups of our containers, innermost first: of version 2's hierarchy, or of each of version 1."""
        tops = [CGROUPS / self._group, *CGROUPS.glob(f"*/{self._group}")]
        every = [
            group for top in tops if top.is_dir() for group in (top, *(one for one in top.rglob("*") if one.is_dir()))
        ]
        return sorted(every, key=lambda group: len(group.parts), reverse=True)


async def _answers(socket: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    writer.close()
    return True
