"""mount(2), umount2(2) and openat2(2), which Python's ``os`` does not have. Linux only; mounts need root."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_SHARED = 1, 2, 4, 8, 32, 4096, 1 << 20
MS_REC = 1 << 14
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
SYS_MOUNT_SETATTR = 442
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
MOUNT_ATTR_RDONLY = 1
SYS_OPENAT2 = 437
"""The same number on every architecture (openat2(2), since Linux 5.6)."""
RESOLVE_NO_MAGICLINKS, RESOLVE_BENEATH = 0x02, 0x08

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _Attributes(ctypes.Structure):
    """``struct mount_attr``."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def open_beneath(folder: int, path: str, flags: int = os.O_PATH) -> int:
    """Open ``path`` below the folder ``folder`` (a descriptor). Symbolic links are followed, but no step may lead out of
    the folder: such a path raises OSError EXDEV, whoever changes links meanwhile.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    result: int = _libc.syscall(
        SYS_OPENAT2, folder, os.fsencode(path), ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
    )
    if result < 0:
        raise _error(path)
    return result


def make_beneath(folder: int, path: str, mode: int = 0o755) -> int:
    """As ``open_beneath``, but makes missing folders on the way, with exactly these permissions (the umask takes none away).
    The last one may be a file that is there.
    """
    current = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    done = ""
    try:
        for part in Path(path).parts:
            done = f"{done}/{part}" if done else part
            try:
                following = open_beneath(folder, done)
            except FileNotFoundError:
                made = False
                with contextlib.suppress(FileExistsError):  # another container of the pod made it meanwhile
                    os.mkdir(part, 0o700, dir_fd=current)  # mkdirat(2) follows no link in its last step
                    made = True
                following = open_beneath(folder, done)
                if made and stat.S_ISDIR(os.fstat(following).st_mode):
                    os.chmod(f"/proc/self/fd/{following}", mode)
            os.close(current)
            current = following
        return os.dup(current)
    finally:
        os.close(current)


def bind(source: int, target: Path, *, recursive: bool = False) -> None:
    """Mount the opened file or folder ``source`` at ``target``, which is made to fit; ``recursive``: with what is mounted in
    it. Raises OSError.
    """
    if stat.S_ISDIR(os.fstat(source).st_mode):
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    mount(f"/proc/self/fd/{source}", target, "", MS_BIND | (MS_REC if recursive else 0), "")


def tmpfs(target: Path, *, size: int = 0, mode: int = 0o700) -> None:
    """Mount an empty memory file system at ``target`` unless one is there. ``size`` in bytes, 0: half of the memory."""
    target.mkdir(parents=True, exist_ok=True)
    if os.path.ismount(target):
        return
    options = f"mode={mode:o}" + (f",size={size}" if size else "")
    mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, options)


def share(target: Path) -> None:
    """Make ``target`` a mount whose further mounts are seen where it is mounted, too (mount_namespaces(7), MS_SHARED)."""
    if target not in mounted_below(target):
        mount(str(target), target, "", MS_BIND | MS_REC, "")
    mount("", target, "", MS_SHARED, "")


def layers(folders: Sequence[str], target: Path) -> None:
    """Show image layers, the uppermost first, at ``target``: for reading only, and nothing in it can be run."""
    target.mkdir(parents=True, exist_ok=True)
    if len(folders) == 1:
        mount(folders[0], target, "", MS_BIND, "")  # an overlay needs two
    else:
        mount("overlay", target, "overlay", MS_RDONLY, "lowerdir=" + ":".join(folders))
    mount("", target, "", MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOEXEC | MS_NOSUID | MS_NODEV, "")


def huge_pages(target: Path, page: int) -> None:
    """Mount a file system of huge pages of ``page`` bytes at ``target`` unless one is there."""
    target.mkdir(parents=True, exist_ok=True)
    if not os.path.ismount(target):
        mount("nodev", target, "hugetlbfs", 0, f"pagesize={page}")


def lock(target: Path) -> None:
    """Make the mount ``target`` and every mount below it read-only, at once and for good (mount_setattr(2))."""
    if _set_attributes(AT_FDCWD, os.fsencode(target), AT_RECURSIVE, _Attributes(MOUNT_ATTR_RDONLY, 0, 0, 0)) < 0:
        raise _error(str(target))


def can_lock() -> bool:
    """Whether ``lock`` works here: it needs root, and Linux 5.12."""
    return os.geteuid() == 0 and _knows_attributes()


@functools.cache
def _knows_attributes() -> bool:
    # A call that changes nothing: an old kernel does not know it, a new one says that there is no such file.
    _set_attributes(AT_FDCWD, b"", 0, _Attributes(MOUNT_ATTR_RDONLY, 0, 0, 0))
    return ctypes.get_errno() != errno.ENOSYS


def _set_attributes(folder: int, path: bytes, flags: int, attributes: _Attributes) -> int:
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    result: int = _libc.syscall(SYS_MOUNT_SETATTR, folder, path, flags, ctypes.byref(attributes), size)
    return result


def unmount(target: Path) -> None:
    """Take a mount away, even while it is in use; nothing where there is none. Raises OSError."""
    # os.path.ismount does not see bind mounts within one file system, so the kernel is asked by trying.
    failed = _libc.umount2(os.fsencode(target), MNT_DETACH | UMOUNT_NOFOLLOW) < 0
    if failed and ctypes.get_errno() not in (errno.EINVAL, errno.ENOENT):
        raise _error(str(target))


def mounted_below(folder: Path) -> list[Path]:
    """Mount points at and below ``folder``, innermost first."""
    prefix = str(folder)
    found = []
    for line in os.fsdecode(Path("/proc/self/mountinfo").read_bytes()).splitlines():
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), line.split(" ")[4])
        if point == prefix or point.startswith(prefix + "/"):
            found.append(Path(point))
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def mount(source: str, target: Path, kind: str, flags: int, options: str) -> None:
    """mount(2). Raises OSError."""
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    if result < 0:
        raise _error(str(target))


def _error(path: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path)
