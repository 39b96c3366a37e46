"""How much disk a folder takes."""

from __future__ import annotations

import os
from pathlib import Path


def size(folder: Path) -> float:
    """Bytes on disk of what is in a folder, its own file system only; what vanishes meanwhile counts nothing. Blocking."""
    try:
        device = folder.lstat().st_dev
    except OSError:
        return 0.0
    total, left = 0.0, [folder]
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    if found.st_dev == device:
                        total += found.st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            left.append(Path(entry.path))
        except OSError:
            continue
    return total
