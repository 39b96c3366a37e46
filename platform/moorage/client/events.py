"""Events about objects (``kubectl describe`` shows them): counted where they repeat, written in batches, never waited for.

Source: client-go's ``tools/record``: the same event again raises ``count`` and ``lastTimestamp``; of one source about one
object, 25 may come at once and then one each 300 s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from moorage.client import operations
from moorage.client.api import ApiClient
from moorage.client.errors import ClientError, Forbidden, NotFound, is_temporary
from moorage.client.objects import Document, timestamp
from moorage.client.resource import EVENTS

log = logging.getLogger(__name__)

REMEMBERED = 8192
"""How many different events are counted up rather than written anew."""
LONGEST_MESSAGE = 1024
BURST, REFILL = 25.0, 1 / 300.0
BATCH = 500
PENDING = 20_000
"""Events that may wait to be written; above that, new ones are dropped and the loss is logged."""

EARLY = 10.0
"""Seconds for which a refusal of everything is taken for one that passes."""

_Key = tuple[str, ...]


@dataclass(slots=True)
class _Known:
    """An event that was recorded before."""

    document: Document
    written: bool = False


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class EventRecorder:
    """Events of one ``component`` (on one ``host``). ``run`` writes them; ``record`` never blocks and never fails."""

    def __init__(
        self,
        client: ApiClient,
        component: str,
        *,
        host: str = "",
        pause: float = 0.2,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``pause`` is the seconds between a first event and the batch that carries it and what came meanwhile."""
        self._client = client
        self._source = {"component": component, "host": host} if host else {"component": component}
        self._pause = pause
        self._clock = clock
        self._known: OrderedDict[_Key, _Known] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._pending: dict[_Key, _Known] = {}
        self._wake = asyncio.Event()
        self._refused_since: float | None = None
        self.dropped = 0

    def record(self, about: Mapping[str, Any], kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Say that ``reason`` happened to the object ``about``."""
        metadata = about["metadata"]
        message = message[:LONGEST_MESSAGE]
        now = self._clock()
        uid = str(metadata.get("uid") or metadata["name"])
        key = (about.get("kind") or "", uid, about.get("fieldPath") or "", kind, reason, message)
        if not self._admitted(uid, now) or (len(self._pending) >= PENDING and key not in self._pending):
            self.dropped += 1
            return
        known = self._known.get(key)
        if known is None:
            known = _Known(self._event(about, kind, reason, message, now))
            self._known[key] = known
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
            known.document["count"] += 1
            known.document["lastTimestamp"] = timestamp(now)
        self._pending[key] = known
        self._wake.set()

    async def run(self) -> None:
        """Write what is recorded until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._pause)
            self._wake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write what is pending. Events that the server refuses are dropped: they must not hold up the others."""
        while self._pending:
            keys = list(self._pending)[:BATCH]
            batch = [self._pending.pop(key) for key in keys]
            try:
                outcome = await self._client.batch([_operation(known) for known in batch])
            except ClientError as error:
                if is_temporary(error) or self._is_early(error):
                    self._keep(keys, batch)
                    log.info("%d events wait: %s", len(self._pending), error)
                    return
                self.dropped += len(batch)
                log.warning("%d events lost: %s", len(batch), error)
                return
            self._refused_since = None
            for key, known, result in zip(keys, batch, outcome.results, strict=True):
                if result.ok:
                    known.written = True
                elif isinstance(result.error, NotFound) and known.written:
                    known.written = False  # it expired meanwhile
                    self._pending[key] = known
                else:
                    self._known.pop(key, None)
                    self.dropped += 1
                    log.debug("event lost: %s", result.error)

    def _is_early(self, error: ClientError) -> bool:
        """Whether the right to write events may not have been given yet: a new installation gives it while its parts start."""
        if not isinstance(error, Forbidden):
            return False
        now = self._clock()
        if self._refused_since is None:
            self._refused_since = now
        return now - self._refused_since < EARLY

    def _keep(self, keys: list[_Key], batch: list[_Known]) -> None:
        """Put back what an outage kept from being written: it is written with the next flush, which comes after a pause."""
        self._pending = {**dict(zip(keys, batch, strict=True)), **self._pending}
        self._wake.set()

    def _event(self, about: Mapping[str, Any], kind: str, reason: str, message: str, now: float) -> Document:
        metadata = about["metadata"]
        namespace = metadata.get("namespace") or "default"
        involved = {
            "apiVersion": about.get("apiVersion"),
            "kind": about.get("kind"),
            "namespace": metadata.get("namespace"),
            "name": metadata["name"],
            "uid": metadata.get("uid"),
            "resourceVersion": metadata.get("resourceVersion"),
            "fieldPath": about.get("fieldPath"),
        }
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{time.time_ns():x}", "namespace": namespace},
            "involvedObject": {field: value for field, value in involved.items() if value},
            "reason": reason,
            "message": message,
            "type": kind,
            "source": self._source,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._source.get("host", ""),
            "firstTimestamp": timestamp(now),
            "lastTimestamp": timestamp(now),
            "count": 1,
        }

    def _admitted(self, uid: str, now: float) -> bool:
        """Whether this object may have another event now (a token bucket for each)."""
        bucket = self._buckets.get(uid)
        if bucket is None:
            bucket = self._buckets[uid] = _Bucket(BURST, now)
            if len(self._buckets) > REMEMBERED:
                self._buckets.popitem(last=False)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.at) * REFILL)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def _operation(known: _Known) -> operations.Operation:
    document = known.document
    if not known.written:
        return operations.create(document)
    metadata = document["metadata"]
    change = {"count": document["count"], "lastTimestamp": document["lastTimestamp"]}
    return operations.patch(EVENTS, metadata["namespace"], metadata["name"], change)
