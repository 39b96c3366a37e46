"""Requests straight into an application, without a socket: thousands of them in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Scope

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A status code, and the body as far as it was read."""

    code: int
    body: bytes = b""

    @property
    def message(self) -> str:
        """The message of a Status; "" for anything else."""
        try:
            return str(orjson.loads(self.body).get("message", ""))
        except (orjson.JSONDecodeError, AttributeError):
            return ""


class Asgi:
    """Speaks to ``app`` as a client at 127.0.0.1 would."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def request(self, method: str, target: str, body: Any = None, headers: Headers | None = None) -> Answer:
        """One request; ``body`` is sent as JSON. Whoever waits for the client's end (a watch) meets it at once."""
        code, parts, sent = 0, bytearray(), False
        data = b"" if body is None else orjson.dumps(body)
        length = {"content-length": str(len(data))} if data else {}

        async def receive() -> Message:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": data, "more_body": False}
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            else:
                parts.extend(message.get("body", b""))

        scope = _scope("http", target, {**length, **(headers or {})})
        await self._app({**scope, "method": method, "scheme": "https"}, receive, send)
        return Answer(code, bytes(parts))

    async def websocket(self, target: str, headers: Headers | None = None) -> Answer:
        """A handshake, and a farewell where it succeeded: 101, or what it was refused with."""
        code, parts, sent = 0, bytearray(), False

        async def receive() -> Message:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "websocket.connect"}
            return {"type": "websocket.disconnect", "code": 1000}

        async def send(message: Message) -> None:
            nonlocal code
            match message["type"]:
                case "websocket.accept":
                    code = 101
                case "websocket.close":
                    code = code or 403
                case "websocket.http.response.start":
                    code = message["status"]
                case "websocket.http.response.body":
                    parts.extend(message.get("body", b""))

        scope = _scope("websocket", target, headers or {})
        extensions: Scope = {"websocket.http.response": {}}
        await self._app({**scope, "scheme": "wss", "subprotocols": [], "extensions": extensions}, receive, send)
        return Answer(code, bytes(parts))


def _scope(kind: str, target: str, headers: Headers) -> Scope:
    path, _, query = target.partition("?")
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"host", b"test"), *((name.lower().encode(), value.encode()) for name, value in headers.items())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 443),
    }
