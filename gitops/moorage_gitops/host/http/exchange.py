"""One HTTP exchange: headers, a body read as a stream (gzip or not), answers in the plain text that Git shows to people."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Sequence

from starlette.types import Receive, Scope, Send

Header = tuple[bytes, bytes]
NO_CACHE: Sequence[Header] = (
    (b"cache-control", b"no-cache, max-age=0, must-revalidate"),
    (b"expires", b"Fri, 01 Jan 1980 00:00:00 GMT"),
    (b"pragma", b"no-cache"),
)


class Disconnected(Exception):
    """The client went away."""


class Refusal(Exception):
    """An answer other than 200.

    ``message`` is shown by Git as ``remote:`` lines (but for 401, where Git asks for credentials).
    """

    def __init__(self, code: int, message: str, headers: Sequence[Header] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = tuple(headers)


class Exchange:
    """A request and its answer. ``started`` says whether the answer has begun."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._ended = False
        self.started = False

    def header(self, name: bytes) -> str:
        """A request header, "" where it is missing."""
        return self._headers.get(name, b"").decode("latin-1")

    async def raw(self) -> AsyncIterator[bytes]:
        """The body as it was sent. Raises Disconnected."""
        while not self._ended:
            message = await self._receive()
            if message["type"] != "http.request":
                raise Disconnected
            self._ended = not message.get("more_body", False)
            if chunk := message.get("body", b""):
                yield chunk

    async def body(self) -> AsyncIterator[bytes]:
        """The body, unpacked where it is gzip, in chunks of at most 1 MB. Raises Disconnected and Refusal."""
        encoding = self.header(b"content-encoding").lower()
        if encoding in ("", "identity"):
            async for chunk in self.raw():
                yield chunk
        elif encoding in ("gzip", "x-gzip"):
            async for chunk in self._gunzip():
                yield chunk
        else:
            raise Refusal(415, f"Content-Encoding {encoding!r} is not understood; send gzip or nothing")

    async def _gunzip(self) -> AsyncIterator[bytes]:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            async for packed in self.raw():
                while packed and not unpacker.eof:
                    if chunk := unpacker.decompress(packed, 1 << 20):
                        yield chunk
                    packed = unpacker.unconsumed_tail
        except zlib.error:
            raise Refusal(400, "the request's gzip data is damaged") from None
        if not unpacker.eof:
            raise Refusal(400, "the request's gzip data ends too early")

    async def disconnected(self) -> None:
        """Return when the client goes away; what it still sends is dropped."""
        while (await self._receive())["type"] == "http.request":
            self._ended = True

    async def start(self, content_type: str, code: int = 200, headers: Sequence[Header] = NO_CACHE) -> None:
        """Begin the answer."""
        self.started = True
        fields = [(b"content-type", content_type.encode()), *headers]
        await self._send({"type": "http.response.start", "status": code, "headers": fields})

    async def send(self, data: bytes, *, more: bool = True) -> None:
        """Send a part of the answer."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def answer(
        self, content_type: str, data: bytes, code: int = 200, headers: Sequence[Header] = NO_CACHE
    ) -> None:
        """The whole answer."""
        await self.start(content_type, code, (*headers, (b"content-length", b"%d" % len(data))))
        await self.send(data, more=False)

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with a refusal."""
        text = refusal.message if refusal.message.endswith("\n") else refusal.message + "\n"
        await self.answer(
            "text/plain; charset=utf-8", text.encode(errors="replace"), refusal.code, (*NO_CACHE, *refusal.headers)
        )
