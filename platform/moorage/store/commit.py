"""One batch as one call of the commit function: requests in, array parameters out, verdicts back."""

from __future__ import annotations

import asyncio
import re
import struct
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from moorage.store import audited, quotas, wire
from moorage.store.contracts import (
    Encoded,
    EventType,
    Op,
    Origin,
    Outcome,
    Precondition,
    RefUpdate,
    Verdict,
    Write,
)
from moorage.store.errors import InvalidDocument
from moorage.store.pipe import Pipe
from moorage.store.rows import Row

OPS = {Op.CREATE: 1, Op.UPDATE: 2, Op.DELETE: 3}
TYPES = {Op.CREATE: EventType.ADDED, Op.UPDATE: EventType.MODIFIED, Op.DELETE: EventType.DELETED}
OUTCOMES = (
    Outcome.WRITTEN,
    Outcome.EXISTS,
    Outcome.NOT_FOUND,
    Outcome.CONFLICT,
    Outcome.UID_MISMATCH,
    Outcome.QUOTA,
    Outcome.PRECONDITION,
    Outcome.ABORTED,
)
STATEMENT = b"moorage_commit"
_PLACES = ", ".join(f"${number}" for number in range(1, 35))
PREPARE = f"PREPARE moorage_commit AS SELECT * FROM moorage_commit_2({_PLACES})"  # noqa: S608 - constants of this module
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Note(NamedTuple):
    """What the commit function is told of a write beside the write: the audit row's details and its row digest (None for
    no row), the digest of what is stored, and whether a Secret's version is kept.
    """

    detail: bytes | None
    row: bytes | None
    digest: bytes | None
    keep: int


NO_NOTE = Note(None, None, None, 0)


class Unwritable(Exception):
    """A member of the batch has a value that cannot be sent to PostgreSQL. Nothing was sent."""


@dataclass(slots=True, eq=False)
class Request:
    """What one caller wants written. ``sealed`` holds the ciphertexts of sealed members, in place of their documents."""

    writes: Sequence[Write]
    sealed: Sequence[bytes | None]
    origin: Origin
    atomic: bool = False
    preconditions: Sequence[Precondition] = ()
    refs: Sequence[RefUpdate] = ()
    size: int = 0
    notes: Sequence[Note] = ()
    """One for each write; where there are none, the batch leaves no rows in the audit."""
    queued: float = field(default_factory=time.monotonic)
    answer: asyncio.Future[list[Verdict]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(slots=True, eq=False)
class Batch:
    """Requests that are committed together; an atomic one stands alone."""

    requests: list[Request]
    id: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def writes(self) -> list[Write]:
        """All members, in order."""
        return [write for request in self.requests for write in request.writes]


@dataclass(frozen=True, slots=True)
class Committed:
    """What the function answered. ``last`` < ``first`` where nothing was written."""

    verdicts: list[Verdict]
    first: int
    last: int


def check_document(encoded: Encoded) -> None:
    """Refuse what PostgreSQL's ``json`` would take and then fail to read. Raises InvalidDocument.

    Broken JSON and broken UTF-8 are refused by PostgreSQL itself.
    """
    body = encoded.body
    if body[encoded.offset - 1 : encoded.offset + 1] != b'""':
        raise InvalidDocument("the document has no empty resourceVersion at the recorded offset")
    if b"\\u" not in body:
        return
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # A lone surrogate: RFC 8259 lets the escape pass, no Unicode text can hold it.
        raise InvalidDocument(f"the document is no valid JSON: {error}") from None
    if _NUL.search(body):
        raise InvalidDocument(f"{find_nul(document) or 'a field'} holds the character U+0000, which cannot be stored")


def find_nul(value: object, path: str = "") -> str:
    """The path of the first text (or field name) with U+0000 in it."""
    if isinstance(value, str):
        return path or "." if "\0" in value else ""
    if isinstance(value, dict):
        for name, part in value.items():
            if "\0" in name:
                return f"{path}[{name!r}]"
            if found := find_nul(part, f"{path}.{name}" if path else name):
                return found
    if isinstance(value, list):
        for number, part in enumerate(value):
            if found := find_nul(part, f"{path}[{number}]"):
                return found
    return ""


def parameters(
    batch: Batch, writer: str, writer_epoch: int, epoch: int, anchor: bytes | None = None
) -> tuple[bytes | None, ...]:
    """The function's arguments, in binary. ``anchor`` is the JSON of the head of this server's own audit chain.

    Raises Unwritable where a member has a value that has no form there (text with half a surrogate pair, numbers past 64 bits).
    """
    try:
        return _parameters(batch, writer, writer_epoch, epoch, anchor)
    except (TypeError, ValueError, OverflowError, struct.error) as error:
        raise Unwritable(str(error)) from error


def _parameters(
    batch: Batch, writer: str, writer_epoch: int, epoch: int, anchor: bytes | None
) -> tuple[bytes | None, ...]:
    writes = batch.writes
    origins = [request.origin for request in batch.requests for _ in request.writes]
    sealed = [ciphertext for request in batch.requests for ciphertext in request.sealed]
    bodies = [write.encoded.body if write.encoded is not None and not write.sealed else None for write in writes]
    notes = [note for request in batch.requests for note in request.notes or [NO_NOTE] * len(request.writes)]
    text = wire.text_array
    first = batch.requests[0]
    return (
        batch.id.bytes,
        writer.encode(),
        wire.int8(writer_epoch),
        wire.int8(epoch),
        b"\x01" if first.atomic else b"\x00",
        wire.int2_array(OPS[write.op] for write in writes),
        text(write.key.group for write in writes),
        text(write.key.resource for write in writes),
        text(write.key.namespace for write in writes),
        text(write.key.name for write in writes),
        text(write.uid for write in writes),
        text(write.storage_version for write in writes),
        wire.json_array(bodies),
        wire.bytea_array(sealed),
        wire.int4_array(write.encoded.offset if write.encoded is not None else None for write in writes),
        wire.int8_array(write.expect_revision for write in writes),
        text(write.expect_uid for write in writes),
        text(write.tenant for write in writes),
        text(orjson.dumps(dict(write.charge)).decode() if write.charge else None for write in writes),
        wire.int4_array(write.expires_in for write in writes),
        text(origin.actor for origin in origins),
        text(origin.request_id for origin in origins),
        text(origin.field_manager for origin in origins),
        text(origin.source_commit for origin in origins),
        wire.jsonb(_conditions(first.preconditions)),
        wire.jsonb(_refs(first.refs, first.origin)),
        wire.jsonb_array(quotas.encoded(write) for write in writes),
        text(audited.verb(write, origin) for origin, write in zip(origins, writes, strict=True)),
        text(write.subresource for write in writes),
        wire.json_array([note.detail for note in notes]),
        wire.bytea_array([note.row for note in notes]),
        wire.bytea_array([note.digest for note in notes]),
        wire.int2_array(note.keep for note in notes),
        anchor,
    )


def rows(batch: Batch, committed: Committed) -> list[Row]:
    """What the batch changed, for the caches: from the bytes at hand."""
    changed = []
    for write, verdict in zip(batch.writes, committed.verdicts, strict=False):
        if verdict.outcome is Outcome.WRITTEN:
            encoded = write.encoded
            body, offset = (None, 0) if encoded is None else (encoded.body, encoded.offset)
            last = verdict.revision == committed.last
            changed.append(Row(verdict.revision, TYPES[write.op], write.key, write.uid, body, offset, last))
    return changed


async def call(pipe: Pipe, arguments: tuple[bytes | None, ...]) -> Committed:
    """Run the commit function, which must be prepared. Raises psycopg.Error."""
    result = await pipe.execute(STATEMENT, arguments)
    columns = [result.get_value(0, number) or b"" for number in range(4)]
    outcomes, revisions = wire.read_int2_array(columns[0]), wire.read_int8_array(columns[1])
    details = wire.read_text_array(columns[2])
    last = int.from_bytes(columns[3], "big")
    verdicts = [
        Verdict(OUTCOMES[outcome], revision, detail)
        for outcome, revision, detail in zip(outcomes, revisions, details, strict=True)
    ]
    if not outcomes:
        # A transaction that only moved refs has one verdict, for itself.
        return Committed([Verdict(Outcome.WRITTEN, last)], last + 1, last)
    written = sum(1 for outcome in outcomes if outcome == 0)
    return Committed(verdicts, last - written + 1, last)


def _conditions(preconditions: Sequence[Precondition]) -> bytes | None:
    if not preconditions:
        return None
    items = []
    for condition in preconditions:
        item = {
            "storage_group": condition.key.group,
            "resource": condition.key.resource,
            "namespace": condition.key.namespace,
            "name": condition.key.name,
            "exists": condition.exists,
            "revision": condition.revision,
            "uid": condition.uid,
        }
        items.append(item)
    return orjson.dumps(items)


def _refs(refs: Sequence[RefUpdate], origin: Origin) -> bytes | None:
    if not refs:
        return None
    return orjson.dumps(
        [
            {
                "repository": ref.repository,
                "namespace": ref.namespace,
                "name": ref.name or ref.repository,
                "ref": ref.ref,
                "old": ref.old,
                "new": ref.new,
                "result": ref.result,
                "actor": origin.actor,
                **audited.push(origin),
            }
            for ref in refs
        ]
    )
