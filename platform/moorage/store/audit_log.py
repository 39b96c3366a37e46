"""Reading the audit: rows by what they say, newest first."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from moorage.store.audit_verify import Report, verify
from moorage.store.database import Database, Readers, abandon

COLUMNS = """(extract(epoch FROM at) * 1000000)::bigint, chain, seq, server, request_id, actor, verb, storage_group, resource,
subresource, namespace, name, source_commit, allowed, code, revision, old_digest, new_digest, detail, hash"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadContinue(ValueError):
    """A continue token that is none of ours."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row. ``at`` is seconds since the epoch; digests and hash are hexadecimal; ``detail`` holds groups, impersonator,
    sourceIP, userAgent, manager, changed (paths), reason ... as far as they are known.
    """

    at: float
    chain: str
    seq: int
    server: str
    request_id: str
    actor: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    source_commit: str
    allowed: bool
    code: int
    revision: int
    old_digest: str
    new_digest: str
    detail: dict[str, Any] = field(default_factory=dict)
    hash: str = ""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What to show: everything that is given must fit. ``namespaces`` None: of all, and what is in none; else name -> the
    moment from which on its rows are shown (0 for all of them). ``since`` (included) and ``until`` (excluded) are, like
    that moment, seconds since the epoch. ``commit`` is the beginning of a source commit. ``allowed`` None: refused or not.
    ``revision``: of the change log, 0 for all.
    """

    user: str = ""
    namespaces: Mapping[str, float] | None = None
    group: str | None = None
    resource: str = ""
    name: str = ""
    verb: str = ""
    since: float | None = None
    until: float | None = None
    allowed: bool | None = None
    revision: int = 0
    commit: str = ""
    request_id: str = ""
    limit: int = 100
    continue_: str = ""


class AuditLog:
    """Table ``audit``, as its readers see it. Methods raise Unavailable."""

    def __init__(self, database: Database, readers: Readers) -> None:
        self._database = database
        self._readers = readers

    async def rows(self, query: AuditQuery) -> tuple[Sequence[AuditRow], str]:
        """At most ``limit`` rows, newest first, and the token that goes on after them ("" at the end). Raises BadContinue."""
        conditions, values = _conditions(query)
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        # Names of columns and operators of this module; whatever the caller gave is a parameter.
        select = f"SELECT {COLUMNS} FROM audit {where} ORDER BY at DESC, chain DESC, seq DESC LIMIT %s"  # noqa: S608
        found = await self._readers.fetch(select, (*values, query.limit + 1))
        rows = [_row(columns) for columns in found[: query.limit]]
        more = len(found) > query.limit and bool(rows)
        return rows, _token(found[query.limit - 1]) if more else ""

    async def verify(
        self, progress: Callable[[int], None] | None = None, kept: tuple[int, str] | None = None
    ) -> Report:
        """Walk all chains. It reads everything: minutes for many millions of rows, in one snapshot, locking nobody.
        ``progress`` is told now and then how many rows were checked. ``kept`` is the head of an earlier report.
        """
        connection = await self._database.connect()
        try:
            return await verify(connection, progress, kept)
        finally:
            await abandon(connection)


def _conditions(query: AuditQuery) -> tuple[list[str], list[object]]:
    equal = {
        "actor": query.user,
        "resource": query.resource,
        "name": query.name,
        "verb": query.verb,
        "request_id": query.request_id,
    }
    conditions = [f"{column} = %s" for column, value in equal.items() if value]
    values: list[object] = [value for value in equal.values() if value]
    if query.group is not None:
        conditions.append("storage_group = %s")
        values.append(query.group)
    if query.namespaces is not None:
        conditions.append(
            "EXISTS (SELECT FROM unnest(%s::text[], %s::timestamptz[]) n(name, since)"
            ' WHERE n.name COLLATE "C" = audit.namespace AND audit.at >= n.since)'
        )
        values += [list(query.namespaces), [_time(since) for since in query.namespaces.values()]]
    if query.commit:
        conditions.append("starts_with(source_commit, %s)")
        values.append(query.commit)
    if query.allowed is not None:
        conditions.append("allowed" if query.allowed else "NOT allowed")
    if query.revision:
        conditions.append("revision = %s")
        values.append(query.revision)
    if query.since is not None:
        conditions.append("at >= %s")
        values.append(_time(query.since))
    if query.until is not None:
        conditions.append("at < %s")
        values.append(_time(query.until))
    if query.continue_:
        conditions.append("(at, chain, seq) < (%s, %s, %s)")
        values += _position(query.continue_)
    return conditions, values


def _time(seconds: float) -> datetime:
    return _EPOCH + timedelta(microseconds=round(seconds * 1_000_000))


def _token(columns: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([columns[0], columns[1], columns[2]])).decode()


def _position(token: str) -> list[object]:
    try:
        micros, chain, seq = json.loads(base64.urlsafe_b64decode(token))
        return [_EPOCH + timedelta(microseconds=int(micros)), str(chain), int(seq)]
    except (binascii.Error, ValueError, TypeError, OverflowError) as error:
        raise BadContinue(f"the continue token is not one of the audit's: {error}") from None


def _row(columns: Sequence[Any]) -> AuditRow:
    old, new, detail, digest = columns[16:]
    values = (columns[0] / 1_000_000, *columns[1:16], _hex(old), _hex(new), orjson.loads(detail), _hex(digest))
    return AuditRow(*values)


def _hex(digest: bytes | None) -> str:
    return bytes(digest).hex() if digest else ""
