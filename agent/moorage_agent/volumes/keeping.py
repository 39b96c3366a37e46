"""Looks after the volumes that are folders of this node: their size, and their end.

A folder holds no more than its volume's capacity. Where the file system keeps project quotas the kernel sees to that; elsewhere
the folder is measured, and the pods that use one which holds too much are ended, as those with too full an emptyDir.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from moorage.client.errors import ClientError, NotFound
from moorage.client.informer import Informer
from moorage.client.resource import PERSISTENT_VOLUMES
from moorage.resources.storage import FOLDER_FINALIZER, HOME_FIELD, home_of, is_to_be_emptied
from moorage_agent.pods.quantities import amount
from moorage_agent.volumes import sources
from moorage_agent.volumes.disk import size

if TYPE_CHECKING:
    from moorage_agent.pods.node import Node

log = logging.getLogger(__name__)

LOOK = 5.0
"""Seconds between looks at the node's own volumes."""
SHARE = 50.0
"""A folder that takes a second to measure is measured every 50 seconds."""
GRACE = 1.0
"""Seconds that a pod has which is ended for too full a volume."""


class Pod(Protocol):
    """A pod as its worker knows it."""

    pod: Mapping[str, Any]

    def condemn(self, reason: str, message: str, grace: float) -> None:
        """End it for good."""
        ...


class Keeping:
    """One node's. ``run`` works until cancelled."""

    def __init__(self, node: Node, pods: Callable[[], Iterable[Pod]], *, interval: float = LOOK) -> None:
        self._node = node
        self._pods = pods
        self._folders = node.volumes.folders
        self._interval = interval
        self.name = node.identity.owner.node
        self.volumes = Informer(node.client, PERSISTENT_VOLUMES, fields={HOME_FIELD: self.name})
        self._due: dict[str, float] = {}

    async def run(self) -> None:
        """Follow the volumes and look after them. What fails is tried again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.volumes.run(), name="volumes informer")
            await self.volumes.wait_synced()
            while True:
                for volume in self.volumes:
                    try:
                        await self.look(volume)
                    except (ClientError, OSError) as error:
                        log.warning("volume %s: %s; trying again", volume["metadata"]["name"], error)
                await asyncio.sleep(self._interval)

    async def look(self, volume: Mapping[str, Any]) -> None:
        """Look after one volume. Raises ClientError, OSError."""
        handle = str(((volume["spec"].get("csi") or {}).get("volumeHandle")) or "")
        if home_of(dict(volume)) != self.name:
            return
        if is_to_be_emptied(dict(volume)):
            await self._end(volume, handle)
        elif await self._blocking(self._folders.has, handle):
            await self._measure(volume, handle)

    async def _end(self, volume: Mapping[str, Any], handle: str) -> None:
        """The folder goes first, if there ever was one: who finds no volume finds no data. The cache may lag behind somebody
        who keeps the data after all (by deleting the volume, or by giving it to another claim), so the API is asked.
        """
        name = volume["metadata"]["name"]
        try:
            volume = await self._node.client.get(PERSISTENT_VOLUMES, name)
            if not is_to_be_emptied(dict(volume)):
                return
            await self._blocking(self._folders.remove, handle)
            self._due.pop(handle, None)
            metadata = volume["metadata"]
            if FOLDER_FINALIZER in (metadata.get("finalizers") or ()):
                left = [each for each in metadata["finalizers"] if each != FOLDER_FINALIZER]
                known = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
                await self._node.client.patch(PERSISTENT_VOLUMES, name, {"metadata": {**known, "finalizers": left}})
            await self._node.client.delete(PERSISTENT_VOLUMES, name, uid=metadata["uid"])
        except NotFound:
            return
        log.info("volume %s is emptied and gone", handle)

    async def _measure(self, volume: Mapping[str, Any], handle: str) -> None:
        most = int(amount(str((volume["spec"].get("capacity") or {}).get("storage") or 0)))
        now = time.monotonic()
        if not most or await self._blocking(self._folders.limit, handle, most) or self._due.get(handle, 0.0) > now:
            return
        used = await self._blocking(size, self._folders.place(handle))
        took = time.monotonic() - now
        self._due[handle] = now + max(self._interval, SHARE * took)
        if used > most:
            self._refuse(volume)

    def _refuse(self, volume: Mapping[str, Any]) -> None:
        claim = volume["spec"].get("claimRef") or {}
        namespace, name = claim.get("namespace"), claim.get("name")
        text = volume["spec"]["capacity"]["storage"]
        message = f'Usage of the volume of claim "{name}" exceeds its capacity "{text}". '
        users = [
            one
            for one in self._pods()
            if one.pod["metadata"]["namespace"] == namespace and name in sources.claims(one.pod).values()
        ]
        for one in users:
            one.condemn("Evicted", message, GRACE)
        if users:
            about = {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"namespace": namespace, "name": name, "uid": claim.get("uid")},
            }
            remedy = "Let the claim grow, or remove what is not needed."
            self._node.recorder.record(about, "Warning", "VolumeTooFull", f"{message}{remedy}")

    async def _blocking(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._node.files, work, *arguments)
