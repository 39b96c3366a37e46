"""A node's control groups: by them its containers' processes are known when the engine has forgotten them.

An engine that is killed while it starts a container may not know, afterwards, that the container runs (Docker 20.10 shows it as
created or as ended), so that neither stopping nor removing it ends its processes. What is in the group of a container that the
engine does not count as running belongs to nobody. The kubelet finds the processes of removed pods in the same way
(``cleanupOrphanedPodCgroups``). Source of the layouts: cgroups(7); Docker's ``daemon/oci_linux.go``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PROCESSES = Path("/proc")
END_SECONDS = 10.0
"""Seconds in which killed processes have to be gone."""
_LEAF = re.compile(r"(?:docker-)?([0-9a-f]{64})(?:\.scope)?")
_SHIM = b"containerd-shim"


def name_of(cluster: str, node: str) -> str:
    """The name of a node's group: other nodes and installations on this machine have others."""
    return f"{prefix_of(cluster)}-{hashlib.sha256(node.encode()).hexdigest()[:8]}"


def prefix_of(cluster: str) -> str:
    """How the names of the groups of all nodes of a cluster begin."""
    return f"moorage-{hashlib.sha256(cluster.encode()).hexdigest()[:8]}"


class Groups:
    """The group ``name``, with one group for each container in it. Everything here blocks, for milliseconds."""

    def __init__(self, name: str, root: Path = ROOT, processes: Path = PROCESSES) -> None:
        self.name = name
        self._root = root
        self._processes = processes

    def parent(self, driver: str) -> str:
        """What an engine with the cgroup driver ``driver`` is told; "" where it keeps no groups."""
        # A dash in the name of a slice stands for a slice in another one (systemd.slice(5)).
        return {"cgroupfs": f"/{self.name}", "systemd": f"{self.name.replace('-', '_')}.slice"}.get(driver, "")

    def containers(self) -> set[str]:
        """Ids of the containers that have a group, in any hierarchy."""
        return {found[1] for top in self._tops() for entry in _folders(top) if (found := _LEAF.fullmatch(entry.name))}

    def has(self, container: str) -> bool:
        """Whether a container has a group."""
        return next(self._of(container), None) is not None

    def end(self, container: str) -> bool:
        """Kill a container's processes and whoever watches over them, and remove its groups; whether nothing is left."""
        until = time.monotonic() + END_SECONDS
        while pids := self._pids(container):
            if time.monotonic() > until:
                return False
            _kill(pids)
            time.sleep(0.01)
        _kill(self._shims(container))  # containerd then lets go of what it knows of the container
        while self.has(container) and time.monotonic() < until:
            for group in self._of(container):
                _remove(group)
            if self.has(container):
                time.sleep(0.01)
        return not self.has(container)

    def remove(self) -> None:
        """Remove what is empty of the node's groups."""
        for top in self._tops():
            _remove(top)

    def _tops(self) -> Iterator[Path]:
        """The node's group: one in version 2 of control groups, one for each hierarchy in version 1."""
        for name in (self.name, f"{self.name.replace('-', '_')}.slice"):
            for top in (self._root / name, *(each / name for each in _folders(self._root))):
                if top.is_dir():
                    yield top

    def _of(self, container: str) -> Iterator[Path]:
        for top in self._tops():
            for name in (container, f"docker-{container}.scope"):
                if (top / name).is_dir():
                    yield top / name

    def _pids(self, container: str) -> set[int]:
        found: set[int] = set()
        for group in self._of(container):
            for each in (group, *_below(group)):
                with contextlib.suppress(OSError):  # it has just gone
                    found.update(int(pid) for pid in (each / "cgroup.procs").read_text("ascii").split())
        return {pid for pid in found if pid > 1}

    def _shims(self, container: str) -> set[int]:
        """containerd's shims for a container: each is a program that is told the id."""
        found = set()
        for entry in _folders(self._processes):
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if _SHIM in words[0] and container.encode("ascii") in words:
                    found.add(int(entry.name))
        return found


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _below(folder: Path) -> Iterator[Path]:
    for each in _folders(folder):
        yield each
        yield from _below(each)


def _remove(group: Path) -> None:
    """Remove a group and the empty ones in it; one that is not empty stays."""
    for each in (*_folders(group), group):
        with contextlib.suppress(OSError):
            if each is not group:
                _remove(each)
            else:
                each.rmdir()
