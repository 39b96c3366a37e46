"""``/apis/moorage.io/v1/tokens``: make, list and revoke tokens. Administrators only; a secret is shown once, when it is made."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from moorage.api.contracts import Attributes, Authenticator, Authorizer, Identity
from moorage.api.errors import ApiError, bad_request, forbidden, invalid, not_found, unauthorized, unavailable
from moorage.resources.kind import FieldError
from moorage.store.contracts import Unavailable
from moorage.store.tokens import TokenRow
from moorage_tenants import names
from moorage_tenants.roles import OWN_GROUP
from moorage_tenants.token_text import digest, new_join_token, new_token
from moorage_tenants.tokens import TokenAuthenticator, TokenTable

PATH = "/apis/moorage.io/v1/tokens"
LONGEST_BODY = 64 * 1024
SHORTEST_TTL = 10
_SUBJECTS = ("team", "node", "user")

Handler = Callable[[Request], Awaitable[JSONResponse]]


class TokenEndpoints:
    """The handlers. ``ca_sha256`` goes into the tokens of nodes."""

    def __init__(
        self,
        *,
        table: TokenTable,
        tokens: TokenAuthenticator,
        authenticator: Authenticator,
        authorizer: Authorizer,
        ca_sha256: str,
    ) -> None:
        self._table = table
        self._tokens = tokens
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._ca_sha256 = ca_sha256

    def router(self) -> APIRouter:
        """The routes, to be mounted by the composition root."""
        router = APIRouter()
        router.add_api_route(PATH, _answering(self._list), methods=["GET"], include_in_schema=False)
        router.add_api_route(PATH, _answering(self._create), methods=["POST"], include_in_schema=False)
        router.add_api_route(PATH + "/{name}", _answering(self._delete), methods=["DELETE"], include_in_schema=False)
        return router

    async def _list(self, request: Request) -> JSONResponse:
        await self._allow(request, "list")
        items = [_view(row) for row in await self._table.rows()]
        return JSONResponse({"kind": "TokenList", "apiVersion": "moorage.io/v1", "metadata": {}, "items": items})

    async def _create(self, request: Request) -> JSONResponse:
        await self._allow(request, "create")
        spec = await _spec(request)
        identity, is_node = _subject(spec)
        token = new_join_token(self._ca_sha256) if is_node else new_token()
        now = time.time()
        ttl = _ttl(spec.get("ttlSeconds"))
        row = TokenRow(
            sha256=digest(token),
            user=identity.name,
            groups=tuple(sorted(identity.groups)),
            created_at=now,
            expires_at=None if ttl is None else now + ttl,
            description=_text(spec, "description"),
        )
        await self._table.add(row)
        return JSONResponse({**_view(row), "status": {"token": token}}, status_code=201)

    async def _delete(self, request: Request) -> JSONResponse:
        name = str(request.path_params["name"])
        await self._allow(request, "delete", name)
        found = [row for row in await self._table.rows() if row.id == name]
        if not found or not await self._table.remove(found[0].sha256):
            raise not_found(OWN_GROUP, "tokens", name)
        self._tokens.forget(found[0].sha256)
        return JSONResponse({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})

    async def _allow(self, request: Request, verb: str, name: str = "") -> None:
        identity = await self._authenticator.authenticate(request.headers.get("authorization", ""))
        if identity is None:
            raise unauthorized()
        attributes = Attributes(identity, verb, OWN_GROUP, "tokens", name=name)
        decision = await self._authorizer.authorise(attributes)
        if not decision.allowed:
            raise forbidden(OWN_GROUP, "tokens", name, decision.reason)


def _answering(handler: Handler) -> Handler:
    async def answer(request: Request) -> JSONResponse:
        try:
            return await handler(request)
        except Unavailable as error:
            refusal = unavailable(f"the token table cannot be reached: {error}")
        except ApiError as error:
            refusal = error
        return JSONResponse(refusal.status(), status_code=refusal.code, headers=refusal.headers)

    return answer


async def _spec(request: Request) -> dict[str, Any]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_BODY:
            raise ApiError(413, f"Request entity too large: limit is {LONGEST_BODY}")
    try:
        document = json.loads(body)
    except ValueError as error:
        raise bad_request(f"the body is not JSON: {error}") from None
    spec = document.get("spec") if isinstance(document, dict) else None
    if not isinstance(spec, dict):
        raise _refused(FieldError("spec", "FieldValueRequired", "Required value"))
    unknown = sorted(set(spec) - {*_SUBJECTS, "groups", "ttlSeconds", "description"})
    if unknown:
        raise bad_request(f'Token: unknown field "spec.{unknown[0]}"')
    return spec


def _subject(spec: dict[str, Any]) -> tuple[Identity, bool]:
    """Whose token is asked for, and whether that is a node."""
    given = [field for field in _SUBJECTS if spec.get(field)]
    if len(given) != 1:
        message = 'Required value: exactly one of "team", "node" and "user"'
        raise _refused(FieldError("spec", "FieldValueRequired", message))
    field = given[0]
    name = _text(spec, field)
    try:
        if field == "team":
            return names.team(name), False
        if field == "node":
            return names.node(name), True
    except names.BadName as error:
        raise _refused(FieldError(f"spec.{field}", "FieldValueInvalid", f"Invalid value: {error}")) from None
    groups = spec.get("groups", [])
    if not isinstance(groups, list) or not all(isinstance(group, str) and group for group in groups):
        raise _refused(FieldError("spec.groups", "FieldValueTypeInvalid", "Invalid value: must be a list of names"))
    if name.startswith("system:"):
        message = f'Invalid value: "{name}": names that start with "system:" belong to the platform'
        raise _refused(FieldError("spec.user", "FieldValueInvalid", message))
    return Identity(name, frozenset(groups)), False


def _text(spec: dict[str, Any], field: str) -> str:
    value = spec.get(field, "")
    if not isinstance(value, str) or len(value) > 253 or not value.isprintable():
        message = "Invalid value: must be a printable text of at most 253 characters"
        raise _refused(FieldError(f"spec.{field}", "FieldValueInvalid", message))
    return value


def _ttl(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < SHORTEST_TTL:
        message = f"Invalid value: {json.dumps(value)}: must be a whole number of seconds, at least {SHORTEST_TTL}"
        raise _refused(FieldError("spec.ttlSeconds", "FieldValueInvalid", message))
    return value


def _refused(error: FieldError) -> ApiError:
    return invalid(OWN_GROUP, "Token", "", [error])


def _view(row: TokenRow) -> dict[str, Any]:
    """A token as it may be seen: everything but the secret and its hash."""
    spec: dict[str, Any] = {"user": row.user, "groups": list(row.groups), "description": row.description}
    if row.expires_at is not None:
        spec["expiresAt"] = _time(row.expires_at)
    metadata = {"name": row.id, "creationTimestamp": _time(row.created_at)}
    return {"kind": "Token", "apiVersion": "moorage.io/v1", "metadata": metadata, "spec": spec}


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
