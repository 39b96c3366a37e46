"""uvicorn as the API server runs it: watches end first, then writes in flight finish, then the connections close.

uvicorn waits for open answers before it tells an application that it stops; a watch is an answer that never ends by itself.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import cast

import uvicorn
import wsproto.events
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from moorage.api.app import MoorageApp
from moorage.api.corking import CorkedHttp
from moorage.api.peer import KEY, certificate_of

GRACE_SECONDS = 10
"""How long writes in flight may take after a stop was asked for."""


class Http(CorkedHttp):
    """Corked HTTP whose requests know the client's certificate."""

    _certificate: bytes | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own does
        """A connection is there; its handshake is over."""
        self._certificate = certificate_of(transport)
        super().connection_made(transport)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        if self._certificate is not None:
            cast("dict[str, object]", self.scope)[KEY] = self._certificate


class WebSocket(WSProtocol):
    """WebSockets that know the client's certificate."""

    def handle_connect(self, event: wsproto.events.Request) -> None:
        """The handshake's request is there."""
        super().handle_connect(event)
        certificate = certificate_of(self.transport)
        if certificate is not None:
            cast("dict[str, object]", self.scope)[KEY] = certificate


class ApiServer(uvicorn.Server):
    """A uvicorn server that ends the application's streams when it is told to stop."""

    def __init__(self, config: uvicorn.Config, app: MoorageApp) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: no new connections, no more streams, then what is left to answer."""
        self._app.service.stop_streams()
        await super().shutdown(sockets)


def server_config(app: MoorageApp, **options: object) -> uvicorn.Config:
    """uvicorn's configuration for ``app``: uvloop and httptools, no access log (the audit is ours), bounded waits.

    ``options`` are uvicorn's own (host, port, ssl_certfile, ...).
    """
    settings: dict[str, object] = {
        "loop": "uvloop",
        "http": Http,
        "ws": WebSocket,
        "lifespan": "on",
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": 75,
        "timeout_graceful_shutdown": GRACE_SECONDS,
        "h11_max_incomplete_event_size": None,
        **options,
    }
    return uvicorn.Config(app, **settings)  # type: ignore[arg-type]  # uvicorn's options are typed one by one


def accept_client_certificates(context: ssl.SSLContext, client_ca: Path) -> None:
    """Let clients show certificates of ``client_ca``; one that does not hold ends the handshake. Raises OSError, ssl.SSLError."""
    context.load_verify_locations(cafile=str(client_ca))
    context.verify_mode = ssl.CERT_OPTIONAL
