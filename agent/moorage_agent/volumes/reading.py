"""Reading a file that a pod's containers have left in one of its volumes. Blocking: call it from a thread."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from moorage_agent.volumes import mounts
from moorage_agent.volumes.sources import VolumeError

LARGEST = 2**20


def text_of(volume: Path, path: str) -> str | None:
    """A file below ``volume``, None where there is none. Opens nothing outside, and nothing that blocks. Raises VolumeError."""
    try:
        root = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        opened = mounts.open_beneath(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise VolumeError(f'file "{path}" cannot be read: {error.strerror}') from error
    finally:
        os.close(root)
    with open(opened, "rb") as file:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise VolumeError(f'file "{path}" cannot be read: it is no regular file')
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise VolumeError(f'file "{path}" cannot be read: it is larger than 1 MiB')
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise VolumeError(f'file "{path}" cannot be read: it is not UTF-8 text') from None
