"""Writes pods' status to the API: the newest of each pod only, those of many pods in one request, again until the API took it.

Pods run on while the API is away; when it is back, one patch per pod brings it up to date.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moorage.client import operations
from moorage.client.api import ApiClient
from moorage.client.errors import BadRequest, ClientError, Invalid, NotFound, TooLarge
from moorage.client.resource import PODS
from moorage_agent.waiting import happened

log = logging.getLogger(__name__)

Document = dict[str, Any]

_FINAL = (NotFound, BadRequest, Invalid, TooLarge)
"""Refusals that the same status would meet again. All others pass: an outage, a race, a token that is being replaced."""
FIRST_DELAY, LAST_DELAY = 0.2, 15.0
MOST = 100
"""Pods in one request."""


@dataclass(slots=True)
class _Pod:
    namespace: str
    name: str
    written: Mapping[str, Any]
    """What the API has, as far as we know."""
    wanted: Document | None = None


class StatusWriter:
    """The status of all pods of a node. ``run`` writes; ``submit`` never blocks."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._pods: dict[str, _Pod] = {}
        self._wake = asyncio.Event()
        self._again = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.writes = 0
        """Patches that the API took."""

    def submit(self, pod: Mapping[str, Any], status: Document) -> None:
        """Have ``status`` written, unless the API has just that already."""
        metadata = pod["metadata"]
        entry = self._pods.get(metadata["uid"])
        if entry is None:
            entry = _Pod(metadata["namespace"], metadata["name"], pod.get("status") or {})
            self._pods[metadata["uid"]] = entry
        entry.wanted = status
        if difference(entry.written, status):
            self._idle.clear()
            self._wake.set()

    def forget(self, uid: str) -> None:
        """The pod is no more."""
        self._pods.pop(uid, None)

    async def settled(self, timeout: float) -> bool:
        """Wait until nothing is left to write, for at most ``timeout`` seconds; returns whether that is so."""
        return await happened(self._idle, timeout)

    async def run(self) -> None:
        """Write until cancelled."""
        delay = FIRST_DELAY
        while True:
            await self._wake.wait()
            self._wake.clear()
            if await self._flush():
                delay = FIRST_DELAY
                continue
            self._again.clear()
            await happened(self._again, delay)
            delay = min(delay * 2, LAST_DELAY)
            self._wake.set()

    def try_again(self) -> None:
        """The API answers again: what could not be written is not left waiting for its next turn."""
        self._again.set()

    async def _flush(self) -> bool:
        """Write what differs. Returns False where something must be tried again later."""
        fine = True
        while True:
            due = self._due()[:MOST]
            if not due:
                self._idle.set()
                return fine
            try:
                results = await self._send(due)
            except ClientError as error:
                log.warning("status of %d pods not written, trying on: %s", len(due), error)
                return False
            for (uid, wanted, _), refusal in zip(due, results, strict=True):
                fine = self._answered(uid, wanted, refusal) and fine
            if not fine:
                return False

    def _answered(self, uid: str, wanted: Document, refusal: ClientError | None) -> bool:
        """Take note of the answer for one pod. Returns False where it must be written again."""
        entry = self._pods.get(uid)
        if entry is None:
            return True
        if refusal is not None:
            if not isinstance(refusal, NotFound):
                log.warning("status of pod %s/%s: %s", entry.namespace, entry.name, refusal)
            if not isinstance(refusal, _FINAL):
                return False
        else:
            self.writes += 1
        entry.written = wanted  # also where it was refused for good: the same again would be refused again
        return True

    def _due(self) -> list[tuple[str, Document, Document]]:
        """(uid, status, what to patch) of every pod whose status is not written."""
        result = []
        for uid, entry in self._pods.items():
            if entry.wanted is not None:
                change = difference(entry.written, entry.wanted)
                if change:
                    result.append((uid, entry.wanted, change))
        return result

    async def _send(self, due: list[tuple[str, Document, Document]]) -> list[ClientError | None]:
        patches = [{"metadata": {"uid": uid}, "status": change} for uid, _, change in due]
        pods = [self._pods[uid] for uid, _, _ in due]
        if len(due) == 1:
            try:
                await self._client.patch(
                    PODS, pods[0].name, patches[0], pods[0].namespace, kind="strategic", subresource="status"
                )
            except ClientError as error:
                return [error]
            return [None]
        members = [
            operations.patch(
                PODS,
                pod.namespace,
                pod.name,
                patch,
                subresource="status",
                patch_type=operations.STRATEGIC_PATCH,
            )
            for pod, patch in zip(pods, patches, strict=True)
        ]
        return [result.error for result in (await self._client.batch(members)).results]


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Document:
    """A strategic merge patch from ``old`` to ``new``: changed fields, null for fields that are gone, and for lists that
    merge by key (conditions, addresses) what is new, with null for its fields that are gone, and an order to delete what is
    gone.
    """
    change: Document = {}
    for field, value in new.items():
        before = old.get(field)
        if before == value:
            continue
        if field in _KEYS:
            merged = _list_difference(_KEYS[field], before or [], value)
            if merged:
                change[field] = merged
        else:
            change[field] = value
    change.update({field: None for field in _OURS if field in old and field not in new})
    return change


_KEYS = {"conditions": "type", "hostIPs": "ip", "podIPs": "ip"}
_PASSING = {"PodResizePending", "PodResizeInProgress"}
"""Conditions that only we write and that go away."""
_OURS = ("podIP", "podIPs", "reason", "message", "initContainerStatuses")
"""Fields that only we write and that may go away."""


def _list_difference(key: str, old: list[Document], new: list[Document]) -> list[Document]:
    before = {entry[key]: entry for entry in old}
    changed = [
        {**dict.fromkeys(before.get(entry[key]) or ()), **entry} for entry in new if before.get(entry[key]) != entry
    ]
    gone = set(before) - {entry[key] for entry in new}
    if key == "type":  # conditions of others are not ours to delete
        gone &= _PASSING
    return changed + [{"$patch": "delete", key: name} for name in sorted(gone)]
