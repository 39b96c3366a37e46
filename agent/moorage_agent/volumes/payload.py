"""Writes the files of a configMap, secret, downwardAPI or projected volume: readers see all of an update or none of it.

Layout, which programs rely on (kubelet's AtomicWriter): files live in a folder ``..TIMESTAMP``, ``..data`` is a symbolic
link to it, and every visible name is a link through ``..data``. An update makes a new folder and swaps ``..data`` by
rename(2).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

DATA = "..data"
READABLE = 0o440
"""What the group of a volume adds to its files' permissions."""
LISTABLE = 0o2550
"""What it adds to its folders': who makes something in them makes it for the group (the kubelet's ``volume_linux.go``)."""


class File(NamedTuple):
    """A file's contents, its permission bits, and the user that it belongs to (None: root)."""

    data: bytes
    mode: int
    user: int | None = None


def check_path(path: str) -> None:
    """Raises ValueError for a path that does not stay inside the volume."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or pure.parts[0].startswith(".."):
        raise ValueError(f'invalid path "{path}": must be relative and must not contain or start with ".."')


def write(folder: Path, files: Mapping[str, File], group: int | None = None) -> bool:
    """Make ``folder`` show ``files`` (path -> file). Returns whether anything changed. Raises OSError, ValueError."""
    for path in files:
        check_path(path)
    if os.geteuid() != 0:
        files, group = _open_to_all(files, group), None
    folder.mkdir(parents=True, exist_ok=True)
    current = folder / DATA
    if current.is_symlink() and _holds(current, files, READABLE if group is not None else 0):
        return False
    stamp = datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S.")
    fresh = Path(tempfile.mkdtemp(prefix=stamp, dir=folder))
    fresh.chmod(0o755)
    for path, file in files.items():
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(mode=0o600)
        target.write_bytes(file.data)
        if file.user is not None:
            os.chown(target, file.user, -1)
        target.chmod(file.mode)
    if group is not None:
        _give(fresh, group)
        _give_one(folder, group)
    old = os.readlink(current) if current.is_symlink() else ""
    _swap(folder, fresh.name)
    _link(folder, {PurePosixPath(path).parts[0] for path in files})
    if old:
        shutil.rmtree(folder / old, ignore_errors=True)
    return True


def _open_to_all(files: Mapping[str, File], group: int | None) -> dict[str, File]:
    """Nobody but root gives files away, to a user or to a group: what was meant for one, all of the container may read. The
    folders above keep the machine's other users out.
    """
    return {
        path: file if file.user is None and group is None else File(file.data, file.mode | 0o044)
        for path, file in files.items()
    }


def _holds(current: Path, files: Mapping[str, File], added: int) -> bool:
    """Whether the files are there as wanted; ``added`` are permissions that every one of them was given."""
    found = {
        str(path.relative_to(current)): path for path in current.rglob("*") if path.is_file() and not path.is_symlink()
    }
    return set(found) == set(files) and all(
        path.stat().st_mode & 0o7777 == files[name].mode | added and path.read_bytes() == files[name].data
        for name, path in found.items()
    )


def _swap(folder: Path, name: str) -> None:
    temporary = folder / f"{DATA}_tmp"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(name)
    temporary.rename(folder / DATA)


def _link(folder: Path, names: set[str]) -> None:
    """Make the visible names and take away those that are no longer wanted."""
    for name in names:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()


def _give(folder: Path, group: int) -> None:
    """Let ``group`` read: the group of ``securityContext.fsGroup``."""
    for root, folders, names in os.walk(folder):
        for name in (".", *folders, *names):
            _give_one(Path(root) / name, group)


def _give_one(path: Path, group: int) -> None:
    os.chown(path, -1, group)
    path.chmod(path.stat().st_mode & 0o7777 | (LISTABLE if path.is_dir() else READABLE))
