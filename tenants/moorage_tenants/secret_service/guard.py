"""Who may call an endpoint of ours: authenticate, authorise, write down, answer refusals as a Status."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from moorage.api import impersonation
from moorage.api.contracts import Attributes, Auditor, Authenticator, Authorizer, Decision, Identity
from moorage.api.errors import ApiError, bad_request, forbidden, unauthorized, unavailable
from moorage.api.peer import peer_certificate
from moorage.api.request import new_request_id
from moorage.store.contracts import OutcomeUnknown, Unavailable

LONGEST_BODY = 3 * 1024 * 1024

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Guard:
    """Checks requests with the platform's own policies."""

    authenticator: Authenticator
    authorizer: Authorizer
    auditor: Auditor

    async def identify(self, request: Request) -> Identity:
        """Who asks, or whom that one acts as. Raises ApiError 401; 400 and 403 for an impersonation."""
        credentials = request.headers.get("authorization", "")
        identity = await self.authenticator.authenticate(credentials, peer_certificate(request.scope))
        if identity is None or not identity.name:
            raise unauthorized()
        if impersonation.asked(dict(request.headers.raw)):
            return await impersonation.acting_as(identity, request.headers.raw, self._require)
        return identity

    async def _require(self, attributes: Attributes) -> None:
        decision = await self.authorizer.authorise(attributes)
        if not decision.allowed:
            raise forbidden(attributes.group, attributes.resource, attributes.name, decision.reason)

    async def allow(
        self, request: Request, verb: str, group: str, resource: str, namespace: str, name: str, action: str = ""
    ) -> Identity:
        """The caller, who may do this. What was asked is written down whatever comes of it. Raises ApiError 401, 403."""
        identity = await self.identify(request)
        attributes = Attributes(identity, verb, group, resource, "", namespace, name)
        decision = await self.authorizer.authorise(attributes)
        self.note(attributes, decision, action)
        if not decision.allowed:
            raise forbidden(group, resource, name, decision.reason)
        return identity

    def note(self, attributes: Attributes, decision: Decision, action: str) -> None:
        """Write one line of audit; ``action`` says which endpoint of ours it was (history, unseal)."""
        outcome: dict[str, Any] = {"code": 200 if decision.allowed else 403, "id": new_request_id()}
        if action:
            outcome["action"] = action
        self.auditor.record(attributes, decision, outcome)


def answering(handler: Handler) -> Handler:
    """``handler`` whose refusals are answered as a Status."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except (Unavailable, OutcomeUnknown) as error:
            refusal = unavailable(f"the database cannot be reached: {error}")
        except ApiError as error:
            refusal = error
        return JSONResponse(refusal.status(), status_code=refusal.code, headers=refusal.headers)

    return answer


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object of the body. Raises ApiError 400, 413. No message shows any of it: it may hold a secret."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_BODY:
            raise ApiError(413, f"Request entity too large: limit is {LONGEST_BODY}")
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        raise bad_request("the body is no JSON") from None
    if not isinstance(document, dict):
        raise bad_request("the body must be a JSON object")
    return document
