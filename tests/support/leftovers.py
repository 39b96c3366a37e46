"""Folders of tests whose process was killed before it could clean up: what they made in the kernel goes with them.

A folder says who made it. The next test of the same sort, of whatever run, removes those whose maker is dead.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from moorage.supervisor.process_table import ProcessId
from moorage_agent.network.names import names

OWNER, CLAIMED = "made-by", "removed-by"


@contextlib.contextmanager
def marked_folder(prefix: str, remove: Callable[[Path], object]) -> Iterator[Path]:
    """A fresh folder for temporary files. Those of dead makers go first, after ``remove`` took away what they hold."""
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        if _claim(left):
            remove(left)
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        own = ProcessId.of(os.getpid())
        (Path(name) / OWNER).write_text(f"{own.pid} {own.started}", "ascii")
        yield Path(name)


def links_of(data: Path) -> list[str]:
    """How the names of the links begin that the nodes of an installation (or one node alone) made in the machine's network."""
    found = []
    for file in (data / "identity.json", *(data / "agents").glob("*/identity.json")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            known = json.loads(file.read_text("utf-8"))
            found.append(names(known["cluster"], known["node"]).gateway[:-1])
    return found


def still_there(beginnings: list[str]) -> list[str]:
    """Links of the machine whose names begin so."""
    return [name for name in os.listdir("/sys/class/net") if name.startswith(tuple(beginnings))] if beginnings else []


def _claim(folder: Path) -> bool:
    """Whether a folder's maker is dead, and nobody else is at removing it."""
    try:
        words = (folder / OWNER).read_text("ascii").split()
        if ProcessId(int(words[0]), int(words[1])).alive:
            return False
        (folder / OWNER).rename(folder / CLAIMED)
    except (OSError, ValueError, IndexError):
        return False  # another one is at it, or has just made it
    return True
