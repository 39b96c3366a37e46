"""hostPath volumes are checked, or made, by their type. Source: API reference, ``HostPathVolumeSource``."""

from __future__ import annotations

import stat
from pathlib import Path

from moorage_agent.volumes.sources import VolumeError

_TESTS = {
    "Directory": (stat.S_ISDIR, "directory"),
    "File": (stat.S_ISREG, "file"),
    "Socket": (stat.S_ISSOCK, "socket file"),
    "CharDevice": (stat.S_ISCHR, "character device"),
    "BlockDevice": (stat.S_ISBLK, "block device"),
}


def make(path: Path, kind: str) -> None:
    """Check or make ``path``. "" makes a missing folder, as container runtimes do. Raises VolumeError, OSError."""
    if kind in ("", "DirectoryOrCreate"):
        if not path.exists():
            path.mkdir(parents=True, mode=0o755)
        elif kind and not path.is_dir():
            raise VolumeError(f"hostPath type check failed: {path} is not a directory")
    elif kind == "FileOrCreate":
        if not path.exists():
            path.touch(mode=0o644)
        elif not path.is_file():
            raise VolumeError(f"hostPath type check failed: {path} is not a file")
    else:
        test, word = _TESTS.get(kind, (None, kind))
        if test is None or not path.exists() or not test(path.stat().st_mode):
            raise VolumeError(f"hostPath type check failed: {path} is not a {word}")
