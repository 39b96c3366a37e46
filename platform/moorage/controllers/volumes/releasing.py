"""Carries out what follows when a volume's claim is gone: tells failures, runs recyclers, gives up folders of lost nodes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from moorage.client import operations
from moorage.client.errors import NotFound
from moorage.client.events import EventRecorder
from moorage.client.informer import Informer
from moorage.client.objects import Document, key_of, uid_of
from moorage.client.operations import Operation
from moorage.client.reconcile import DONE, Outcome
from moorage.client.resource import NODES, PERSISTENT_VOLUMES, PODS, Resource
from moorage.controllers.volumes import binding, recycling
from moorage.controllers.volumes.reclaiming import give_up, why_not_reclaimed
from moorage.resources.storage import home_of, is_to_be_emptied

Write = Callable[[list[Operation | None]], Awaitable[Outcome]]
Live = Callable[[Resource, str, str], Awaitable[Document | None]]


class Releasing:
    """``write`` writes operations in one batch, ``live`` asks the API for an object."""

    def __init__(self, pods: Informer, nodes: Informer, events: EventRecorder, write: Write, live: Live) -> None:
        self._pods, self._nodes = pods, nodes
        self._events = events
        self._write, self._live = write, live

    async def reclaim(self, volume: Document) -> Outcome:
        """One step for a volume that is Released or Failed."""
        problem = why_not_reclaimed(volume)
        failed = (volume.get("status") or {}).get("phase") == "Failed"
        if problem is not None:
            return DONE if failed else await self._fail(volume, problem.reason, problem.message)
        if home_of(volume) and is_to_be_emptied(volume):
            return await self._of_a_folder(volume)
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Recycle" and not failed:
            return await self._recycle(volume)
        return DONE

    async def _fail(self, volume: Document, reason: str, message: str) -> Outcome:
        self._events.record(volume, "Warning", reason, message)
        return await self._write([binding.volume_phase(volume, "Failed", message)])

    async def _of_a_folder(self, volume: Document) -> Outcome:
        """Its node empties it, and then deletes it. Where there is no such node any more, there is nothing to wait for."""
        node = home_of(volume)
        if self._nodes.get("", node) is not None or await self._live(NODES, "", node) is not None:
            return DONE
        message = f'node "{node}" is gone, and the volume\'s data with it'
        self._events.record(volume, "Normal", "VolumeDelete", message)
        delete = operations.delete(PERSISTENT_VOLUMES, *key_of(volume), uid=uid_of(volume))
        return await self._write([give_up(volume), delete])

    async def _recycle(self, volume: Document) -> Outcome:
        where = recycling.name_of(volume)
        recycler = self._pods.get(*where) or await self._live(PODS, *where)
        if recycler is None:
            # The cache may lag behind an unbinding, or behind another claim that has the volume by now.
            now = await self._live(PERSISTENT_VOLUMES, *key_of(volume))
            if now is None or recycling.claim_of(now) != recycling.claim_of(volume) or not _is_released(now):
                return DONE
            self._events.record(
                volume, "Normal", "RecyclerPod", f"Recycler pod: {where.namespace}/{where.name} is made"
            )
            return await self._write([operations.create(recycling.pod(volume))])
        status = recycler.get("status") or {}
        if recycling.volume_of(recycler) != volume["metadata"]["name"]:
            message = f"Recycle failed: pod {where.namespace}/{where.name} is somebody else's"
            return await self._fail(volume, "VolumeFailedRecycle", message)
        gone = operations.delete(PODS, *where, uid=uid_of(recycler))
        if recycling.emptied_of(recycler) != recycling.claim_of(volume):
            return await self._write([gone])
        if status.get("phase") not in ("Succeeded", "Failed"):
            return DONE
        if status["phase"] == "Failed":
            message = f"Recycle failed: {status.get('message') or 'the recycler pod failed'}"
            outcome = await self._fail(volume, "VolumeFailedRecycle", message)
            return outcome if outcome != DONE else await self._write([gone])
        self._events.record(volume, "Normal", "VolumeRecycled", "Volume recycled")
        outcome = await self._write([binding.unbind(volume, whole=True)])
        return outcome if outcome != DONE else await self._write([gone])


def _is_released(volume: Document) -> bool:
    return (volume.get("status") or {}).get("phase") == "Released"


def is_gone(error: Exception | None) -> bool:
    """Whether what was to be written to, or deleted, is not there any more."""
    return isinstance(error, NotFound)
