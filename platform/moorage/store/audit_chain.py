"""A server's own chain of the audit: reads of secrets, refusals, and whatever else leaves no revision.

A record is queued and never waited for; a task chains what has gathered and writes it, without any lock. What is in the
database is told to the chain of commits with this server's next commit (``anchor``), so that its end cannot be cut off
unnoticed. Rows that could not be queued are counted, and the chain says how many are missing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import psycopg

from moorage.store.audit_hash import chained, first, row_digest, stamp
from moorage.store.contracts import Unavailable
from moorage.store.database import FIRST_PAUSE, LONGEST_PAUSE, Readers
from moorage.store.partitions import make_audit_partition
from moorage.store.wire import bytea_array, text_array

log = logging.getLogger("moorage.store.audit")

QUEUED = 20_000
"""Records that may wait for a database that is away."""
AT_ONCE = 500
GATHER = 0.1
"""Seconds in which records gather before they are written."""
ANCHOR_EVERY = 1.0
REMEMBERED = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

INSERT = """
INSERT INTO audit (at, chain, seq, server, request_id, actor, verb, storage_group, resource, subresource, namespace, name,
                   source_commit, allowed, code, revision, detail, hash)
SELECT u.at, %s, u.seq, %s, u.request_id, u.actor, u.verb, u.storage_group, u.resource, u.subresource, u.namespace, u.name,
       u.source_commit, u.allowed, u.code, 0, u.detail::json, u.hash
FROM unnest(%s::timestamptz[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::text[], %s::text[], %s::text[], %s::boolean[], %s::integer[], %s::text[], %s::bytea[])
    AS u(at, seq, request_id, actor, verb, storage_group, resource, subresource, namespace, name, source_commit, allowed,
         code, detail, hash)
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What happened. ``at`` is seconds since the epoch; ``detail`` is what the other fields have no room for, as JSON values."""

    at: float
    actor: str
    verb: str
    allowed: bool
    code: int
    request_id: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    source_commit: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


_TEXTS = ("actor", "verb", "request_id", "group", "resource", "subresource", "namespace", "name", "source_commit")
LONGEST_TEXT = 1024


@dataclass(frozen=True, slots=True)
class _Row:
    at: datetime
    seq: int
    record: AuditRecord
    detail: str
    hash: bytes


def _storable(record: AuditRecord) -> AuditRecord:
    texts: dict[str, Any] = {each: _text(getattr(record, each)) for each in _TEXTS}
    return replace(record, **texts, detail={key: _value(value) for key, value in record.detail.items()})


def _text(text: str) -> str:
    """``text`` without U+0000 and lone surrogates, which clients may put into paths and bodies; not longer than any name."""
    if not text.isprintable():
        text = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    return text[:LONGEST_TEXT]


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    return [_value(each) for each in value] if isinstance(value, list | tuple) else value


class AuditChain:
    """``record`` may be called from the event loop at any time; ``run`` writes."""

    def __init__(self, readers: Readers, server: str) -> None:
        self.server = server
        self.name = server
        """The chain's name: this process, and the epoch of revisions after the first."""
        self._readers = readers
        self._cluster = ""
        self._queue: deque[AuditRecord] = deque()
        self._pending: list[_Row] = []
        self._missing = self._lost = 0
        self._seq, self._head, self._micros = 0, b"", 0
        self._written = (0, b"")
        self._anchored = 0
        self._anchored_at = 0.0
        self._committed: OrderedDict[str, None] = OrderedDict()
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()

    def begin(self, cluster: str, epoch: int) -> None:
        """Begin a chain: with the process, and where the database goes on from another point of history."""
        self._cluster = cluster
        self.name = self.server if epoch == 1 else f"{self.server}#{epoch}"
        self._queue.extendleft(row.record for row in reversed(self._pending))
        self._pending = []
        self._seq, self._head = 0, first(cluster, self.name)
        self._written, self._anchored = (0, self._head), 0

    def record(self, record: AuditRecord) -> None:
        """Queue a row. What no text in PostgreSQL can hold is replaced: a row that cannot be written would stop all after it."""
        if len(self._queue) >= QUEUED:
            self._missing += 1
            self._lost += 1
            return
        self._queue.append(_storable(record))
        self._wake.set()

    def backlog(self) -> tuple[int, int]:
        """How many rows wait to be written, and how many could not be kept since the process began."""
        return len(self._queue) + len(self._pending), self._lost

    def committed(self, request_id: str) -> None:
        """Remember that a request has its row in the chain of commits."""
        if request_id:
            self._committed[request_id] = None
            if len(self._committed) > REMEMBERED:
                self._committed.popitem(last=False)

    def is_committed(self, request_id: str) -> bool:
        """Whether a request of a moment ago has its row in the chain of commits."""
        return request_id in self._committed

    def anchor(self) -> bytes | None:
        """The head of what is written, for the next commit to tell; None where that tells nothing new yet."""
        seq, head = self._written
        if seq <= self._anchored or time.monotonic() - self._anchored_at < ANCHOR_EVERY:
            return None
        return orjson.dumps({"chain": self.name, "seq": seq, "hash": head.hex()})

    def anchored(self, anchor: bytes) -> None:
        """The anchor was committed."""
        told = orjson.loads(anchor)
        if told["chain"] == self.name:
            self._anchored, self._anchored_at = told["seq"], time.monotonic()

    async def run(self) -> None:
        """Write what is queued, until cancelled."""
        pause = GATHER
        while True:
            await self._wake.wait()
            await asyncio.sleep(pause)
            self._wake.clear()
            try:
                await self.flush()
                pause = GATHER
            except Unavailable as error:
                log.warning("the audit waits for the database: %s", error, extra={"action": "audit"})
                self._wake.set()
                pause = min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)

    async def flush(self) -> None:
        """Write what is queued by now. Raises Unavailable; then it is kept for the next time."""
        async with self._writing:
            while self._pending or self._queue or self._missing:
                if not self._pending:
                    self._chain()
                name, rows = self.name, self._pending
                await self._write(name, rows)
                # Another history may have begun meanwhile; then they are chained again.
                if self._pending is rows:
                    self._written = (rows[-1].seq, rows[-1].hash)
                    self._pending = []

    def _chain(self) -> None:
        records = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
        if self._missing and len(records) < AT_ONCE:
            lost = {"count": self._missing}
            records.append(AuditRecord(time.time(), "system:moorage:audit", "missing", True, 0, detail=lost))
            self._missing = 0
        for record in records:
            # Never backwards: the chain is read in the order of time.
            self._micros = max(self._micros + 1, round(record.at * 1_000_000))
            self._seq += 1
            detail = orjson.dumps(record.detail).decode()
            self._head = chained(
                self._head, row_digest(*_fields(record), detail), self._seq, stamp(self._micros, self.server)
            )
            at = _EPOCH + timedelta(microseconds=self._micros)
            self._pending.append(_Row(at, self._seq, record, detail, self._head))

    async def _write(self, name: str, rows: Sequence[_Row]) -> None:
        records = [row.record for row in rows]
        fields = list(zip(*map(_fields, records), strict=True))
        texts = [text_array(str(value) for value in values) for values in fields[:9]]
        values = (
            name,
            self.server,
            [row.at for row in rows],
            [row.seq for row in rows],
            *texts,
            list(fields[9]),
            list(fields[10]),
            text_array(row.detail for row in rows),
            bytea_array([row.hash for row in rows]),
        )
        try:
            await self._readers.execute(INSERT, values)
        except psycopg.errors.CheckViolation:
            async with self._readers.connection() as connection:
                for day in {row.at.date(): row.at for row in rows}.values():
                    await make_audit_partition(connection, day)
            await self._readers.execute(INSERT, values)


def _fields(record: AuditRecord) -> tuple[str | bool | int, ...]:
    """A row's own fields, in the order of their digest."""
    place = (record.group, record.resource, record.subresource, record.namespace, record.name)
    return (
        record.request_id,
        record.actor,
        record.verb,
        *place,
        record.source_commit,
        record.allowed,
        record.code,
    )
