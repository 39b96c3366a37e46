"""The real API server for tests: uvicorn over TLS on a free port, in the test's event loop or in a thread of its own.

``api`` is a fixture on a fresh database; ``serve_api`` makes one by hand (a second server on the same database, other policies);
``threaded_api`` runs one beside synchronous clients (kubectl, the official Python client).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from starlette.websockets import WebSocket

from moorage.api.allocation.services import ServiceAllocation
from moorage.api.app import MoorageApp, build_app
from moorage.api.config import ApiConfig
from moorage.api.errors import unavailable
from moorage.api.serving import ApiServer, server_config
from moorage.resources.builtin import builtin_registry
from moorage.store import PostgresStore, StoreSettings, open_store
from moorage_tenants.sealing import DocumentSealer, Kek
from tests.support.certificates import Certificates
from tests.support.identities import (
    FreeCharger,
    RecordingAuditor,
    TestAuthenticator,
    TestAuthorizer,
)
from tests.support.wait import until

KEK = bytes(range(32))
"""The same for all, so that a second server on the same database can read what the first sealed."""


class NoTunnels:
    """No node is connected."""

    def open(self, node: str, request: dict[str, Any]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Raises ApiError 503."""
        raise unavailable(f'node "{node}" has no tunnel open to the control plane; its agent may be down')

    async def accept(self, socket: WebSocket) -> None:
        """Refuse."""
        await socket.close(1008)

    async def accept_peer(self, socket: WebSocket) -> None:
        """Refuse."""
        await socket.close(1008)

    async def close(self) -> None:
        """There is nothing to close."""


@dataclass
class Policies:
    """What the server is asked with; tests change it while the server runs."""

    authenticator: TestAuthenticator = field(default_factory=TestAuthenticator)
    authorizer: TestAuthorizer = field(default_factory=TestAuthorizer)
    auditor: RecordingAuditor = field(default_factory=RecordingAuditor)


@dataclass
class RunningApi:
    """A server that answers. ``client`` is an admin's aiohttp session with ``url`` as its base."""

    url: str
    ca_file: Path
    app: MoorageApp
    store: PostgresStore
    policies: Policies
    client: aiohttp.ClientSession
    token: str = "admin-token"

    @property
    def tls(self) -> ssl.SSLContext:
        """Trusts the server's CA and no other."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def session(self, token: str = "admin-token") -> aiohttp.ClientSession:
        """A session with another token ("" for none); the caller closes it."""
        return _session(self.url, self.ca_file, token)

    def kubeconfig(self, token: str = "admin-token", namespace: str = "default") -> dict[str, Any]:
        """A kubeconfig for kubectl and others."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.ca_file)}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
        }


def _session(url: str, ca_file: Path, token: str) -> aiohttp.ClientSession:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(ca_file)), limit=0)
    return aiohttp.ClientSession(url, headers=headers, connector=connector)


@asynccontextmanager
async def serve_api(
    database_url: str,
    certificates: Certificates,
    policies: Policies | None = None,
    settings: StoreSettings | None = None,
    compose: Callable[[ApiConfig], Awaitable[ApiConfig]] | None = None,
    **overrides: Any,
) -> AsyncIterator[RunningApi]:
    """A server on ``database_url``; ``overrides`` replace fields of its ``ApiConfig``, ``settings`` its store's. ``compose``
    makes the configuration anew of one that has its store.
    """
    rules = policies or Policies()
    opened = open_store(
        database_url,
        sealer=overrides.pop("sealer", lambda keys, cluster: DocumentSealer(Kek([KEK]), keys, cluster)),
        server_name=str(overrides.get("server", "moorage")),
        settings=settings,
    )
    async with opened as store:
        registry = builtin_registry()
        allocation = ServiceAllocation(registry)
        config = ApiConfig(
            registry=registry,
            store=store,
            authenticator=rules.authenticator,
            authorizer=rules.authorizer,
            charger=FreeCharger(),
            auditor=rules.auditor,
            tunnels=NoTunnels(),
            admissions=(allocation,),
            companions=(allocation,),
            ca_pem=certificates.ca.read_bytes(),
        )
        config = replace(config, **overrides)
        app = build_app(config if compose is None else await compose(config))
        async with _running(app, certificates) as url, _session(url, certificates.ca, "admin-token") as client:
            await until(lambda: app.startup.waiting_for == "", timeout=30, every=0.01)
            yield RunningApi(url, certificates.ca, app, store, rules, client)


@asynccontextmanager
async def _running(app: MoorageApp, certificates: Certificates) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = server_config(
        app,
        loop="none",
        ssl_certfile=str(certificates.certificate),
        ssl_keyfile=str(certificates.key),
        timeout_graceful_shutdown=5,
    )
    server = ApiServer(config, app)
    serving = asyncio.create_task(server.serve([listener]), name="api server")
    try:
        await until(lambda: server.started or serving.done(), timeout=30, every=0.005)
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        # Clients that keep their end open would keep ours: TLS waits for their farewell.
        for connection in tuple(server.server_state.connections):
            connection.transport.abort()
        await until(lambda: not server.server_state.connections, timeout=5, every=0.005)
        listener.close()


@pytest.fixture
async def api(database_url: str, certificates: Certificates) -> AsyncIterator[RunningApi]:
    """A server on a database of its own."""
    async with serve_api(database_url, certificates) as running:
        yield running


@contextmanager
def threaded_api(database_url: str, certificates: Certificates, **overrides: Any) -> Iterator[RunningApi]:
    """A server in a thread of its own, for tests that block. Do not use its ``client``: it belongs to that thread's loop."""
    started: list[RunningApi] = []
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    ready = threading.Event()

    async def main() -> None:
        stop = asyncio.Event()
        try:
            async with serve_api(database_url, certificates, **overrides) as running:
                started.append(running)
                loops.append((asyncio.get_running_loop(), stop))
                ready.set()
                await stop.wait()
        finally:
            ready.set()

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="api server")
    thread.start()
    ready.wait(60)
    try:
        assert started, "the API server did not start; its thread says why"
        yield started[0]
    finally:
        for loop, stop in loops:
            loop.call_soon_threadsafe(stop.set)
        thread.join(30)
