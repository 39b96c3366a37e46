"""Mirrors: pods of the API that show what a node runs from its files. Made, made again where somebody deleted them, and removed
with the static pod. Nothing here holds up the pods themselves.

Source: ``pkg/kubelet/pod/mirror_client.go``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from typing import Any

from moorage.client.api import ApiClient
from moorage.client.errors import AlreadyExists, ClientError, Conflict, NotFound
from moorage.client.resource import PODS
from moorage.resources.core.pods.prepare import MIRROR
from moorage_agent.waiting import happened

log = logging.getLogger(__name__)

Document = Mapping[str, Any]
Key = tuple[str, str]

AGAIN = 5.0
"""Seconds after which what the API refused is tried again."""


def is_mirror(pod: Document) -> bool:
    """Whether a pod of the API only shows a static one."""
    return MIRROR in (pod["metadata"].get("annotations") or {})


def of(pod: Document, node: str, node_uid: str) -> dict[str, Any]:
    """The mirror of a static pod, as the API is asked to store it."""
    mirror = deepcopy({key: pod[key] for key in ("metadata", "spec")})
    metadata = mirror["metadata"]
    for field in ("resourceVersion", "creationTimestamp", "generation"):
        metadata.pop(field, None)
    metadata["annotations"][MIRROR] = metadata.pop("uid")
    owner = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": node_uid, "controller": True}
    metadata["ownerReferences"] = [owner]
    return {"apiVersion": "v1", "kind": "Pod", **mirror}


class Mirrors:
    """One node's. ``wanted`` gives the static pods that run or end, by name; ``node_uid`` the Node's uid, "" while the API has
    none; ``shown`` is told which mirror a static pod has (key, None for none).
    """

    def __init__(
        self,
        client: ApiClient,
        node: str,
        wanted: Callable[[], Mapping[Key, Document]],
        node_uid: Callable[[], str],
        shown: Callable[[Key, Document | None], None],
    ) -> None:
        self._client = client
        self._node = node
        self._wanted = wanted
        self._node_uid = node_uid
        self._shown = shown
        self._seen: dict[Key, Document] = {}
        self._wake = asyncio.Event()

    def changed(self, old: Document | None, new: Document | None) -> None:
        """A pod bound to this node was added, changed or deleted in the API."""
        document = new or old
        assert document is not None
        if not is_mirror(document):
            return
        key = document["metadata"]["namespace"], document["metadata"]["name"]
        if new is None:
            self._seen.pop(key, None)
        else:
            self._seen[key] = new
        self._show(key)
        self.wake()

    def wake(self) -> None:
        """The static pods have changed."""
        self._wake.set()

    def follow(self, key: Key) -> None:
        """A static pod has begun: it may have a mirror already."""
        self._show(key)
        self.wake()

    def _show(self, key: Key) -> None:
        mirror, pod = self._seen.get(key), self._wanted().get(key)
        self._shown(key, mirror if mirror is not None and pod is not None and _is_of(mirror, pod) else None)

    async def run(self, *known: Callable[[], Awaitable[Any]]) -> None:
        """Keep them, once all of ``known`` have returned (what the API has, what the folder holds), until cancelled."""
        for each in known:
            await each()
        while True:
            again = not await self._settle_all()
            await happened(self._wake, AGAIN if again else None)
            self._wake.clear()

    async def _settle_all(self) -> bool:
        """Returns False where something must be tried again."""
        fine = True
        for key in sorted({*self._wanted(), *self._seen}):
            try:
                fine = await self._settle(key) and fine
            except ClientError as error:
                log.warning("mirror of static pod %s/%s: %s", *key, error)
                fine = False
        return fine

    async def _settle(self, key: Key) -> bool:
        pod, mirror = self._wanted().get(key), self._seen.get(key)
        if mirror is not None:
            if pod is None or not _is_of(mirror, pod) or mirror["metadata"].get("deletionTimestamp"):
                await self._delete(key, mirror)
            return True
        if pod is None:
            return True
        uid = self._node_uid()
        if not uid:
            return False
        try:
            await self._client.create(PODS, of(pod, self._node, uid))
        except AlreadyExists:
            if key in self._seen:
                return True
            log.warning("static pod %s/%s has no mirror: the API has another pod of this name", *key)
            return False
        return True

    async def _delete(self, key: Key, mirror: Document) -> None:
        try:
            await self._client.delete(PODS, key[1], key[0], uid=mirror["metadata"]["uid"], grace_seconds=0)
        except (NotFound, Conflict):
            return  # it is gone, or another one: the watch tells


def _is_of(mirror: Document, pod: Document) -> bool:
    return bool(mirror["metadata"]["annotations"].get(MIRROR) == pod["metadata"]["uid"])
