"""What this machine has and how it is. Reads ``/proc`` and the file system only."""

from __future__ import annotations

import os
import platform
import socket
from pathlib import Path
from typing import NamedTuple

MEMORY_LEAST = 100 * 2**20
DISK_LEAST, INODES_LEAST = 0.10, 0.05
"""The kubelet's hard eviction thresholds: memory.available, nodefs.available, nodefs.inodesFree."""
PIDS_LEAST = 0.05
IMAGES_MOST = 0.85

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


class Pressure(NamedTuple):
    """Which of the machine's means run short."""

    memory: bool = False
    disk: bool = False
    pids: bool = False


def architecture() -> str:
    """As Go and Kubernetes name it: ``amd64``, ``arm64``."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def address() -> str:
    """The address that this machine uses towards the network: of the interface with the default route; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): only the routing table is asked
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def memory() -> dict[str, int]:
    """``/proc/meminfo`` in bytes."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}


def memory_in_use() -> int:
    """Bytes that programs use and that the kernel cannot simply take back."""
    found = memory()
    return found["MemTotal"] - found["MemAvailable"]


def cpu_time() -> float:
    """Seconds of CPU time spent by all cores since the machine's start: user, nice, system, irq, softirq (proc(5))."""
    words = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    ticks = [int(word) for word in words]
    return (sum(ticks[:3]) + sum(ticks[5:7])) / os.sysconf("SC_CLK_TCK")


def storage(folder: Path) -> int:
    """Bytes of the file system that ``folder`` is on."""
    stat = os.statvfs(folder)
    return stat.f_blocks * stat.f_frsize


def pressure(folder: Path) -> Pressure:
    """How the machine is now; ``folder`` is on the file system that pods fill."""
    stat = os.statvfs(folder)
    disk = stat.f_blocks > 0 and stat.f_bavail < stat.f_blocks * DISK_LEAST
    inodes = stat.f_files > 0 and stat.f_favail < stat.f_files * INODES_LEAST
    running = int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
    most = int(Path("/proc/sys/kernel/pid_max").read_text(encoding="ascii"))
    return Pressure(memory()["MemAvailable"] < MEMORY_LEAST, disk or inodes, running > most * (1 - PIDS_LEAST))


def is_filling(folder: Path) -> bool:
    """Whether so much of the disk is used that images should go which nobody needs (the kubelet's 85 %)."""
    stat = os.statvfs(folder)
    return stat.f_blocks > 0 and stat.f_bavail < stat.f_blocks * (1 - IMAGES_MOST)


def boot_id() -> str:
    """The kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def machine_id() -> str:
    """``/etc/machine-id``; "" where there is none."""
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def os_image() -> str:
    """The distribution's name for people."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return platform.platform()
