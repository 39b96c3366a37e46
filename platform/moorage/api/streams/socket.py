"""A client's WebSocket on the bare ASGI messages: refused with a Status, or accepted with one of the protocols that it offers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Sequence

from starlette.types import Receive, Scope, Send

from moorage.api import asgi
from moorage.api.errors import ApiError

BEARER = "base64url.bearer.authorization.k8s.io."
"""How browsers, which cannot set headers, bring a token: as an offered protocol (Kubernetes' ``wsstream``)."""


class Socket:
    """One WebSocket. ``offered`` are the protocols that the client speaks, in its order."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        offered: Sequence[str] = scope.get("subprotocols") or ()
        self.offered = [each for each in offered if not each.startswith(BEARER)]
        self.headers = _with_bearer(dict(scope["headers"]), offered)
        self.accepted = False
        self.protocol = ""

    def choose(self, known: Sequence[str]) -> str:
        """The first offered protocol that is ``known``; "" where none was offered and "" is known. Raises ApiError 400."""
        for name in self.offered or [""]:
            if name in known:
                return name
        raise ApiError(
            400, f"unable to upgrade: none of the protocols is known: {', '.join(self.offered) or 'none was offered'}"
        )

    async def connect(self) -> None:
        """Take the client's first message, which every answer must follow."""
        await self._receive()

    async def accept(self, protocol: str) -> None:
        """Switch protocols."""
        self.protocol = protocol
        self.accepted = True
        await self._send({"type": "websocket.accept", "subprotocol": protocol or None, "headers": []})

    async def refuse(self, error: ApiError, headers: Sequence[asgi.Header] = ()) -> None:
        """Answer the handshake with a Status."""
        fields = [(b"content-type", asgi.JSON), *headers, *asgi.error_headers(error)]
        await self.deny(error.code, fields, asgi.error_body(error))

    async def deny(self, code: int, headers: Sequence[asgi.Header], body: bytes) -> None:
        """Answer the handshake with a page (ASGI's "WebSocket Denial Response"). ``headers`` are without the length."""
        fields = [(b"content-length", b"%d" % len(body)), *headers]
        await self._send({"type": "websocket.http.response.start", "status": code, "headers": fields})
        await self._send({"type": "websocket.http.response.body", "body": body})

    async def messages(self) -> AsyncIterator[bytes | str]:
        """What the client sends, until it goes."""
        while (message := await self._receive())["type"] == "websocket.receive":
            data = message.get("bytes")
            yield message["text"] if data is None else data

    async def send(self, data: bytes | str) -> None:
        """Send a binary or a text message."""
        await self._send({"type": "websocket.send", "bytes" if isinstance(data, bytes) else "text": data})

    async def close(self, code: int = 1000) -> None:
        """End the connection."""
        await self._send({"type": "websocket.close", "code": code})


def _with_bearer(headers: dict[bytes, bytes], offered: Sequence[str]) -> dict[bytes, bytes]:
    token = next((each.removeprefix(BEARER) for each in offered if each.startswith(BEARER)), "")
    if token and b"authorization" not in headers:
        try:
            decoded = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (binascii.Error, ValueError):
            return headers
        headers[b"authorization"] = b"Bearer " + decoded
    return headers
