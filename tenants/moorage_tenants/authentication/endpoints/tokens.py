"""``/apis/moorage.io/v1/tokens``: make, list and revoke tokens. A secret is shown once, when it is made.

Everybody who logged in may have personal access tokens: named, expiring, and as narrow as its scopes. Tokens for others (teams,
nodes, users) are an administrator's to make. A token cannot make tokens: whoever finds one cannot outlive its revocation.
"""

from __future__ import annotations

import json
import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from moorage.api.contracts import Identity
from moorage.api.errors import ApiError, bad_request, forbidden, not_found
from moorage.resources.kind import FieldError
from moorage.store.tokens import TokenRow
from moorage_tenants import names
from moorage_tenants.authentication import scopes as scope_rules
from moorage_tenants.authentication.accounts.claims import USER_PREFIX
from moorage_tenants.authentication.endpoints.answering import GROUP, Door, answering, refused, spec_of, text
from moorage_tenants.authentication.instants import stamp
from moorage_tenants.authentication.stored import JOIN, PERSONAL, TOKEN_ID, StoredTokens
from moorage_tenants.authentication.text import digest, new_join_token, new_token

PATH = "/apis/moorage.io/v1/tokens"
SHORTEST = 10
PERSONAL_SECONDS = 90 * 86_400
LONGEST_PERSONAL = 366 * 86_400
JOIN_SECONDS = 24 * 3600
MOST_PERSONAL = 100
"""Valid tokens that one user may have."""
_SUBJECTS = ("team", "node", "user")
_KNOWN = frozenset({*_SUBJECTS, "groups", "ttlSeconds", "description", "name", "scopes"})
KIND = "Token"


class TokenEndpoints:
    """The handlers. ``ca_sha256`` goes into the tokens of nodes."""

    def __init__(self, tokens: StoredTokens, door: Door, ca_sha256: str) -> None:
        self._tokens = tokens
        self._table = tokens.table
        self._door = door
        self._ca_sha256 = ca_sha256

    def router(self) -> APIRouter:
        """The routes, to be mounted by the composition root."""
        router = APIRouter()
        router.add_api_route(PATH, answering(self._list), methods=["GET"], include_in_schema=False)
        router.add_api_route(PATH, answering(self._create), methods=["POST"], include_in_schema=False)
        router.add_api_route(PATH + "/{name}", answering(self._delete), methods=["DELETE"], include_in_schema=False)
        return router

    async def _list(self, request: Request) -> JSONResponse:
        identity = await self._door.identity(request)
        mine = request.query_params.get("mine") == "true" or not await self._door.may(identity, "list")
        if mine:
            _require_person(identity, "list")
        rows = [row for row in await self._table.rows() if not mine or row.user == identity.name]
        items = [view(row) for row in rows]
        return JSONResponse({"kind": "TokenList", "apiVersion": "moorage.io/v1", "metadata": {}, "items": items})

    async def _create(self, request: Request) -> JSONResponse:
        identity = await self._door.identity(request)
        _require_no_token(identity)
        spec = await spec_of(request, KIND, _KNOWN)
        now = time.time()
        given = [field for field in _SUBJECTS if spec.get(field)]
        if given:
            await self._door.require(request, identity, "create")
            token, row = self._for_another(spec, given, identity, now)
        else:
            _require_person(identity, "create")
            token, row = await self._personal(spec, identity, now)
        await self._table.add(row)
        self._door.done(request, identity, "create", "tokens", row.id, tokenKind=row.kind, tokenUser=row.user)
        return JSONResponse({**view(row), "status": {"token": token}}, status_code=201)

    def _for_another(self, spec: dict[str, Any], given: list[str], by: Identity, now: float) -> tuple[str, TokenRow]:
        subject, is_node = _subject(spec, given)
        token = new_join_token(self._ca_sha256) if is_node else new_token()
        ttl = _ttl(spec.get("ttlSeconds"), None)
        if is_node:
            ttl = ttl or JOIN_SECONDS
        row = TokenRow(
            sha256=digest(token),
            user=subject.name,
            groups=tuple(sorted(subject.groups)),
            created_at=now,
            expires_at=None if ttl is None else now + ttl,
            description=text(KIND, spec, "description"),
            name=text(KIND, spec, "name"),
            kind=JOIN if is_node else PERSONAL,
            scopes=() if is_node else _scopes(spec),
            created_by=by.name,
        )
        return token, row

    async def _personal(self, spec: dict[str, Any], identity: Identity, now: float) -> tuple[str, TokenRow]:
        name = text(KIND, spec, "name")
        if not name:
            raise refused(
                KIND, FieldError("spec.name", "FieldValueRequired", "Required value: say what the token is for")
            )
        valid = [row for row in await self._table.rows() if row.user == identity.name and _valid(row, now)]
        if any(row.name == name for row in valid):
            message = f'"{name}" already exists; revoke it first with: moorage tokens revoke {name}'
            raise ApiError(409, f"tokens.{GROUP} {message}", reason="AlreadyExists")
        if len(valid) >= MOST_PERSONAL:
            raise forbidden(GROUP, "tokens", name, f"you have {len(valid)} tokens, the most that one user may have")
        ttl = _ttl(spec.get("ttlSeconds"), LONGEST_PERSONAL) or PERSONAL_SECONDS
        token = new_token()
        row = TokenRow(
            sha256=digest(token),
            user=identity.name,
            groups=tuple(sorted(identity.groups - {names.AUTHENTICATED})),
            created_at=now,
            expires_at=now + ttl,
            description=text(KIND, spec, "description"),
            name=name,
            kind=PERSONAL,
            scopes=_scopes(spec),
            created_by=identity.name,
        )
        return token, row

    async def _delete(self, request: Request) -> JSONResponse:
        name = str(request.path_params["name"])
        identity = await self._door.identity(request)
        now = time.time()
        rows = await self._table.rows()
        own = [
            row
            for row in rows
            if row.user == identity.name and (row.id == name or (row.name == name and _valid(row, now)))
        ]
        if own and not scope_rules.scopes_of(identity):
            found = own
        else:
            await self._door.require(request, identity, "delete", name)
            found = [row for row in rows if row.id == name]
        if not found or not await self._table.revoke(found[0].sha256):
            raise not_found(GROUP, "tokens", name)
        self._tokens.forget(found[0].sha256)
        self._door.done(
            request, identity, "delete", "tokens", found[0].id, tokenKind=found[0].kind, tokenUser=found[0].user
        )
        return JSONResponse({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})


def _require_no_token(identity: Identity) -> None:
    if TOKEN_ID in identity.extra:
        reason = "a token cannot make tokens; log in and make it yourself: moorage login"
        raise forbidden(GROUP, "tokens", "", reason)


def _require_person(identity: Identity, verb: str) -> None:
    """Accounts of programs have tokens of their own kinds. Raises ApiError 403."""
    if identity.name.startswith((USER_PREFIX, names.NODE_PREFIX, "system:")) or scope_rules.scopes_of(identity):
        raise forbidden(GROUP, "tokens", "", f'User "{identity.name}" cannot {verb} personal access tokens')


def _subject(spec: dict[str, Any], given: list[str]) -> tuple[Identity, bool]:
    """Whose token is asked for, and whether that is a node."""
    if len(given) != 1:
        message = 'Required value: at most one of "team", "node" and "user"'
        raise refused(KIND, FieldError("spec", "FieldValueRequired", message))
    field = given[0]
    name = text(KIND, spec, field)
    try:
        if field == "team":
            return names.team(name), False
        if field == "node":
            return names.node(name), True
    except names.BadName as error:
        raise refused(KIND, FieldError(f"spec.{field}", "FieldValueInvalid", f"Invalid value: {error}")) from None
    groups = spec.get("groups", [])
    if not isinstance(groups, list) or not all(isinstance(group, str) and group for group in groups):
        raise refused(
            KIND, FieldError("spec.groups", "FieldValueTypeInvalid", "Invalid value: must be a list of names")
        )
    if name.startswith("system:"):
        message = f'Invalid value: "{name}": names that start with "system:" belong to the platform'
        raise refused(KIND, FieldError("spec.user", "FieldValueInvalid", message))
    return Identity(name, frozenset(groups)), False


def _scopes(spec: dict[str, Any]) -> tuple[str, ...]:
    value = spec.get("scopes", [])
    if not isinstance(value, list) or not all(isinstance(scope, str) for scope in value):
        raise bad_request("Token: spec.scopes must be a list of texts")
    for number, scope in enumerate(value):
        if problem := scope_rules.problem(scope):
            raise refused(
                KIND, FieldError(f"spec.scopes[{number}]", "FieldValueNotSupported", f"Unsupported value: {problem}")
            )
    return tuple(dict.fromkeys(value))


def _ttl(value: Any, longest: int | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < SHORTEST or (longest and value > longest):
        limit = f", at most {longest}" if longest else ""
        message = f"Invalid value: {json.dumps(value)}: must be a whole number of seconds, at least {SHORTEST}{limit}"
        raise refused(KIND, FieldError("spec.ttlSeconds", "FieldValueInvalid", message))
    return value


def _valid(row: TokenRow, now: float) -> bool:
    return state(row, now) == "valid"


def state(row: TokenRow, now: float) -> str:
    """``valid``, ``revoked``, ``used`` or ``expired``."""
    if row.revoked_at is not None:
        return "revoked"
    if row.used_at is not None and row.kind == JOIN:
        return "used"
    return "expired" if row.expires_at is not None and row.expires_at <= now else "valid"


def view(row: TokenRow) -> dict[str, Any]:
    """A token as it may be seen: everything but the secret and its hash."""
    spec: dict[str, Any] = {
        "user": row.user,
        "groups": list(row.groups),
        "description": row.description,
        "kind": row.kind,
    }
    spec |= {key: value for key, value in (("name", row.name), ("scopes", list(row.scopes))) if value}
    if row.created_by:
        spec["createdBy"] = row.created_by
    if row.expires_at is not None:
        spec["expiresAt"] = stamp(row.expires_at)
    status: dict[str, Any] = {"state": state(row, time.time())}
    if row.last_used_at is not None:
        status["lastUsedAt"] = stamp(row.last_used_at)
    metadata = {"name": row.id, "creationTimestamp": stamp(row.created_at)}
    return {"kind": KIND, "apiVersion": "moorage.io/v1", "metadata": metadata, "spec": spec, "status": status}
