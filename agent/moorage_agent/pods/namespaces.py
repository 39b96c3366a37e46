"""Whether a sandbox has a network namespace of its own. Reads ``/proc`` only (proc(5), namespaces(7))."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from moorage_agent.pods.networking import NetworkError

PATIENCE = 5.0
"""Seconds in which a sandbox's program must have done its first two system calls."""
FIRST, LAST = 0.0005, 0.02
PROC = Path("/proc")


async def settled(pid: int, proc: Path = PROC) -> None:
    """Wait until the sandbox's program has given up its rights, which it does after it has made its network.

    Raises NetworkError where it has ended, and where its network is then still the machine's, which must never be taken
    for a pod's.
    """
    loop = asyncio.get_running_loop()
    ends, pause = loop.time() + PATIENCE, FIRST
    try:
        while _rights(pid, proc):
            if loop.time() > ends:
                raise NetworkError("the sandbox's program does not start")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST)
        own = _network(str(pid), proc)
        others = {"self", _parent(pid, proc)} - {"0"}
        if own in {_network(one, proc) for one in others}:
            raise NetworkError("the sandbox has no network namespace of its own")
    except OSError as error:
        raise NetworkError("the sandbox has ended") from error


def _status(pid: int, proc: Path) -> dict[str, str]:
    lines = (proc / str(pid) / "status").read_text(encoding="ascii", errors="replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _rights(pid: int, proc: Path) -> int:
    return int(_status(pid, proc)["CapPrm"], 16)


def _parent(pid: int, proc: Path) -> str:
    return _status(pid, proc)["PPid"]


def _network(pid: str, proc: Path) -> str:
    return os.readlink(proc / pid / "ns" / "net")
