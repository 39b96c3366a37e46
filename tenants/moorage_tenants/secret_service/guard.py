"""Who may call an endpoint of ours: authenticate, authorise, write down, answer refusals as a Status."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from moorage.api.contracts import Attributes, Auditor, Authenticator, Authorizer, Decision, Identity
from moorage.api.entrance import Entrance, client_of, outcome_of
from moorage.api.errors import ApiError, bad_request, forbidden, unavailable
from moorage.api.request import request_id_of
from moorage.store.contracts import OutcomeUnknown, Unavailable
from moorage_tenants import names

LONGEST_BODY = 3 * 1024 * 1024

Handler = Callable[[Request], Awaitable[Response]]

_PARTS = frozenset({names.NODES, names.CONTROLLERS})


@dataclass(frozen=True, slots=True)
class Guard:
    """Checks requests with the platform's own policies."""

    authenticator: Authenticator
    authorizer: Authorizer
    auditor: Auditor

    async def identify(self, request: Request) -> Identity:
        """Who asks, or whom that one acts as. Raises ApiError 401; 400 and 403 for an impersonation."""
        entrance = Entrance(self.authenticator, self.authorizer, self.auditor)
        return await entrance.identify(request.scope, None, request_id_of(request.scope))

    async def allow(
        self, request: Request, verb: str, group: str, resource: str, namespace: str, name: str, action: str = ""
    ) -> Identity:
        """The caller, who may do this. What was asked is written down whatever comes of it. Raises ApiError 401, 403.

        ``action`` is for people and their programs: the platform's own parts may read Secrets as they are now, for the pods that
        need them, and nothing of what was in them before.
        """
        identity = await self.identify(request)
        attributes = Attributes(identity, verb, group, resource, "", namespace, name)
        if action and identity.groups & _PARTS:
            why = f'User "{identity.name}" cannot {verb} resource "{resource}/{action}": the platform\'s parts have no need of it'
            decision = Decision(False, why)
        else:
            decision = await self.authorizer.authorise(attributes)
        self.note(request, attributes, decision, action)
        if not decision.allowed:
            raise forbidden(group, resource, name, decision.reason)
        return identity

    def note(self, request: Request, attributes: Attributes, decision: Decision, action: str) -> None:
        """Write one row of the audit; ``action`` says which endpoint of ours it was (history, unseal)."""
        code = 200 if decision.allowed else 403
        outcome = outcome_of(client_of(request.scope), code, request_id_of(request.scope))
        if action:
            outcome["action"] = action
        self.auditor.record(attributes, decision, outcome)


def answering(handler: Handler) -> Handler:
    """``handler`` whose refusals are answered as a Status."""

    async def answer(request: Request) -> Response:
        try:
            _check_text(request)
            return await handler(request)
        except (Unavailable, OutcomeUnknown) as error:
            refusal = unavailable(f"the database cannot be reached: {error}")
        except ApiError as error:
            refusal = error
        return JSONResponse(refusal.status(), status_code=refusal.code, headers=refusal.headers)

    return answer


def _check_text(request: Request) -> None:
    """Raises ApiError 400 for what no text in PostgreSQL can hold."""
    if any("\0" in text for text in (request.scope["path"], *request.query_params.values())):
        raise bad_request("the path and the query must not contain the character U+0000")


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
