"""``/apis/moorage.io/v1/nodecredentials``: a node exchanges its join token for a credential of its own, and renews that.

The node makes the new secret itself, keeps it, and sends its hash only: whatever is lost on the way, the node holds what the
server knows, and asking again changes nothing.
"""

from __future__ import annotations

import re
import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from moorage.api.contracts import Identity
from moorage.api.errors import ApiError, bad_request, unauthorized
from moorage.store.tokens import TokenRow
from moorage_tenants.authentication.endpoints.answering import Door, answering, spec_of
from moorage_tenants.authentication.header import credentials
from moorage_tenants.authentication.instants import stamp
from moorage_tenants.authentication.stored import JOIN, NODE, StoredTokens, is_valid
from moorage_tenants.authentication.text import digest

PATH = "/apis/moorage.io/v1/nodecredentials"
SECONDS = 30 * 86_400.0
"""How long a node's credential is valid; nodes renew it long before."""
OVERLAP = 600.0
"""Seconds for which the credential before goes on being valid after a renewal."""
_HASH = re.compile(r"[0-9a-f]{64}")


class NodeCredentials:
    """The handler."""

    def __init__(self, tokens: StoredTokens, door: Door) -> None:
        self._door = door
        self._tokens = tokens
        self._table = tokens.table

    def router(self) -> APIRouter:
        """The route, to be mounted by the composition root."""
        router = APIRouter()
        router.add_api_route(PATH, answering(self._create), methods=["POST"], include_in_schema=False)
        return router

    async def _create(self, request: Request) -> JSONResponse:
        token = credentials(request.headers.get("authorization", ""))
        if token is None:
            self._door.refuse(request)
            raise unauthorized()
        spec = await spec_of(request, "NodeCredential", frozenset({"sha256"}))
        wanted = spec.get("sha256")
        if not isinstance(wanted, str) or not _HASH.fullmatch(wanted):
            raise bad_request(
                "NodeCredential: spec.sha256 must be the SHA-256 of the new secret, 64 hexadecimal digits"
            )
        shown = digest(token)
        row = await self._table.find(shown)
        if row is None:
            # A token of the installation's own file, say: it is used as it is, for as long as the file has it.
            raise ApiError(404, "this token is not one that can be exchanged", reason="NotFound")
        now = time.time()
        held = await self._table.find(wanted)
        if held is not None:
            if held.user != row.user or held.kind != NODE or held.created_by != row.id or not is_valid(held, now):
                raise ApiError(409, "another credential has this hash; make a new secret", reason="AlreadyExists")
            return _answer(held)
        if row.kind == JOIN:
            row = await self._claimed(request, shown)
        elif row.kind != NODE or not is_valid(row, now):
            self._door.refuse(request)
            raise unauthorized()
        fresh = _fresh(row, wanted, now)
        await self._table.add(fresh)
        if row.kind == NODE:
            await self._table.add(_ending(row, now))
        self._tokens.forget(shown)
        node = Identity(row.user, frozenset(row.groups))
        self._door.done(request, node, "create", "nodecredentials", fresh.id, exchanged=row.id)
        return _answer(fresh)

    async def _claimed(self, request: Request, sha256: str) -> TokenRow:
        """The join token, used up by this. Raises ApiError 401."""
        row = await self._table.claim(sha256)
        if row is None:
            self._door.refuse(request)
            raise ApiError(
                401,
                "this join token has expired, was revoked, or has been used: each joins one node once; "
                "make another with: moorage tokens create --node NAME",
                reason="Unauthorized",
            )
        return row


def _fresh(row: TokenRow, sha256: str, now: float) -> TokenRow:
    return TokenRow(
        sha256=sha256,
        user=row.user,
        groups=row.groups,
        created_at=now,
        expires_at=now + SECONDS,
        description="a node's own credential",
        kind=NODE,
        created_by=row.id,
    )


def _ending(row: TokenRow, now: float) -> TokenRow:
    """``row`` as it is after its renewal: good for what is under way."""
    until = now + OVERLAP if row.expires_at is None else min(row.expires_at, now + OVERLAP)
    return TokenRow(
        row.sha256,
        row.user,
        row.groups,
        row.created_at,
        until,
        row.description,
        row.name,
        row.kind,
        row.scopes,
        row.created_by,
    )


def _answer(row: TokenRow) -> JSONResponse:
    assert row.expires_at is not None
    status: dict[str, Any] = {"user": row.user, "expiresAt": stamp(row.expires_at), "lifetimeSeconds": int(SECONDS)}
    document = {"kind": "NodeCredential", "apiVersion": "moorage.io/v1", "metadata": {"name": row.id}, "status": status}
    return JSONResponse(document, status_code=201)
