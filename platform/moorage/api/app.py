"""The API server's application: FastAPI outside for our own endpoints, the resource verbs as one lean route before it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from moorage.api import asgi, impersonation, paths
from moorage.api.bootstrap import RETRY_SECONDS, Startup
from moorage.api.config import ApiConfig, Mount
from moorage.api.contracts import Transactor
from moorage.api.entrance import check_single
from moorage.api.errors import ApiError, bad_request
from moorage.api.fairness.condition import mark_all
from moorage.api.health import add_health_routes
from moorage.api.presence import Presence
from moorage.api.public import add_public_routes, error_handlers
from moorage.api.router import Router
from moorage.api.service import Service
from moorage.api.streams import endpoint
from moorage.api.streams.socket import Socket
from moorage.api.transactions.engine import Engine
from moorage.resources.schemas import warm
from moorage.store.contracts import OutcomeUnknown, Unavailable

log = logging.getLogger(__name__)


class MoorageApp(FastAPI):
    """FastAPI for everything but the resource verbs, mounts and tunnels, which never see its middleware."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.startup = Startup(service)
        super().__init__(
            title="Moorage",
            lifespan=self._live,
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )
        self._router = Router(service)
        self._mounts = tuple(mount._replace(prefix=mount.prefix.rstrip("/")) for mount in service.config.mounts)
        self._prefixes = tuple(mount.prefix for mount in self._mounts)
        tunnels = service.config.tunnels
        self.node_sockets = {"tunnel": tunnels.accept, "dial": tunnels.accept_peer}
        """WebSockets of nodes, by the last part of their path; each checks who comes by itself."""
        add_health_routes(self, service, self.startup)
        add_public_routes(self, service, self._router)
        error_handlers(self)

    @property
    def transactor(self) -> Transactor:
        """The transaction primitive, for the Git host."""
        return Engine(self.service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Resource paths first: they are nearly all that comes."""
        if scope["type"] == "http":
            path = scope["path"]
            found = paths.parse(path)
            if found is not None and not path.startswith(self._prefixes):
                await self._router(scope, receive, send, found)
                return
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        for mount in self._mounts:
            if _below(mount.prefix, scope.get("path", "")):
                if scope["type"] == "http" and (refusal := _odd_headers(scope, mount)):
                    await _refuse(send, refusal)
                    return
                await mount.app(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The nodes' tunnels and the other servers' way to them; both check who comes by themselves."""
        path = paths.parse(scope["path"])
        socket = WebSocket(scope, receive, send)
        if (
            path is not None
            and (path.group, path.version, path.resource) == ("moorage.io", "v1", "nodes")
            and path.name
        ):
            scope["path_params"] = {"node": path.name}
            serve = self.node_sockets.get(path.subresource)
            if serve is not None:
                await serve(socket)
                return
        if path is not None and path.resource in ("pods", "services") and path.group == "":
            await endpoint.serve(self.service, self._router, Socket(scope, receive, send), path)
            return
        await socket.close(1008, "there is no such stream")

    @asynccontextmanager
    async def _live(self, _app: FastAPI) -> AsyncIterator[None]:
        starting = asyncio.create_task(self._run(), name="api: startup")
        revoking = asyncio.create_task(self.service.standings.run(), name="api: rights of open streams")
        try:
            yield
        finally:
            self.service.stop_streams()
            self.service.deadlines.close()
            starting.cancel()
            revoking.cancel()
            await asyncio.gather(starting, revoking, return_exceptions=True)
            await self.service.config.tunnels.close()

    async def _run(self) -> None:
        """Become ready, then tell of this server, and keep the priority levels as the store says, until cancelled."""
        await self._start()
        async with asyncio.TaskGroup() as tasks:
            if self.service.config.advertise:
                presence = Presence(self.service, self.service.config.advertise)
                tasks.create_task(presence.run(), name="api: presence")
            tasks.create_task(self._follow_flows(), name="api: priority levels")

    async def _follow_flows(self) -> None:
        while True:
            try:
                await self.service.flow.follow(self.service.store, partial(mark_all, self.service))
            except* (Unavailable, OutcomeUnknown, ApiError) as errors:
                log.warning("the flow schemas are read again: %s", "; ".join(map(str, errors.exceptions)))
            await asyncio.sleep(RETRY_SECONDS)

    async def _start(self) -> None:
        await asyncio.to_thread(warm, list(self.service.registry))
        try:
            await self.startup.run()
        except Exception:
            log.exception("the server cannot become ready")
            raise


async def _refuse(send: Send, error: ApiError) -> None:
    await asgi.respond(send, error.code, asgi.error_body(error), asgi.JSON)


def _odd_headers(scope: Scope, mount: Mount) -> ApiError | None:
    """Why a mount does not get to see a request."""
    try:
        check_single(scope["headers"])
    except ApiError as error:
        return error
    if not mount.impersonates and impersonation.asked(dict(scope["headers"])):
        return bad_request("this endpoint does not let you act as somebody else")
    return None


def _below(prefix: str, path: str) -> bool:
    """Whether a mount answers for ``path``."""
    return path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/")


def build_app(config: ApiConfig) -> MoorageApp:
    """The API server as an ASGI application. ``app.service.stop_streams()`` ends its watches (see ``moorage.api.serving``)."""
    return MoorageApp(Service(config))
