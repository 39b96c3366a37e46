"""A WebSocket to a port of a pod, through ``/proxy``: one handshake here, one there, and messages in between.

What each end frames, packs and keeps alive is its own. Source: ``UpgradeAwareHandler`` (apimachinery/pkg/util/proxy), RFC 6455.
Other upgrades (SPDY) are none that an ASGI server can pass on; ``exec`` and ``port-forward`` have streams of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from wsproto import ConnectionType, WSConnection, events
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from moorage.api.asgi import Header
from moorage.api.proxying import headers, targets
from moorage.api.proxying.endpoint import rest_of, unreachable
from moorage.api.proxying.wire import PIECE, connected
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.api.streams import nodes
from moorage.api.streams.socket import Socket
from moorage.client.tunnel import TunnelError

PATIENCE = 30.0
"""Seconds that a pod has to answer the handshake."""
LONGEST_MESSAGE = 16 * 2**20
LONGEST_REFUSAL = 64 * 2**10
"""Bytes: a pod is not trusted with our memory."""
_OWN = (b"sec-websocket-", b"host")
"""Headers that each handshake has of its own."""
_NOT_SENT = frozenset((CloseReason.NO_STATUS_RCVD, CloseReason.ABNORMAL_CLOSURE, CloseReason.TLS_HANDSHAKE_FAILED))
_FAILURES = (TunnelError, OSError, EOFError, LocalProtocolError, RemoteProtocolError)


async def relay(service: Service, request: Request, socket: Socket) -> None:
    """Serve one WebSocket. Raises ApiError 400, 404 and 503 before the client's handshake is answered."""
    place = await targets.find(service, request)
    if not (place.pod.get("spec") or {}).get("nodeName"):
        raise unreachable(f'pod "{place.pod["metadata"]["name"]}" has no node yet')
    try:
        opened = nodes.open_port(service, place.pod, place.port)
        async with opened as stream, connected(stream, place.scheme) as (reader, writer):
            pod = _Pod(reader, writer)
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await pod.greet(_greeting(request, socket))
                    body = await pod.refusal(answer) if isinstance(answer, events.RejectConnection) else b""
            except TimeoutError:
                raise unreachable(f"the pod has not answered the handshake within {PATIENCE:.0f} s") from None
            if isinstance(answer, events.RejectConnection):
                kept = headers.downward((bytes(name), bytes(value)) for name, value in answer.headers)
                await socket.deny(answer.status_code, [*_without_length(kept), *request.answer_headers()], body)
                return
            await socket.accept(answer.subprotocol or "")
            await _both(socket, pod)
    except _FAILURES as error:
        if not socket.accepted:
            raise unreachable(str(error)) from error
        with contextlib.suppress(OSError):  # the client may be what went away
            await socket.close(CloseReason.INTERNAL_ERROR)


def _greeting(request: Request, socket: Socket) -> events.Request:
    scope = request.scope
    rest = rest_of(request)
    uri = headers.forwarded_uri(scope["path"].removesuffix(rest), rest)
    query = scope["query_string"].decode("latin-1")
    kept = headers.upward(scope["headers"], uri, request.client.source_ip)
    return events.Request(
        host=socket.headers.get(b"host", b"").decode("latin-1"),
        target=headers.escaped(rest or "/") + (f"?{query}" if query else ""),
        subprotocols=list(socket.offered),
        extra_headers=[(name, value) for name, value in kept if not name.lower().startswith(_OWN)],
    )


def _without_length(fields: list[Header]) -> list[Header]:
    return [field for field in fields if field[0] != b"content-length"]


class _Pod:
    """The pod's end of the WebSocket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._events = self._read()

    async def greet(self, greeting: events.Request) -> events.AcceptConnection | events.RejectConnection:
        """The pod's answer to the handshake. Raises RemoteProtocolError, OSError, EOFError."""
        await self.send(greeting)
        async for event in self._events:
            if isinstance(event, events.AcceptConnection | events.RejectConnection):
                return event
        raise EOFError("EOF")

    async def refusal(self, answer: events.RejectConnection) -> bytes:
        """The body of a refusal, as much of it as is taken."""
        body = b""
        if answer.has_body:
            async for event in self._events:
                if isinstance(event, events.RejectData):
                    body += bytes(event.data)
                    if event.body_finished or len(body) > LONGEST_REFUSAL:
                        break
        return body[:LONGEST_REFUSAL]

    async def messages(self) -> AsyncIterator[bytes | str | int]:
        """Whole messages; at last the number with which the pod closes. Raises RemoteProtocolError, OSError, EOFError."""
        whole = bytearray()
        async for event in self._events:
            if isinstance(event, events.CloseConnection):
                with contextlib.suppress(LocalProtocolError):  # it may answer our own
                    await self.send(event.response())
                yield CloseReason.NORMAL_CLOSURE if event.code in _NOT_SENT else event.code
                return
            if isinstance(event, events.Ping):
                await self.send(event.response())
            elif isinstance(event, events.Message):
                whole += event.data.encode() if isinstance(event.data, str) else event.data
                if len(whole) > LONGEST_MESSAGE:
                    yield CloseReason.MESSAGE_TOO_BIG
                    return
                if event.message_finished:
                    yield whole.decode() if isinstance(event, events.TextMessage) else bytes(whole)
                    whole = bytearray()
        raise EOFError("EOF")

    async def send(self, event: events.Event) -> None:
        """Say something to the pod."""
        self._writer.write(self._protocol.send(event))
        await self._writer.drain()

    async def _read(self) -> AsyncIterator[events.Event]:
        while data := await self._reader.read(PIECE):
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                yield event


async def _both(socket: Socket, pod: _Pod) -> None:
    """Until either end closes."""
    upward = asyncio.create_task(_upward(socket, pod), name="proxy: messages to a pod")
    downward = asyncio.create_task(_downward(socket, pod), name="proxy: messages from a pod")
    try:
        await asyncio.wait((upward, downward), return_when=asyncio.FIRST_COMPLETED)
        for task in (downward, upward):
            if task.done():
                task.result()
                return
    finally:
        for task in (upward, downward):
            task.cancel()
        await asyncio.gather(upward, downward, return_exceptions=True)


async def _upward(socket: Socket, pod: _Pod) -> None:
    async for data in socket.messages():
        await pod.send(events.TextMessage(data) if isinstance(data, str) else events.BytesMessage(data))
    with contextlib.suppress(LocalProtocolError, OSError):
        await pod.send(events.CloseConnection(CloseReason.GOING_AWAY))


async def _downward(socket: Socket, pod: _Pod) -> None:
    async for message in pod.messages():
        if isinstance(message, int):
            await socket.close(message)
            return
        await socket.send(message)
