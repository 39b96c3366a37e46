"""Removing what pods have left, however deep they have nested it.

``shutil.rmtree`` calls itself for each level (in Python 3.11): a pod that nests a thousand folders would end its caller. Here
each folder is brought up to the top before it is looked into, so depth and open descriptors stay the same.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(folder: Path) -> None:
    """Remove ``folder`` with all that is in it; nothing where it is not there. Follows no link. Raises OSError. Blocking."""
    try:
        top = os.open(folder, _OPEN)
    except FileNotFoundError:
        return
    prefix = secrets.token_hex(8)
    names = (f".{prefix}.{number}" for number in itertools.count())
    try:
        while _sweep(top, names):
            continue
    finally:
        os.close(top)
    folder.rmdir()


def _sweep(top: int, names: Iterator[str]) -> bool:
    """Go once through what is in ``top``; whether anything was."""
    found = False
    with os.scandir(top) as entries:
        for entry in entries:
            found = True
            if entry.is_dir(follow_symlinks=False):
                _flatten(top, entry.name, names)
            else:
                os.unlink(entry.name, dir_fd=top)
    return found


def _flatten(top: int, name: str, names: Iterator[str]) -> None:
    """Bring the folders of a folder of ``top`` up to it, and remove the rest."""
    here = os.open(name, _OPEN, dir_fd=top)
    try:
        with os.scandir(here) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    os.rename(entry.name, next(names), src_dir_fd=here, dst_dir_fd=top)
                else:
                    os.unlink(entry.name, dir_fd=here)
    finally:
        os.close(here)
    try:
        os.rmdir(name, dir_fd=top)
    except OSError as error:
        # A file system may leave out entries while others go: the next sweep finds them.
        if error.errno != errno.ENOTEMPTY:
            raise


def try_to_remove(folder: Path) -> None:
    """The same; what cannot be removed now stays for the next time."""
    with contextlib.suppress(OSError):
        remove_tree(folder)
