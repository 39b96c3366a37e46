"""Processes by pid *and* start time, so that a number that the kernel gave to somebody else is never signalled.

Source: proc(5), field 22 of ``/proc/PID/stat``.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process for all time (until the next boot)."""

    pid: int
    started: int
    """Clock ticks after boot; 0 stands for no process."""

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """The process that has ``pid`` now."""
        stat = _stat(pid)
        return cls(pid, int(stat[19]) if stat else 0)

    @property
    def alive(self) -> bool:
        """Whether it still runs (a zombie does not)."""
        stat = _stat(self.pid) if self.started else None
        return stat is not None and int(stat[19]) == self.started and stat[0] != "Z"

    def signal(self, number: signal.Signals, *, group: bool = True) -> None:
        """Send a signal to the process, and to its ``group`` where it leads one; to nobody where it is gone."""
        if not self.alive:
            return
        try:
            if group and os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := _stat(int(entry))):
            children.setdefault(int(stat[1]), []).append(int(entry))
    found = [pid]
    for member in found:
        found.extend(children.get(member, ()))
    return found


def boot_id() -> str:
    """Start times of another boot mean nothing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def end(processes: Iterable[ProcessId], patience: float) -> list[ProcessId]:
    """SIGTERM, and SIGKILL after ``patience`` seconds; those that run still (none, but for a hanging kernel)."""
    left = [process for process in processes if process.alive]
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        for process in left:
            process.signal(number)
        left = wait_gone(left, seconds)
    return left


def wait_gone(processes: Iterable[ProcessId], patience: float) -> list[ProcessId]:
    """Those of ``processes`` that still run after ``patience`` seconds."""
    until = time.monotonic() + patience
    left = [process for process in processes if process.alive]
    while left and time.monotonic() < until:
        time.sleep(0.02)
        left = [process for process in left if process.alive]
    return left


def _stat(pid: int) -> list[str] | None:
    """The fields after the program's name (which may hold anything), from the state on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
