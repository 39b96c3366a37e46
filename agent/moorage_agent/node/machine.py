"""What this machine has and how it is. Reads ``/proc`` and the file system only."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

IMAGES_MOST, IMAGES_LEAST = 0.85, 0.80
"""Shares of the disk: beyond the first images are removed, down to the second (the kubelet's thresholds of image collection)."""
CONTROL_GROUPS = Path("/sys/fs/cgroup")

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


class Level(NamedTuple):
    """What there is of something: left now, and in all."""

    available: float
    capacity: float


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


def huge_pages(root: Path = Path("/sys/kernel/mm/hugepages")) -> dict[str, str]:
    """Memory that is set aside in huge pages, by resource name (``hugepages-2Mi``); nothing of a size of which there are none."""
    found = {}
    for folder in sorted(root.glob("hugepages-*kB")):
        kibibytes = int(folder.name.removeprefix("hugepages-").removesuffix("kB"))
        count = int((folder / "nr_hugepages").read_text(encoding="ascii"))
        if count:
            unit = f"{kibibytes >> 20}Gi" if kibibytes >= 1 << 20 else f"{kibibytes >> 10}Mi"
            found[f"hugepages-{unit}"] = f"{count * kibibytes}Ki"
    return found


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


def levels(folder: Path, images: Path | None = None, group: str = "") -> dict[str, Level]:
    """How the machine is now, by the kubelet's signals. ``folder`` is on the file system that pods fill, ``images`` where the
    engine keeps images and containers, ``group`` the control group of the node's containers.
    """
    found = {
        "memory.available": Level(memory()["MemAvailable"], memory()["MemTotal"]),
        "pid.available": min((processes(), *_limited(group)), key=lambda level: level.available),
        **_file_system("nodefs", folder),
    }
    if images is not None and images.is_dir() and images.stat().st_dev != folder.stat().st_dev:
        found.update(_file_system("imagefs", images))
    return found


def _file_system(name: str, folder: Path) -> dict[str, Level]:
    stat = os.statvfs(folder)
    found = {f"{name}.available": Level(stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize)}
    if stat.f_files:
        found[f"{name}.inodesFree"] = Level(stat.f_favail, stat.f_files)
    return {signal: level for signal, level in found.items() if level.capacity}


def processes() -> Level:
    """Process ids of the kernel; a thread takes one, too (proc(5))."""
    running = int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
    most = min(int(Path(f"/proc/sys/kernel/{name}").read_text(encoding="ascii")) for name in ("pid_max", "threads-max"))
    return Level(most - running, most)


def _limited(group: str) -> Iterator[Level]:
    """Process ids left in the control groups with a limit that this process or the node's containers are in."""
    own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()]
    paths = [path for _, controllers, path in own if controllers in ("", "pids")]
    for place in (group, *paths):
        name = place.strip("/")
        for root in (CONTROL_GROUPS, CONTROL_GROUPS / "pids"):
            folder = root / name
            try:
                most = (folder / "pids.max").read_text(encoding="ascii").strip()
                if name and most.isdigit():
                    yield Level(int(most) - int((folder / "pids.current").read_text(encoding="ascii")), int(most))
            except OSError:
                continue  # in the other version of control groups, or not made yet


def used_share(folder: Path) -> float:
    """How much of the disk is used: 0 to 1."""
    stat = os.statvfs(folder)
    return 1 - stat.f_bavail / stat.f_blocks if stat.f_blocks else 0.0


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
