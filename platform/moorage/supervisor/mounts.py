"""What is mounted below a directory (agents mount memory for secrets there), and how it is let go of before a deletion."""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

from moorage.supervisor.layout import SetupError

MNT_DETACH = 2
_OCTAL = re.compile(r"\\([0-7]{3})")


def mounts_below(root: Path) -> list[Path]:
    """Mount points below ``root``, the innermost first (proc(5), mountinfo)."""
    real = root.resolve()
    found = []
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        path = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), line.split()[4]))
        if path != real and path.is_relative_to(real):
            found.append(path)
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def unmount_below(root: Path) -> None:
    """Detach everything that is mounted below ``root``. Raises SetupError."""
    libc = ctypes.CDLL(None, use_errno=True)
    for path in mounts_below(root):
        if libc.umount2(os.fsencode(path), MNT_DETACH) != 0:
            reason = os.strerror(ctypes.get_errno())
            raise SetupError(f"{path} cannot be unmounted: {reason}; unmount it by hand and try again")
