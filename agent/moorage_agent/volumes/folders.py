"""Folders of this node that are volumes of claims: ``DATA/claims/NAME``, made at first use, emptied when their volume says so.

Source of names: the platform's provisioner. Nothing that a user wrote is part of a path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moorage.resources.storage import home_of
from moorage_agent.pods.quantities import amount
from moorage_agent.volumes import mounts, quota
from moorage_agent.volumes.removal import remove_tree
from moorage_agent.volumes.sources import VolumeError

_NAME = re.compile(r"pvc-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_GOING = ".going-"


class Folders:
    """The folders of one node. Blocking: call it from a thread."""

    def __init__(self, data: Path) -> None:
        self._root = data / "claims"
        self._limits: dict[str, tuple[int, bool]] = {}

    def make(self, volume: Mapping[str, Any], node: str) -> Path:
        """The volume's folder, empty where it is new. Raises VolumeError, OSError."""
        home, name = home_of(dict(volume)), str(volume["spec"]["csi"]["volumeHandle"])
        if home != node:
            raise VolumeError(f'the volume is on node "{home}", and cannot be used on node "{node}"')
        if not _NAME.fullmatch(name):
            raise VolumeError(f'volumeHandle "{name}" is not a name that the provisioner gives')
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = self._root / name
        if not folder.is_dir():
            folder.mkdir(mode=0o777)
            folder.chmod(0o777)  # as that of an emptyDir: any user of a container may write
        if most := int(amount(str((volume["spec"].get("capacity") or {}).get("storage") or 0))):
            self.limit(name, most)
        return folder

    def place(self, name: str) -> Path:
        """Where the folder of a volume is. Raises OSError for what is no name of one."""
        if not _NAME.fullmatch(name):
            raise OSError(f'"{name}" is not a name that the provisioner gives')
        return self._root / name

    def has(self, name: str) -> bool:
        """Whether the volume has a folder here."""
        return bool(_NAME.fullmatch(name)) and (self._root / name).is_dir()

    def limit(self, name: str, size: int) -> bool:
        """Let the folder hold at most ``size`` bytes; False where the file system does not see to it. Raises OSError."""
        known = self._limits.get(name)
        if known is None or known[0] != size:
            known = size, quota.limit(self.place(name), size, quota.project_of(name))
            self._limits[name] = known
        return known[1]

    def remove(self, name: str) -> None:
        """Remove a folder with all that is in it. Raises OSError, also where something else is mounted in it."""
        if not _NAME.fullmatch(name):
            return
        self._limits.pop(name, None)
        for folder in (self._root / f"{_GOING}{name}", self._root / name):
            if mounts.mounted_below(folder):
                raise OSError(f"{folder}: something is mounted in it; left as it is")
            if not folder.is_dir():
                continue
            if not folder.name.startswith(_GOING):
                # A crash half-way leaves nothing that looks whole.
                folder = folder.rename(self._root / f"{_GOING}{name}")
            remove_tree(folder)
