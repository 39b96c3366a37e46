"""The lean route of the resource verbs: from an ASGI scope to a verb and back. Nothing of a framework runs here.

authenticate > find the kind > authorise > verb; whatever is refused on the way is answered as a Status, audited and counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from moorage.api import asgi, paths
from moorage.api.contracts import Attributes, Decision
from moorage.api.entrance import METHODS, Entrance, outcome_of
from moorage.api.errors import ApiError, no_such_path
from moorage.api.failures import overdue, refusal_of
from moorage.api.fairness.classify import Asked
from moorage.api.fairness.contracts import Ticket
from moorage.api.fairness.control import FREE
from moorage.api.filtering import Filter, filter_of
from moorage.api.options import EVERYTHING, ListOptions, flag, list_options, parse_query
from moorage.api.paths import Path
from moorage.api.proxying import pages
from moorage.api.request import Request, new_request_id
from moorage.api.service import Service, denied
from moorage.api.verbs import routes
from moorage.resources.kind import Kind

log = logging.getLogger(__name__)

ALLOWED = Decision(True)
UNDECIDED = Decision(False, "not decided")
_COLLECTION_VERBS = frozenset(("list", "watch", "deletecollection"))


def method_not_allowed(allowed: str = "") -> ApiError:
    """405 with Kubernetes' text."""
    headers = {"Allow": allowed} if allowed else {}
    return ApiError(405, "the server does not allow this method on the requested resource", headers=headers)


class Router:
    """The Kubernetes API as an ASGI application (http scopes only)."""

    def __init__(self, service: Service) -> None:
        self._service = service
        config = service.config
        self.entrance = Entrance(config.authenticator, config.authorizer, config.auditor)
        self._authorise = config.authorizer.authorise
        self._deadlines = service.deadlines
        self._flow = service.flow

    async def __call__(self, scope: Scope, receive: Receive, send: Send, path: Path) -> None:
        """Answer one request for ``path``."""
        started = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id = new_request_id()
        try:
            identity = await self.entrance.identify(scope, headers, request_id)
            query = parse_query(scope["query_string"])
            verb = verb_of(scope["method"], path, query)
            if path.watch and path.name:
                # The old way to watch one object.
                query = {**query, "fieldSelector": f"metadata.name={path.name}"}
        except Exception as error:  # noqa: BLE001 - the edge: whatever it is, the client is told
            refusal = refusal_of(error, request_id, f"{scope['method']} {scope['path']}")
            await _refuse(send, refusal, [(b"audit-id", request_id.encode())])
            self._observe("", path, self._kind(path), refusal.code, started)
            return
        kind = self._kind(path)
        place = path.namespace, path.name, path.subresource
        request = Request(scope, receive, send, headers, query, identity, kind or _UNKNOWN, verb, *place, request_id)
        await self._answer(request, path, kind, started)

    async def _answer(self, request: Request, path: Path, kind: Kind | None, started: float) -> None:
        attributes, decision = _attributes(request, path), UNDECIDED
        clock, ticket, told = None, _NOTHING_HELD, False
        try:
            ticket = await self._turn(request, path)
            # A GET of one object has nothing to wait for but the store, which has deadlines of its own.
            clock = None if request.verb == "get" and not request.subresource else self._deadlines.begin()
            options, only = EVERYTHING, None
            if kind is not None and request.verb in _COLLECTION_VERBS:
                options = list_options(request.query, watch=request.verb == "watch")
                only = filter_of(kind, options)
                if not only.everything:
                    attributes = _attributes(request, path, only.name, only.exact_fields)
            decision = await self._authorise(attributes)
            if not decision.allowed and path.rest and path.resource == "nodes":
                finer = pages.finer(attributes, path.rest)
                decision = await self._authorise(finer) if finer is not None else decision
            request.standing = decision.standing
            if kind is None:
                raise no_such_path() if decision.allowed else denied(attributes, decision)
            if clock is not None and _lasts(request):
                self._deadlines.end(clock)
                ticket.leave()
                ticket = _NOTHING_HELD
                if decision.allowed:
                    # It may last for hours: the audit is told when it begins.
                    begun = {**_outcome(request), "code": 200, "stage": "started"}
                    self._service.config.auditor.record(attributes, decision, begun)
                    told = True
            await self._serve(request, attributes, decision, options, only)
            # A create that the authorizer refused without its object may have been allowed with it.
            decision = decision if decision.allowed or request.code >= 400 else ALLOWED
        except asgi.Disconnected:
            request.code = 499
        except asyncio.CancelledError:
            if clock is None or not self._deadlines.end(clock):
                raise
            await self._fail(request, overdue())
        except Exception as error:  # noqa: BLE001 - the edge: whatever it is, the client is told
            what = f"{request.scope['method']} {request.scope['path']}"
            await self._fail(request, refusal_of(error, request.id, what))
        finally:
            ticket.leave()
            if clock is not None:
                self._deadlines.end(clock)
            self._observe(request.verb, path, kind, request.code, started)
            if not told or request.code >= 400:
                self._service.config.auditor.record(attributes, decision, _outcome(request))

    async def _turn(self, request: Request, path: Path) -> Ticket:
        """Wait until it is this request's turn. Raises ApiError 429."""
        asked = Asked(request.verb, path.group, path.resource, path.subresource, path.namespace, "")
        place = self._flow.place(request.identity, asked)
        request.flow_headers = place.headers
        return _NOTHING_HELD if place.level is None else await self._flow.enter(place)

    def _observe(self, verb: str, path: Path, kind: Kind | None, code: int, started: float) -> None:
        """Count the request. What is not served has no name of its own: clients could make up any number of them."""
        resource = path.resource if kind is not None else "unknown"
        group = path.group if kind is not None else ""
        self._service.metrics.observe(verb, group, resource, code, time.perf_counter() - started)

    async def _serve(
        self, request: Request, attributes: Attributes, decision: Decision, options: ListOptions, only: Filter | None
    ) -> None:
        if only is None:
            if not decision.allowed and (request.verb != "create" or request.subresource):
                raise denied(attributes, decision)
            await routes.serve(self._service, request, None if decision.allowed else decision)
            return
        if not decision.allowed:
            if decision.visible is None or request.verb not in ("list", "watch"):
                raise denied(attributes, decision)
            only = only.narrowed(decision.visible)
        handler = routes.collection(request.kind, request.verb)
        if handler is None or request.verb not in request.kind.verbs:
            raise method_not_allowed()
        await handler(self._service, request, options, only)

    def _kind(self, path: Path) -> Kind | None:
        """The kind behind a path. None also where the path's shape does not fit the kind's scope."""
        kind = self._service.registry.by_plural(path.group, path.version, path.resource)
        if kind is None:
            return None
        if path.namespaced != kind.namespaced and (path.namespaced or path.name):
            return None
        if path.subresource and path.subresource not in kind.subresources:
            return None
        return kind

    async def _fail(self, request: Request, error: ApiError) -> None:
        """Answer with a refusal, where no answer has begun."""
        if request.code:
            log.warning("%s %s broke off: %s", request.scope["method"], request.scope["path"], error)
            asgi.abort(request.send)
            return
        request.code = error.code
        await _refuse(request.send, error, request.answer_headers())


async def _refuse(send: Send, error: ApiError, headers: Any) -> None:
    await asgi.respond(send, error.code, asgi.error_body(error), asgi.JSON, [*headers, *asgi.error_headers(error)])


def verb_of(method: str, path: Path, query: Mapping[str, str]) -> str:
    """Kubernetes' verb. Raises ApiError 405 for a method that names none."""
    verb = METHODS.get(method)
    if verb is None and method == "OPTIONS" and path.subresource == paths.PROXY:
        return ""  # has no verb, as in Kubernetes: only who may everything may
    if verb is None:
        raise method_not_allowed("GET, HEAD, POST, PUT, PATCH, DELETE")
    if path.name:
        return "watch" if path.watch and verb == "get" and not path.subresource else verb
    if verb == "get":
        return "watch" if path.watch or (query and flag(query, "watch")) else "list"
    if verb == "delete":
        return "deletecollection"
    if verb != "create":
        raise method_not_allowed("GET, HEAD, POST, DELETE")
    return verb


def _lasts(request: Request) -> bool:
    """Whether the request may take as long as it likes (Kubernetes' long-running requests)."""
    if request.subresource == "log":
        return routes.follows(request)
    return request.verb == "watch" or request.subresource == paths.PROXY


def _outcome(request: Request) -> dict[str, Any]:
    return outcome_of(request.client, request.code, request.id)


def _attributes(
    request: Request, path: Path, selected: str = "", fields: Mapping[str, str] | None = None
) -> Attributes:
    return Attributes(
        request.identity,
        request.verb,
        path.group,
        path.resource,
        path.subresource,
        path.namespace,
        path.name or selected,
        "",
        fields or {},
    )


_NOTHING_HELD: Ticket = FREE
_UNKNOWN: Any = None
"""Stands for the kind of a request whose kind is not served; nothing reads it."""
