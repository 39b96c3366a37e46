"""uvicorn as the API server runs it: watches end first, then writes in flight finish, then the connections close.

uvicorn waits for open answers before it tells an application that it stops; a watch is an answer that never ends by itself.
"""

from __future__ import annotations

import socket

import uvicorn

from moorage.api.app import MoorageApp
from moorage.api.corking import CorkedHttp

GRACE_SECONDS = 10
"""How long writes in flight may take after a stop was asked for."""


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
        "http": CorkedHttp,
        "ws": "wsproto",
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
