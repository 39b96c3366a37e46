"""Where volumes are kept that must not touch the disk: Secrets, tokens.

Root mounts a tmpfs in the agent's data directory. Others may not mount, and every pod has a token: they use a folder of their own
in ``/dev/shm``, which is a tmpfs on every Linux, and which is empty after a restart of the machine.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from pathlib import Path

from moorage_agent.volumes import mounts

_mounting = threading.Lock()
SHARED = Path("/dev/shm")  # noqa: S108 - a folder in it is used only where it is ours and closed to others


def place(data: Path) -> Path:
    """The folder for an agent with this data directory."""
    if os.geteuid() == 0:
        return data / "tmpfs"
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    return SHARED / f"moorage-{os.geteuid()}-{name}"


def prepare(folder: Path) -> None:
    """Have the folder. Raises OSError, also where somebody else made it."""
    if os.geteuid() == 0:
        # Volumes of several pods are made ready at once: a second mount would hide what the first one holds.
        with _mounting:
            mounts.tmpfs(folder)
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(1, "belongs to somebody else, or is open to others; remove it", str(folder))
