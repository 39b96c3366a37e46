"""What the endpoints share: who asks, what it sent, and refusals as ``Status`` objects."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from moorage.api.contracts import Attributes, Auditor, Authenticator, Authorizer, Decision, Identity
from moorage.api.entrance import Entrance, client_of, outcome_of
from moorage.api.errors import ApiError, bad_request, forbidden, invalid, unavailable
from moorage.api.request import request_id_of
from moorage.resources.kind import FieldError
from moorage.store.contracts import Unavailable

LONGEST_BODY = 64 * 1024
GROUP = "moorage.io"

Handler = Callable[[Request], Awaitable[JSONResponse]]


class Door:
    """Finds out who asks, and whether it may; writes down what came of it."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer, auditor: Auditor) -> None:
        self._entrance = Entrance(authenticator, authorizer, auditor)
        self._authorizer = authorizer
        self._auditor = auditor

    async def identity(self, request: Request) -> Identity:
        """Who asks. Raises ApiError 401; 400 for impersonation, which is not offered here."""
        if any(name.startswith("impersonate-") for name in request.headers):
            raise bad_request("this endpoint does not take impersonation headers: ask as yourself")
        return await self._entrance.identify(request.scope, None, request_id_of(request.scope))

    async def may(self, identity: Identity, verb: str, name: str = "") -> bool:
        """Whether ``identity`` may do this to tokens in general."""
        return (await self._authorizer.authorise(Attributes(identity, verb, GROUP, "tokens", name=name))).allowed

    async def require(self, request: Request, identity: Identity, verb: str, name: str = "") -> None:
        """Raises ApiError 403."""
        attributes = Attributes(identity, verb, GROUP, "tokens", name=name)
        decision = await self._authorizer.authorise(attributes)
        if not decision.allowed:
            self._note(request, attributes, decision, 403)
            raise forbidden(GROUP, "tokens", name, decision.reason)

    async def require_path(self, request: Request) -> None:
        """Raises ApiError 401 and 403 for a path beside the resources."""
        identity = await self.identity(request)
        attributes = Attributes(identity, request.method.lower(), path=request.url.path)
        decision = await self._authorizer.authorise(attributes)
        if not decision.allowed:
            self._note(request, attributes, decision, 403)
            raise forbidden("", request.url.path, "", decision.reason)

    def refuse(self, request: Request) -> None:
        """Write down that a credential was not accepted."""
        self._entrance.refuse(request.scope, dict(request.headers.raw), request_id_of(request.scope))

    def done(self, request: Request, identity: Identity, verb: str, resource: str, name: str, **details: str) -> None:
        """Write down what was done: to the token (or credential) with this id, never the secret itself."""
        self._note(request, Attributes(identity, verb, GROUP, resource, name=name), Decision(True), 200, **details)

    def _note(self, request: Request, attributes: Attributes, decision: Decision, code: int, **details: str) -> None:
        outcome = outcome_of(client_of(request.scope), code, request_id_of(request.scope))
        self._auditor.record(attributes, decision, {**outcome, **details})


def answering(handler: Handler) -> Handler:
    """``handler`` with its refusals answered as ``Status``."""

    async def answer(request: Request) -> JSONResponse:
        try:
            return await handler(request)
        except Unavailable as error:
            refusal = unavailable(f"the database cannot be reached: {error}")
        except ApiError as error:
            refusal = error
        return JSONResponse(refusal.status(), status_code=refusal.code, headers=refusal.headers)

    return answer


async def spec_of(request: Request, kind: str, known: frozenset[str]) -> dict[str, Any]:
    """``spec`` of the body. Raises ApiError 400, 413, 422."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_BODY:
            raise ApiError(413, f"Request entity too large: limit is {LONGEST_BODY}")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body is not JSON: {error}") from None
    spec = document.get("spec") if isinstance(document, dict) else None
    if not isinstance(spec, dict):
        raise refused(kind, FieldError("spec", "FieldValueRequired", "Required value"))
    unknown = sorted(set(spec) - known)
    if unknown:
        raise bad_request(f'{kind}: unknown field "spec.{unknown[0]}"')
    return spec


def text(kind: str, spec: dict[str, Any], field: str) -> str:
    """A printable text. Raises ApiError 422."""
    value = spec.get(field, "")
    if not isinstance(value, str) or len(value) > 253 or not value.isprintable():
        message = "Invalid value: must be a printable text of at most 253 characters"
        raise refused(kind, FieldError(f"spec.{field}", "FieldValueInvalid", message))
    return value


def refused(kind: str, error: FieldError) -> ApiError:
    """422 with one broken rule."""
    return invalid(GROUP, kind, "", [error])
