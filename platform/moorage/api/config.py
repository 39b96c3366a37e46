"""What the API server is made of. The composition root fills this in; nothing here has a default that opens a door."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from moorage.api.contracts import Admission, Auditor, Authenticator, Authorizer, Charger, Companions, Reviewer
from moorage.api.fairness.contracts import FlowOwners, NoOwners
from moorage.resources.kind import Document
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
    impersonates: bool = False
    """It understands ``Impersonate-`` headers. Where it does not, requests with them are refused before they reach it."""


def _leave_alone(_stored: Document, _wanted: Document) -> Document | None:
    return None


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
    handlers: Mapping[tuple[str, str, str, str], Callable[[Any, Any], Awaitable[None]]] = field(default_factory=dict)
    """What policies serve themselves, by (group, plural, subresource, verb): called with the Service and the Request, once
    the authorizer has allowed it.
    """
    mounts: Sequence[Mount] = ()
    bootstrap: Sequence[Document] = ()
    """Objects that are made where they are missing, before the server is ready (roles, priority levels)."""
    bring_up_to_date: Callable[[Document, Document], Document | None] = _leave_alone
    """What a bootstrap object becomes that is stored already, of (stored, wanted); None: it is left alone."""
    reviewer: Reviewer | None = None
    """Who answers questions about rights; without one there are no reasons and no lists of rules."""
    flow_owners: FlowOwners = field(default_factory=NoOwners)
    """Whose queue a request waits in."""
    server: str = "moorage"
    """This server's identity among others."""
    version: Mapping[str, str] = field(default_factory=dict)
    """Additions to ``/version``."""
    ca_pem: bytes = b""
    advertise: str = ""
    """``HOST:PORT`` where others reach this server, for the endpoints of ``default/kubernetes``; "" leaves it out of them."""
    service_cidrs: Sequence[str] = ("10.96.0.0/16",)
    """Where addresses of Services come from at a cluster's first start; later the ServiceCIDR objects say so."""
    metrics: Sequence[Callable[[], Iterable[str]]] = ()
    """Whose lines ``/metrics`` shows beside the API's own (Prometheus text)."""
    bookmark_seconds: float = 60.0
    """How often a watcher that asked for them gets a bookmark."""
    request_seconds: float = 60.0
    """Time that a request other than a watch or a followed log may take."""
