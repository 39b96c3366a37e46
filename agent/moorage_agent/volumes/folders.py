"""Folders of this node that are volumes of claims: ``DATA/claims/NAME``, made at first use, emptied when their volume says so.

Source of names: the platform's provisioner. Nothing that a user wrote is part of a path.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moorage.client.errors import ClientError, Forbidden, NotFound
from moorage.client.resource import PERSISTENT_VOLUMES
from moorage.resources.storage import home_of, is_to_be_emptied
from moorage_agent.volumes import mounts
from moorage_agent.volumes.sources import VolumeError

if TYPE_CHECKING:
    from moorage_agent.pods.node import Node

log = logging.getLogger(__name__)

LOOK = 5.0
"""Seconds between looks at the volumes behind the folders."""
_NAME = re.compile(r"pvc-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_GOING = ".going-"


class Folders:
    """The folders of one node. Blocking: call it from a thread."""

    def __init__(self, data: Path) -> None:
        self._root = data / "claims"

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
        return folder

    def known(self) -> list[str]:
        """Names of the volumes that have a folder."""
        return sorted(each.name for each in self._root.iterdir()) if self._root.is_dir() else []

    def remove(self, name: str) -> None:
        """Remove a folder with all that is in it. Raises OSError, also where something else is mounted in it."""
        if not _NAME.fullmatch(name):
            return
        for folder in (self._root / f"{_GOING}{name}", self._root / name):
            if mounts.mounted_below(folder):
                raise OSError(f"{folder}: something is mounted in it; left as it is")
            if not folder.is_dir():
                continue
            if not folder.name.startswith(_GOING):
                folder = folder.rename(
                    self._root / f"{_GOING}{name}"
                )  # a crash half-way leaves nothing that looks whole
            shutil.rmtree(folder)


class Emptying:
    """Removes folders whose volumes were released and are not to be kept, and then the volumes."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._folders = node.volumes.folders

    async def run(self) -> None:
        """Look until cancelled. What fails is tried again."""
        while True:
            await asyncio.sleep(LOOK)
            for name in await self._blocking(self._folders.known):
                try:
                    await self._look(name.removeprefix(_GOING))
                except (ClientError, OSError) as error:
                    log.warning("volume %s: %s; trying again", name, error)

    async def _look(self, name: str) -> None:
        try:
            volume = await self._node.client.get(PERSISTENT_VOLUMES, name)
        except (NotFound, Forbidden):
            return  # somebody deleted the volume by hand: its data is theirs to delete, too
        if home_of(volume) != self._node.identity.owner.node or not is_to_be_emptied(volume):
            return
        await self._blocking(self._folders.remove, name)
        await self._node.client.delete(PERSISTENT_VOLUMES, name, uid=volume["metadata"]["uid"])
        log.info("volume %s is emptied and gone", name)

    async def _blocking(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._node.files, work, *arguments)
