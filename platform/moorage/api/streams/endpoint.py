"""WebSockets to pods: from a handshake to the stream that it asks for.

authenticate > find the kind > authorise > find the pod > ask its node > switch protocols. A WebSocket is a GET; for what acts
on a pod the right to ``create`` is asked for besides, as kube-apiserver does since v1.35
(AuthorizePodWebsocketUpgradeCreatePermission).
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from typing import Any, cast

from moorage.api import asgi
from moorage.api.contracts import Attributes, Decision, Identity
from moorage.api.entrance import client_of, outcome_of
from moorage.api.errors import ApiError, no_such_path
from moorage.api.failures import refusal_of
from moorage.api.options import parse_query
from moorage.api.paths import PROXY, Path
from moorage.api.proxying import websockets
from moorage.api.request import Request, new_request_id
from moorage.api.router import Router
from moorage.api.service import Service, denied
from moorage.api.streams import asking, log, nodes, portforward, remote
from moorage.api.streams.socket import Socket
from moorage.api.tunnel import api_error
from moorage.api.verbs import podverbs
from moorage.client.tunnel import TunnelError
from moorage.resources.kind import Kind

logger = logging.getLogger(__name__)

ACTING = ("exec", "attach", "portforward")
SERVED = (*ACTING, "log", PROXY)


async def serve(service: Service, router: Router, socket: Socket, path: Path) -> None:
    """Serve one WebSocket, whatever becomes of it."""
    await socket.connect()
    started = time.perf_counter()
    code, attributes, decision = 101, None, Decision(False, "not decided")
    request: Request | None = None
    request_id = new_request_id()
    try:
        identity = await router.entrance.identify(socket.scope, socket.headers, request_id)
        attributes = _attributes(identity, path)
        kind = service.registry.by_plural(path.group, path.version, path.resource)
        decision = await _permitted(service, attributes)
        if kind is None or path.subresource not in kind.subresources or path.subresource not in SERVED:
            raise no_such_path()
        request = _request(socket, identity, kind, path, request_id)
        request.standing = decision.standing
        service.config.auditor.record(attributes, decision, {**_outcome(socket, 0, request_id), "stage": "started"})
        await _stream(service, request, socket)
    except asyncio.CancelledError:
        raise
    except TunnelError as error:
        code = await _refuse(socket, api_error(error.status), request)
    except Exception as error:  # noqa: BLE001 - the edge: whatever it is, the client is told
        number = request.id if request is not None else ""
        code = await _refuse(socket, refusal_of(error, number, f"WebSocket {socket.scope['path']}"), request)
    finally:
        service.metrics.observe("connect", path.group, path.resource, code, time.perf_counter() - started)
        if attributes is not None and code >= 400:
            service.config.auditor.record(attributes, decision, _outcome(socket, code, request_id))


async def _permitted(service: Service, attributes: Attributes) -> Decision:
    """Raises ApiError 403 for the first right that is missing."""
    decision = await service.config.authorizer.authorise(attributes)
    if not decision.allowed:
        raise denied(attributes, decision)
    if attributes.subresource in ACTING:
        acting = Attributes(
            attributes.identity,
            "create",
            attributes.group,
            attributes.resource,
            attributes.subresource,
            attributes.namespace,
            attributes.name,
        )
        decision = await service.config.authorizer.authorise(acting)
        if not decision.allowed:
            raise denied(acting, decision)
    return decision


async def _stream(service: Service, request: Request, socket: Socket) -> None:
    """Run the stream until either end goes, or the server stops."""
    working = await service.run_stream(
        _run(service, request, socket), request.standing, f"stream: {request.subresource}"
    )
    if working.cancelled():
        await socket.close(1001)
        return
    error = working.exception()
    if error is not None:
        raise error


async def _run(service: Service, request: Request, socket: Socket) -> None:
    if request.subresource == PROXY:
        await websockets.relay(service, request, socket)
        return
    pod = await nodes.find_pod(service, request)
    query = socket.scope["query_string"]
    kind = request.subresource
    if kind == "log":
        protocol = socket.choose(log.PROTOCOLS)
        asked = podverbs.log_request(request, pod)
        if not (pod.get("spec") or {}).get("nodeName"):
            await log.run(socket, protocol, None)
            return
        async with nodes.open_stream(service, pod, asked) as stream:
            await log.run(socket, protocol, stream)
    elif kind == "portforward":
        protocol = socket.choose(portforward.PROTOCOLS)
        open_port = functools.partial(nodes.open_port, service, pod)
        if protocol == portforward.TUNNELLED:
            await nodes.check(service, pod, {**asking.base(kind, pod), "port": 1})
        await portforward.run(socket, protocol, query, open_port)
    else:
        protocol = socket.choose(remote.PROTOCOLS)
        async with nodes.open_stream(service, pod, asking.process(kind, pod, request.query, query)) as stream:
            await remote.run(socket, protocol, stream)


async def _refuse(socket: Socket, error: ApiError, request: Request | None) -> int:
    """Tell the client, in the way that is left; returns the code."""
    if not socket.accepted:
        headers: list[asgi.Header] = request.answer_headers() if request is not None else []
        await socket.refuse(error, headers)
    else:
        logger.info("stream %s ended: %s", socket.scope["path"], error)
        await socket.close(1011)
    return error.code


def _attributes(identity: Identity, path: Path) -> Attributes:
    return Attributes(identity, "get", path.group, path.resource, path.subresource, path.namespace, path.name)


def _outcome(socket: Socket, code: int, request_id: str) -> dict[str, Any]:
    return outcome_of(client_of(socket.scope, socket.headers), code, request_id)


def _request(socket: Socket, identity: Identity, kind: Kind, path: Path, request_id: str) -> Request:
    query = parse_query(socket.scope["query_string"])
    nothing = cast(Any, None)  # the answer goes through the WebSocket, never through these
    place = path.namespace, path.name, path.subresource
    return Request(socket.scope, nothing, nothing, socket.headers, query, identity, kind, "get", *place, request_id)
