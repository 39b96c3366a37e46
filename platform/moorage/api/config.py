"""What the API server is made of. The composition root fills this in; nothing here has a default that opens a door."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from moorage.api.contracts import Admission, Auditor, Authenticator, Authorizer, Charger, Companions
from moorage.resources.registry import Registry
from moorage.store.contracts import Store

MAX_BODY = 3 * 1024 * 1024
"""Bytes of one object's request, as in Kubernetes."""
MAX_TRANSACTION = 32 * 1024 * 1024
"""Bytes of a transaction or batch."""


class NodeTunnels(Protocol):
    """The way to the nodes (``moorage.api.tunnel.Tunnels``)."""

    def open(self, node: str, request: dict[str, Any]) -> AbstractAsyncContextManager[AsyncIterable[bytes]]:
        """A stream from ``node``. Raises ApiError 503 where it has no tunnel, TunnelError for what it refuses."""
        ...

    async def accept(self, socket: WebSocket) -> None:
        """Serve an agent's tunnel; authenticates and authorises by itself."""
        ...

    async def accept_peer(self, socket: WebSocket) -> None:
        """Serve another API server; checks its credential by itself."""
        ...

    async def close(self) -> None:
        """End every tunnel."""
        ...


class Mount(NamedTuple):
    """An application under a path prefix (``/git``). It authenticates and authorises by itself, with our contracts."""

    prefix: str
    app: ASGIApp


@dataclass(frozen=True, kw_only=True)
class ApiConfig:
    """Everything that ``build_app`` needs. ``ca_pem`` is published at ``/cacerts``."""

    registry: Registry
    store: Store
    authenticator: Authenticator
    authorizer: Authorizer
    charger: Charger
    auditor: Auditor
    tunnels: NodeTunnels
    admissions: Sequence[Admission] = ()
    companions: Sequence[Companions] = ()
    mounts: Sequence[Mount] = ()
    server: str = "moorage"
    """This server's identity among others."""
    version: Mapping[str, str] = field(default_factory=dict)
    """Additions to ``/version``."""
    ca_pem: bytes = b""
    metrics: Sequence[Callable[[], Iterable[str]]] = ()
    """Whose lines ``/metrics`` shows beside the API's own (Prometheus text)."""
    bookmark_seconds: float = 60.0
    """How often a watcher that asked for them gets a bookmark."""
    request_seconds: float = 60.0
    """Time that a request other than a watch or a followed log may take."""
