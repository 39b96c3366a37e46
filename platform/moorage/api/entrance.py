"""Who comes in: authentication and acting as somebody else, the same for every endpoint. Who may not is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import Scope

from moorage.api import impersonation, paths
from moorage.api.contracts import Attributes, Auditor, Authenticator, Authorizer, Client, Decision, Identity
from moorage.api.errors import ApiError, bad_request, forbidden, unauthorized
from moorage.api.peer import KEY as PEER

LONGEST_AGENT = 256
"""Characters of a program's name that are kept."""
NOBODY = Identity(impersonation.ANONYMOUS, frozenset({impersonation.UNAUTHENTICATED}))
"""Stands in the audit for whoever could not be told."""
NOT_AUTHENTICATED = Decision(False, "the credentials were not accepted")
NO_CREDENTIALS = Decision(False, "no credentials were given")
METHODS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def client_of(scope: Mapping[str, Any], headers: Mapping[bytes, bytes] | None = None) -> Client:
    """Where a request came from."""
    address = scope.get("client")
    agent = (headers if headers is not None else dict(scope["headers"])).get(b"user-agent", b"")
    return Client(str(address[0]) if address else "", agent.decode("latin-1")[:LONGEST_AGENT])


def outcome_of(client: Client, code: int, request_id: str) -> dict[str, Any]:
    """What ``Auditor.record`` is told of every request."""
    return {"code": code, "id": request_id, "source_ip": client.source_ip, "user_agent": client.user_agent}


def check_single(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Raises ApiError 400 for more than one ``Authorization``: a proxy may have looked at another of them than we would."""
    if sum(name == b"authorization" for name, _ in headers) > 1:
        raise bad_request("Authorization: may be given once only")


@dataclass(frozen=True, slots=True)
class Entrance:
    """Finds out who asks."""

    authenticator: Authenticator
    authorizer: Authorizer
    auditor: Auditor

    async def identify(
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes] | None = None,
        request_id: str = "",
    ) -> Identity:
        """Who asks, or whom that one acts as. ``headers`` are the scope's as a mapping, where there is one. Raises ApiError
        401 where it is nobody, 400 and 403 for an impersonation that cannot or may not be.
        """
        if headers is None:
            headers = dict(scope["headers"])
        if len(headers) != len(scope["headers"]):
            check_single(scope["headers"])
        credentials = headers.get(b"authorization", b"").decode("latin-1")
        try:
            identity = await self.authenticator.authenticate(credentials, scope.get(PEER))
        except ApiError as error:
            if error.code == 401:
                self.refuse(scope, headers, request_id)
            raise
        if identity is None or not identity.name:
            self.refuse(scope, headers, request_id)
            raise unauthorized()
        if not impersonation.asked(headers):
            return identity

        async def require(attributes: Attributes) -> None:
            decision = await self.authorizer.authorise(attributes)
            if not decision.allowed:
                self.auditor.record(attributes, decision, outcome_of(client_of(scope, headers), 403, request_id))
                raise forbidden(attributes.group, attributes.resource, attributes.name, decision.reason)

        return await impersonation.acting_as(identity, scope["headers"], require)

    def refuse(
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        request_id: str = "",
        asked: Attributes | None = None,
    ) -> None:
        """Write down that somebody could not come in: with what was asked for, never with the credentials."""
        given = b"authorization" in headers or scope.get(PEER) is not None
        outcome = outcome_of(client_of(scope, headers), 401, request_id)
        self.auditor.record(asked or _asked(scope), NOT_AUTHENTICATED if given else NO_CREDENTIALS, outcome)


def _asked(scope: Scope) -> Attributes:
    """What a request of nobody was for, as far as its path says it."""
    verb = METHODS.get(scope.get("method", "GET"), "get")
    path = paths.parse(scope["path"])
    if path is None:
        return Attributes(NOBODY, verb, path=scope["path"])
    return Attributes(NOBODY, verb, path.group, path.resource, path.subresource, path.namespace, path.name)
