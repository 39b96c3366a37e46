"""Values that must not be found: planted under names, and looked for in every form in which bytes travel."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

_AROUND = 40


class Canaries:
    """All values share a random word, so that one search finds any of them."""

    def __init__(self) -> None:
        self.word = f"canary{secrets.token_hex(6)}"
        self._needles = tuple(forms(self.word.encode()))

    def value(self, way: str) -> str:
        """The value that is planted on this way."""
        return f"{self.word}-{way}"

    def holds(self, data: bytes) -> bool:
        """Whether a value is in ``data``."""
        return any(needle in data for needle in self._needles)

    def shown(self, data: bytes) -> list[str]:
        """What stands around each value in ``data``; for messages."""
        places = [(data.find(needle), len(needle)) for needle in self._needles if needle in data]
        return [repr(data[max(0, at - _AROUND) : at + size + _AROUND]) for at, size in places]

    def in_files(self, root: Path) -> dict[Path, list[str]]:
        """The files below ``root`` that hold a value, and what stands around it."""
        found = {path: path.read_bytes() for path in files(root)}
        return {path: self.shown(data) for path, data in found.items() if self.holds(data)}


def forms(word: bytes) -> Iterator[bytes]:
    """``word`` as it is, in hexadecimal digits, as it stands in the base64 of a longer text, and in the base64 of that."""
    yield word
    yield word.hex().encode()
    yield word.hex().upper().encode()
    once = list(_in_base64(word))
    yield from once
    for each in once:
        yield from _in_base64(each)


def _in_base64(word: bytes) -> Iterator[bytes]:
    """The part of the base64 of ``... + word + ...`` that the neighbours do not change, for each offset of ``word``."""
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + word)
        # Digits that also hold bits of what stands before or behind the word.
        yield encoded[(0, 2, 3)[offset] : len(encoded) - 4]


def files(root: Path) -> Iterator[Path]:
    """Every file below ``root`` on disk: what is mounted there (memory of pods) is not."""
    device = root.stat().st_dev
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if (Path(folder) / name).lstat().st_dev == device]
        for name in names:
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield path


def processes(*parts: str) -> Iterator[tuple[str, bytes]]:
    """(process id, contents) of /proc/PID/``part`` for every process that is not in a container."""
    ours = os.readlink("/proc/self/ns/pid")
    for entry in Path("/proc").glob("[0-9]*"):
        for part in parts:
            try:
                if os.readlink(entry / "ns" / "pid") == ours:
                    yield entry.name, (entry / part).read_bytes()
            except OSError:
                continue


def unpacked(repositories: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    """(repository, contents of all of its objects): packs are compressed."""
    for repository in repositories:
        done = subprocess.run(
            ["git", f"--git-dir={repository}", "cat-file", "--batch-all-objects", "--batch", "--unordered"],
            capture_output=True,
            check=True,
        )
        yield repository, done.stdout
