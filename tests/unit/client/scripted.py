"""A TLS server that answers by script, and counts what it is asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from moorage.client.api import ApiClient
from tests.support.certificates import Certificates

CLOSING = web.AppKey("closing", asyncio.Event)
"""Set when the server ends: answers that hold on wait for it."""
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Script:
    """``answer`` serves every request; ``seen`` keeps them as "METHOD path?query"."""

    def __init__(self, url: str, certificates: Certificates) -> None:
        self.url = url
        self.seen: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.connections: set[tuple[str, int]] = set()
        self._ca = certificates.ca

    def client(self, **options: object) -> ApiClient:
        """A client of this server."""
        return ApiClient(self.url, ca_file=self._ca, **{"token": "secret", **options})  # type: ignore[arg-type] # test options

    def note(self, request: web.Request) -> None:
        """Keep what was asked."""
        self.seen.append(f"{request.method} {request.path_qs}")
        self.headers.append(dict(request.headers))
        assert request.transport is not None
        self.connections.add(request.transport.get_extra_info("peername"))


@asynccontextmanager
async def scripted(certificates: Certificates, answer: Answer) -> AsyncIterator[Script]:
    """Serve ``answer`` on a free port."""
    scripts: list[Script] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        scripts[0].note(request)
        return await answer(request)

    app = web.Application()
    app[CLOSING] = asyncio.Event()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificates.certificate, certificates.key)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    scripts.append(Script(f"https://127.0.0.1:{port}", certificates))
    try:
        yield scripts[0]
    finally:
        app[CLOSING].set()
        await runner.cleanup()


def status(code: int, reason: str = "", message: str = "no", **headers: str) -> web.Response:
    """A ``Status`` failure."""
    document = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
    if reason:
        document["reason"] = reason
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response(document, status=code, headers=named)
