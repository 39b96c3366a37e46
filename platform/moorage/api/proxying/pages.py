"""The ``proxy`` subresource of a node: the pages that its agent answers (metrics, summary, health), over its tunnel.

No port of the node's machine is ever dialled, and nothing but these pages is asked for. Source: ``ResourceLocation`` in
pkg/registry/core/node/strategy.go; for the rights ``pkg/kubelet/server/auth.go`` (KEP-2862): who may not reach all of a node
may have been given a part of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from dataclasses import replace

import orjson

from moorage.api import asgi
from moorage.api.contracts import Attributes
from moorage.api.errors import ApiError, bad_request, not_found
from moorage.api.freshness import fresh
from moorage.api.proxying.names import parse
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.client.tunnel import TunnelError

PATIENCE = 30.0
"""Seconds that a node has to answer."""
LARGEST = 64 * 2**20
LONGEST_HEAD = 4096
_TYPES = ("text/plain", "application/json")
KUBELET_PORT = "10250"
_PARTS = {
    "stats": "stats",
    "metrics": "metrics",
    "logs": "log",
    "checkpoint": "checkpoint",
    "healthz": "healthz",
    "pods": "pods",
    "runningpods": "pods",
    "configz": "configz",
}
"""First part of a page's path -> the subresource of nodes that its right is named by."""


def finer(attributes: Attributes, rest: str) -> Attributes | None:
    """The right that is enough for one page, where all of the node's are refused; None where there is none."""
    part = _PARTS.get(rest.strip("/").partition("/")[0])
    return None if part is None else replace(attributes, subresource=part)


async def serve(service: Service, request: Request, rest: str) -> None:
    """Serve one request. Raises ApiError 400, 404, 502 and 503."""
    target = parse("node", request.name)
    if target.port not in ("", KUBELET_PORT):
        raise bad_request(
            f'invalid node request "{request.name}": a node is reached by its tunnel, at the pages of its agent; '
            f"it has no other ports here (leave the port out)"
        )
    if (await fresh(service.store, request.kind.storage)).get("", target.name) is None:
        raise not_found(request.kind.group, request.kind.plural, target.name)
    query = request.scope["query_string"].decode("latin-1")
    asked = {"kind": "page", "method": request.scope["method"], "path": rest, "query": query}
    try:
        async with asyncio.timeout(PATIENCE), service.config.tunnels.open(target.name, asked) as stream:
            await _pass_on(request, stream)
    except TimeoutError:
        _fail(request, f"the node has not answered within {PATIENCE:.0f} s")
    except (TunnelError, ValueError) as error:
        _fail(request, str(error))


async def _pass_on(request: Request, stream: AsyncIterable[bytes]) -> None:
    pieces = aiter(stream)
    head = b""
    while b"\n" not in head:
        if len(head) > LONGEST_HEAD:
            raise ValueError("the node's answer does not begin as it must")
        try:
            head += await anext(pieces)
        except StopAsyncIteration:
            raise ValueError("the node's answer ended before it had begun") from None
    line, _, first = head.partition(b"\n")
    about = orjson.loads(line)
    request.code = code = int(about["code"])
    if not 200 <= code < 600:
        raise ValueError("the node's answer has no code that is one")
    # A node that was taken over shows no pages that browsers carry out under the API's origin.
    kind = str(about["type"]) if str(about["type"]).partition(";")[0] in _TYPES else "text/plain"
    guarded = [(b"content-type", kind.encode("latin-1")), (b"x-content-type-options", b"nosniff")]
    fields = [*guarded, *request.answer_headers()]
    await request.send({"type": "http.response.start", "status": code, "headers": fields})
    total = len(first)
    await _send(request, first)
    async for piece in pieces:
        total += len(piece)
        if total > LARGEST:
            raise ValueError(f"the node's answer is longer than {LARGEST} bytes")
        await _send(request, piece)
    await request.send({"type": "http.response.body", "body": b""})


async def _send(request: Request, piece: bytes) -> None:
    if piece and request.scope["method"] != "HEAD":
        await request.send({"type": "http.response.body", "body": piece, "more_body": True})


def _fail(request: Request, why: str) -> None:
    if request.code:
        asgi.abort(request.send)
        return
    raise ApiError(503, f"error trying to reach service: {why}")
