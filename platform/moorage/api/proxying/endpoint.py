"""The ``proxy`` subresource of a pod or a service: one request there, one answer back.

Source: ``UpgradeAwareHandler`` (apimachinery/pkg/util/proxy). WebSockets come another way (``websockets``); no other upgrade is
passed on: its headers are for one hop.
"""

from __future__ import annotations

import asyncio
import contextlib

from moorage.api import asgi, paths
from moorage.api.errors import ApiError
from moorage.api.proxying import headers, pages, targets
from moorage.api.proxying.answers import Answer, Broken
from moorage.api.proxying.links import Rewriter
from moorage.api.proxying.wire import connected
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.api.streams import nodes
from moorage.client.tunnel import TunnelError

_BODILESS = frozenset((204, 304))


async def proxy(service: Service, request: Request) -> None:
    """Serve one request. Raises ApiError 400, 404 and 503."""
    rest = rest_of(request)
    if not request.kind.namespaced:
        await pages.serve(service, request, rest)
        return
    place = await targets.find(service, request)
    if not rest and request.scope["method"] in ("GET", "HEAD"):
        await _redirect(request)
        return
    if not (place.pod.get("spec") or {}).get("nodeName"):
        raise unreachable(f'pod "{place.pod["metadata"]["name"]}" has no node yet')
    working = await service.run_stream(
        _Exchange(service, request, place, rest).run(), request.standing, "proxy: exchange"
    )
    if not working.cancelled():
        working.result()
    elif request.code:
        asgi.abort(request.send)
    else:
        raise ApiError(503, "the request was ended: the server stops, or the right to it has gone")


def rest_of(request: Request) -> str:
    """The path at the pod: what follows ``/proxy``, slashes included."""
    found = paths.parse(request.scope["path"])
    return found.rest if found is not None else ""


def unreachable(reason: str) -> ApiError:
    """503 with Kubernetes' text. Without Retry-After: clients would send again what the pod may have carried out."""
    return ApiError(503, f"error trying to reach service: {reason}")


async def _redirect(request: Request) -> None:
    """Without its last slash a page's relative links would lead elsewhere."""
    query = request.scope["query_string"]
    location = headers.escaped(request.scope["path"] + "/").encode() + (b"?" + query if query else b"")
    request.code = 301
    fields = [(b"location", location), (b"content-length", b"0"), *request.answer_headers()]
    await request.send({"type": "http.response.start", "status": 301, "headers": fields})
    await request.send({"type": "http.response.body", "body": b""})


class _Exchange:
    """One request on its way to a pod."""

    def __init__(self, service: Service, request: Request, place: targets.Place, rest: str) -> None:
        self._service = service
        self._request = request
        self._place = place
        self._rest = rest
        self._prefix = request.scope["path"].removesuffix(rest)
        given = request.header(b"content-length")
        self._length = given if given.isdigit() else ""
        self._chunked = not self._length and bool(request.header(b"transfer-encoding"))

    async def run(self) -> None:
        """Raises ApiError 503 where the pod gives no answer."""
        try:
            opened = nodes.open_port(self._service, self._place.pod, self._place.port)
            async with opened as stream, connected(stream, self._place.scheme) as (reader, writer):
                upward = asyncio.create_task(self._upward(writer), name="proxy: request")
                downward = asyncio.create_task(self._downward(reader), name="proxy: answer")
                try:
                    await asyncio.wait((upward, downward), return_when=asyncio.FIRST_COMPLETED)
                    if not downward.done():
                        upward.result()  # the client has gone
                        raise asgi.Disconnected
                    downward.result()
                finally:
                    upward.cancel()
                    downward.cancel()
                    await asyncio.gather(upward, downward, return_exceptions=True)
        except (TunnelError, Broken, OSError, EOFError) as error:
            if self._request.code:
                asgi.abort(self._request.send)
                return
            raise unreachable(str(error)) from error

    async def _upward(self, writer: asyncio.StreamWriter) -> None:
        """Send the request, then wait until the client goes."""
        with contextlib.suppress(ConnectionError):
            writer.write(self._head())
            while (message := await self._request.receive())["type"] == "http.request":
                piece = message.get("body", b"")
                if self._chunked and piece:
                    piece = b"%x\r\n%b\r\n" % (len(piece), piece)
                if self._chunked and not message.get("more_body"):
                    piece += b"0\r\n\r\n"
                if piece and (self._chunked or self._length):
                    writer.write(piece)
                    await writer.drain()
            return
        while (await self._request.receive())["type"] == "http.request":
            continue  # the pod has heard enough; its answer may still come

    def _head(self) -> bytes:
        request = self._request
        query = request.scope["query_string"]
        target = headers.escaped(self._rest or "/").encode() + (b"?" + query if query else b"")
        uri = headers.forwarded_uri(self._prefix, self._rest)
        fields = headers.upward(request.scope["headers"], uri, request.client.source_ip)
        if self._length:
            fields.append((b"content-length", self._length.encode()))
        elif self._chunked:
            fields.append((b"transfer-encoding", b"chunked"))
        fields.append((b"connection", b"close"))
        lines = [b"%b %b HTTP/1.1" % (request.scope["method"].encode(), target)]
        lines += [b"%b: %b" % field for field in fields]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    async def _downward(self, reader: asyncio.StreamReader) -> None:
        request = self._request
        answer = Answer(reader, bodiless=request.scope["method"] == "HEAD")
        await answer.head()
        fields = [(name, self._moved(value) if name == b"location" else value) for name, value in answer.headers]
        fields = headers.downward(fields)
        rewriter = self._rewriter(answer)
        if rewriter is not None or answer.code in _BODILESS:
            fields = [field for field in fields if field[0] != b"content-length"]
        request.code = answer.code
        start = {"type": "http.response.start", "status": answer.code, "headers": [*fields, *request.answer_headers()]}
        await request.send(start)
        async for piece in answer:
            body = piece if rewriter is None else rewriter.feed(piece)
            if body:
                await request.send({"type": "http.response.body", "body": body, "more_body": True})
        last = b"" if rewriter is None else rewriter.finish()
        await request.send({"type": "http.response.body", "body": last})

    def _rewriter(self, answer: Answer) -> Rewriter | None:
        told = dict(answer.headers)
        html = told.get(b"content-type", b"").partition(b";")[0].strip().lower() == b"text/html"
        plain = told.get(b"content-encoding", b"identity").strip().lower() == b"identity"
        skipped = b"location" in told or answer.code in _BODILESS or self._request.scope["method"] == "HEAD"
        return Rewriter(self._rewrite) if html and plain and not skipped else None

    def _moved(self, location: bytes) -> bytes:
        return self._rewrite(location.decode("latin-1")).encode("latin-1", "replace")

    def _rewrite(self, link: str) -> str:
        return headers.rewritten(link, self._prefix, (self._place.address, self._request.header(b"host")))
