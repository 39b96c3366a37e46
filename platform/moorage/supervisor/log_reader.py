"""Reads the installation's log: last lines, one part's lines, what comes next."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

POLL = 0.2


def read_lines(path: Path, *, part: str = "", tail: int = -1, follow: bool = False) -> Iterator[str]:
    """Lines with their ends; the last ``tail`` ones first (-1: all of the file), then for ever with ``follow``."""
    file: TextIO = path.open(encoding="utf-8", errors="replace")
    try:
        kept = deque((line for line in file if _is_of(line, part)), maxlen=None if tail < 0 else tail)
        yield from kept
        while follow:
            line = file.readline()
            if line:
                if _is_of(line, part):
                    yield line
                continue
            time.sleep(POLL)
            file = _reopened(file, path)
    finally:
        file.close()


def _is_of(line: str, part: str) -> bool:
    return not part or line.split(" ", 2)[1:2] == [part]


def _reopened(file: TextIO, path: Path) -> TextIO:
    """The new file where the log was rotated."""
    try:
        if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
            return file
    except FileNotFoundError:
        return file
    file.close()
    return path.open(encoding="utf-8", errors="replace")
