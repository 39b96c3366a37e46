"""``GET /apis/moorage.io/v1/audit`` and ``.../audit/verify``: the rows that the caller may see, and whether they are whole.

Who may ``list audit.moorage.io`` in the whole cluster sees all rows. Who may do so in namespaces (owners of a tenant, by the
role ``admin``) sees the rows about those, since each was made: what happened in an earlier namespace of the same name is not
theirs to know. Verifying takes ``get audit/verify`` in the whole cluster.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from moorage.api.config import Mount
from moorage.api.contracts import Attributes, Identity
from moorage.api.errors import ApiError, bad_request, forbidden, no_such_path
from moorage.resources.kind import ResourceKey
from moorage.store.audit_log import AuditLog, AuditQuery, AuditRow, BadContinue
from moorage.store.audit_verify import Report
from moorage.store.contracts import Cache, Entry
from moorage_tenants.secret_service.guard import Guard, answering

GROUP, RESOURCE = "moorage.io", "audit"
PATH = "/apis/moorage.io/v1/audit"
NAMESPACES = ResourceKey("", "namespaces")
LIMIT, MOST = 100, 1000
LARGEST = 2**63 - 1
EVERY = 1.0
"""Seconds between two lines that tell how far a verification is."""
_FILTERS = ("user", "namespace", "group", "resource", "name", "verb", "commit", "requestId")
_KNOWN = frozenset({*_FILTERS, "since", "until", "outcome", "revision", "limit", "continue"})
_OUTCOMES = {"": None, "allowed": True, "refused": False}
_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


class Caches(Protocol):
    """The store, as far as it is needed here."""

    async def cache(self, resource: ResourceKey) -> Cache:
        """The cache of a resource."""
        ...

    async def latest(self) -> int:
        """The newest revision."""
        ...


@dataclass(frozen=True, slots=True)
class AuditEndpoints:
    """The handlers."""

    guard: Guard
    log: AuditLog
    caches: Caches

    async def list(self, request: Request) -> Response:
        """An AuditList, newest first. Raises ApiError 400, 401, 403."""
        identity = await self.guard.identify(request)
        query = _query(request)
        asked = request.query_params.getlist("namespace")
        query = replace(query, namespaces=await self._visible(request, identity, asked))
        try:
            rows, token = await self.log.rows(query)
        except BadContinue as error:
            raise bad_request(str(error)) from None
        metadata = {"continue": token} if token else {}
        items = [item(row) for row in rows]
        return JSONResponse({"apiVersion": "moorage.io/v1", "kind": "AuditList", "metadata": metadata, "items": items})

    async def verify(self, request: Request) -> Response:
        """Lines of JSON: ``{"checked": rows}`` while it works, and then the report. ``?head=SEQ:HASH`` is an earlier report's.
        Raises ApiError 400, 401, 403.
        """
        identity = await self.guard.identify(request)
        attributes = Attributes(identity, "get", GROUP, RESOURCE, "verify")
        decision = await self.guard.authorizer.authorise(attributes)
        self.guard.note(request, attributes, decision, "verify")
        if not decision.allowed:
            raise forbidden(GROUP, "audit/verify", "", decision.reason)
        return StreamingResponse(self._verified(_head(request)), media_type="application/json-seq")

    async def _verified(self, kept: tuple[int, str] | None) -> AsyncIterator[bytes]:
        checked = 0

        def progress(rows: int) -> None:
            nonlocal checked
            checked = rows

        working = asyncio.create_task(self.log.verify(progress, kept), name="audit: verify")
        try:
            while not working.done():
                await asyncio.wait((working,), timeout=EVERY)
                if not working.done():
                    yield _line({"checked": checked})
            error = working.exception()
            yield _line({"error": str(error)} if error is not None else {"report": report(working.result())})
        finally:
            working.cancel()

    async def _visible(self, request: Request, identity: Identity, asked: Sequence[str]) -> Mapping[str, float] | None:
        """The namespaces whose rows are shown, from when on; None for everything. Raises ApiError 403."""
        everywhere = Attributes(identity, "list", GROUP, RESOURCE)
        decision = await self.guard.authorizer.authorise(everywhere)
        if decision.allowed:
            return dict.fromkeys(asked, 0.0) if asked else None
        cache = await self.caches.cache(NAMESPACES)
        await cache.wait(await self.caches.latest())
        visible: dict[str, float] = {}
        for entry in [found for name in asked if (found := cache.get("", name))] if asked else cache.entries():
            within = await self.guard.authorizer.authorise(replace(everywhere, namespace=entry.key.name))
            if within.allowed:
                visible[entry.key.name] = _created(entry)
        if not visible or any(name not in visible for name in asked):
            self.guard.note(request, everywhere, decision, "")
            raise forbidden(GROUP, RESOURCE, "", decision.reason)
        return visible


def mounts(endpoints: AuditEndpoints) -> list[Mount]:
    """The endpoints as an application for the composition root to mount."""
    app = Router(
        [
            Route(PATH, answering(endpoints.list), methods=["GET"]),
            Route(PATH + "/verify", answering(endpoints.verify), methods=["GET"]),
        ],
        redirect_slashes=False,
        default=_nothing_here,
    )
    return [Mount(PATH, app, impersonates=True)]


def item(row: AuditRow) -> dict[str, Any]:
    """A row as the API shows it; what is empty is left out."""
    shown = {
        "time": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "user": row.actor,
        "verb": row.verb,
        "group": row.group,
        "resource": row.resource,
        "subresource": row.subresource,
        "namespace": row.namespace,
        "name": row.name,
        "allowed": row.allowed,
        "code": row.code,
        "revision": str(row.revision) if row.revision else "",
        "sourceCommit": row.source_commit,
        "requestId": row.request_id,
        "oldDigest": row.old_digest,
        "newDigest": row.new_digest,
        "detail": row.detail,
        "server": row.server,
        "chain": row.chain,
        "seq": row.seq,
        "hash": row.hash,
    }
    return {name: value for name, value in shown.items() if value or name == "allowed"}


def report(found: Report) -> dict[str, Any]:
    """A verification's result as the API shows it."""
    problems = [
        {"chain": each.chain, "seq": each.seq, "what": each.what, **({"time": each.at} if each.at is not None else {})}
        for each in found.problems
    ]
    seq, digest = found.head
    return {"rows": found.rows, "chains": found.chains, "head": f"{seq}:{digest}", "problems": problems}


def _query(request: Request) -> AuditQuery:
    given = request.query_params
    if unknown := sorted(set(given) - _KNOWN):
        raise bad_request(f'unknown parameter "{unknown[0]}"; known are {", ".join(sorted(_KNOWN))}')
    outcome = given.get("outcome", "")
    if outcome not in _OUTCOMES:
        raise bad_request(f'outcome: "{outcome}" must be allowed or refused')
    return AuditQuery(
        user=given.get("user", ""),
        resource=given.get("resource", ""),
        name=given.get("name", ""),
        verb=given.get("verb", ""),
        commit=given.get("commit", ""),
        request_id=given.get("requestId", ""),
        group=given.get("group"),
        since=_seconds(given.get("since"), "since"),
        until=_seconds(given.get("until"), "until"),
        allowed=_OUTCOMES[outcome],
        revision=_number(given.get("revision", ""), "revision", 0, LARGEST),
        limit=_number(given.get("limit", ""), "limit", LIMIT, MOST),
        continue_=given.get("continue", ""),
    )


def _seconds(text: str | None, name: str) -> float | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise bad_request(f'{name}: "{text}" must be a time like 2026-01-31T12:00:00Z (RFC 3339)') from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(text: str, name: str, default: int, most: int) -> int:
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > len(str(most)) or not 1 <= int(text) <= most:
        raise bad_request(f'{name}: "{text}" must be a number from 1 to {most}')
    return int(text)


def _head(request: Request) -> tuple[int, str] | None:
    text = request.query_params.get("head", "")
    if not text:
        return None
    match = _HEAD.fullmatch(text)
    if match is None:
        raise bad_request(f'head: "{text[:100]}" must be the head of an earlier report, NUMBER:HASH')
    return int(match[1]), match[2]


def _created(entry: Entry) -> float:
    text = entry.document()["metadata"]["creationTimestamp"]
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _line(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    refusal: ApiError = no_such_path()
    await JSONResponse(refusal.status(), status_code=refusal.code)(scope, receive, send)
