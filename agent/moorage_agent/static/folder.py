"""The folder of manifests, read when something in it changes. A look costs a ``stat`` for each file."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from moorage_agent.static.manifests import LARGEST, Manifest, ManifestError, read

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""(namespace, name) of a pod."""
_Stamp = tuple[int, int, int]


class Folder:
    """Manifests below ``path``, which may be one file too. ``complain`` gets (file, why) of each file that is no pod, once for
    each of its contents. Blocking.
    """

    def __init__(self, path: Path, node: str, clock: Callable[[], float], complain: Callable[[str, str], None]) -> None:
        self._path = path
        self._node = node
        self._clock = clock
        self._complain = complain
        self._stamps: dict[str, _Stamp] = {}
        self._good: dict[str, Manifest] = {}
        self._disputed: set[str] = set()

    def look(self) -> Mapping[Key, Manifest]:
        """The pods that the node is to run. A file that has become unreadable or wrong keeps the pod that it was: half of a file
        that is being written ends nothing. Raises OSError where the folder itself cannot be read.
        """
        stamps = {str(file): stamp for file in self._files() if (stamp := _stamp(file)) is not None}
        for name in set(self._good) - set(stamps):
            del self._good[name]
        for name, stamp in stamps.items():
            if self._stamps.get(name) != stamp:
                self._read(name)
        self._stamps = stamps
        return self._named()

    def _files(self) -> list[Path]:
        try:
            if not self._path.is_dir():
                return [self._path]
            return sorted(file for file in self._path.iterdir() if not file.name.startswith("."))
        except FileNotFoundError:
            return []

    def _read(self, name: str) -> None:
        before = self._good.get(name)
        try:
            with open(name, "rb") as file:
                found = read(file.read(LARGEST + 1), name, self._node, self._clock())
        except (ManifestError, OSError) as error:
            kept = "; the pod that it held before runs on" if before is not None else ""
            self._complain(name, f"{error}{kept}")
            return
        if before is None or before.digest != found.digest:
            self._good[name] = found

    def _named(self) -> Mapping[Key, Manifest]:
        found: dict[Key, Manifest] = {}
        disputed = set()
        for name, manifest in sorted(self._good.items()):
            metadata = manifest.pod["metadata"]
            key = metadata["namespace"], metadata["name"]
            if key in found:
                disputed.add(name)
                if name not in self._disputed:
                    self._complain(name, f"another file holds the pod {key[0]}/{key[1]} already")
            else:
                found[key] = manifest
        self._disputed = disputed
        return found


def _stamp(file: Path) -> _Stamp | None:
    """What changes with a file's content; None for what is no file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if stat.S_ISREG(found.st_mode) else None
