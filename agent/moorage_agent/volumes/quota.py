"""Project quotas: the kernel refuses what a folder may not hold, where the file system keeps them (ext4 and XFS mounted with
``prjquota``). Linux only.

Source: quotactl(2), ``linux/quota.h``, ``linux/fs.h`` (``FS_IOC_FSSETXATTR``).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import struct
from pathlib import Path

GET_ATTRIBUTES, SET_ATTRIBUTES = 0x801C581F, 0x401C5820
INHERITED = 0x200
"""``FS_XFLAG_PROJINHERIT``: what is made in the folder belongs to its project, too."""
SET_LIMIT = (0x800008 << 8) | 2
"""``QCMD(Q_SETQUOTA, PRJQUOTA)``."""
SYS_QUOTACTL_FD = 443
"""The same number on every architecture (since Linux 5.14)."""
UNIT = 1024
"""Bytes in the unit of ``dqb_bhardlimit``."""
_ATTRIBUTES = struct.Struct("=IIIII8s")
_LIMIT = struct.Struct("=8QI4x")
_BLOCKS = 1
"""``QIF_BLIMITS``: of all limits, these count."""
_NOT_KEPT = frozenset(
    {
        errno.ENOTTY,
        errno.EOPNOTSUPP,
        errno.ENOSYS,
        errno.ESRCH,
        errno.EPERM,
        errno.EINVAL,
        errno.ENODEV,
        errno.ENOENT,
    }
)
"""What a kernel or file system without project quotas answers; and who is not root may not ask."""

_libc = ctypes.CDLL(None, use_errno=True)


def project_of(name: str) -> int:
    """The number of the project of a folder of this name: in a range that engines, who count from 1, do not reach."""
    return 0x40000000 | int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") >> 2


def limit(folder: Path, size: int, project: int) -> bool:
    """Let ``folder`` hold no more than ``size`` bytes. Returns False where nobody keeps such a limit. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        blocks = -(-size // UNIT)
        _quotactl(descriptor, SET_LIMIT, project, _LIMIT.pack(blocks, blocks, 0, 0, 0, 0, 0, 0, _BLOCKS))
        flags, extent, extents, before, cow, rest = _ATTRIBUTES.unpack(_attributes(descriptor))
        if before != project or not flags & INHERITED:
            wanted = _ATTRIBUTES.pack(flags | INHERITED, extent, extents, project, cow, rest)
            fcntl.ioctl(descriptor, SET_ATTRIBUTES, wanted)
    except OSError as error:
        if error.errno in _NOT_KEPT:
            return False
        raise
    finally:
        os.close(descriptor)
    return True


def _attributes(descriptor: int) -> bytes:
    return fcntl.ioctl(descriptor, GET_ATTRIBUTES, bytes(_ATTRIBUTES.size))


def _quotactl(descriptor: int, command: int, identity: int, limits: bytes) -> None:
    if _libc.syscall(SYS_QUOTACTL_FD, descriptor, command, identity, limits) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
