"""NFS exports (version 4) are mounted by mount(2) itself: no helper program runs that text of a user could be an argument of.

A server that does not answer is found out before the kernel is asked, which would wait for minutes. Source: nfs(5), mount(8).
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from moorage_agent.volumes import mounts
from moorage_agent.volumes.sources import VolumeError

PORT = 2049
ANSWERS_WITHIN = 5.0
"""Seconds that a server has to accept a connection."""
_FLAGS = {
    "ro": mounts.MS_RDONLY,
    "nosuid": mounts.MS_NOSUID,
    "nodev": mounts.MS_NODEV,
    "noexec": mounts.MS_NOEXEC,
    "sync": 16,
    "dirsync": 128,
    "noatime": 1024,
    "nodiratime": 2048,
    "relatime": 1 << 21,
    "strictatime": 1 << 24,
}
_NOTHING = frozenset(
    {"rw", "suid", "dev", "exec", "async", "atime", "diratime", "defaults", "_netdev", "auto", "noauto", "fg", "bg"}
)
"""Options of mount(8) that say what is so anyway, or that only programs understand."""
_VERSION = ("vers", "nfsvers")


def mount(server: str, path: str, target: Path, *, read_only: bool, options: Sequence[str] = ()) -> None:
    """Mount ``server:path`` at ``target`` unless something is mounted there. Raises VolumeError, OSError."""
    if mounts.mounted_below(target):
        return
    what = f"{server}:{path}"
    flags, data, port = _sorted(options)
    try:
        address = str(socket.getaddrinfo(server, port, type=socket.SOCK_STREAM)[0][4][0])
        socket.create_connection((address, port), timeout=ANSWERS_WITHIN).close()
    except OSError as error:
        raise VolumeError(f"mounting NFS {what}: the server does not answer on port {port}: {error}") from error
    target.mkdir(parents=True, exist_ok=True)
    flags |= mounts.MS_RDONLY if read_only else 0
    try:
        mounts.mount(what, target, "nfs4", flags, ",".join([*data, f"addr={address}"]))
    except OSError as error:
        why = "this kernel has no NFS" if error.errno == _NO_SUCH_SYSTEM else error.strerror
        raise VolumeError(f"mounting NFS {what}: {why}") from error


_NO_SUCH_SYSTEM = 19
"""ENODEV: mount(2) does not know the kind of file system."""


def _sorted(options: Sequence[str]) -> tuple[int, list[str], int]:
    """``mountOptions`` as flags of mount(2), options of the file system, and the server's port."""
    flags, data, port, versions = 0, [], PORT, ["vers=4.2"]
    for option in options:
        name, _, value = option.partition("=")
        if "," in option or not option.isprintable():
            raise VolumeError(f'mountOptions: "{option}": each option is an item of its own')
        if name in _VERSION:
            if not value.startswith("4"):
                raise VolumeError(f'mountOptions: "{option}": this node mounts NFS version 4 only')
            versions = [f"vers={value}"]
        elif name == "port" and value.isdecimal():
            port = int(value)
            data.append(option)
        elif name in _FLAGS:
            flags |= _FLAGS[name]
        elif name not in _NOTHING:
            data.append(option)
    return flags, [*versions, *data], port
