"""``port-forward`` over a WebSocket, in both of Kubernetes' ways.

``SPDY/3.1+portforward.k8s.io`` (kubectl since v1.31, KEP-4006): a SPDY connection in binary messages; each forwarded
connection is two SPDY streams, ``data`` and ``error``, that share a ``requestid``. ``v4.channel.k8s.io`` (client libraries):
channels 2n and 2n+1 are data and errors of the n-th port of the query; the first message of each tells the port in two bytes,
little endian.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import functools
from dataclasses import dataclass

from moorage.api.errors import ApiError, bad_request
from moorage.api.streams import asking, spdy
from moorage.api.streams.forward import Forward, Open
from moorage.api.streams.socket import Socket

TUNNELLED = "SPDY/3.1+portforward.k8s.io"
CHANNELS = ("v4.channel.k8s.io", "portforward.k8s.io", "", "v4.base64.channel.k8s.io")
PROTOCOLS = (TUNNELLED, *CHANNELS)
MOST_PORTS = 64
MOST_CONNECTIONS = 512
"""Connections of one client at the same time."""


async def run(socket: Socket, protocol: str, raw_query: bytes, open_port: Open) -> None:
    """Forward until the client goes. Raises ApiError for a query that asks for nothing."""
    if protocol == TUNNELLED:
        await socket.accept(protocol)
        await _Tunnelled(socket, open_port).run()
        return
    ports = asking.ports(raw_query)
    if len(ports) > MOST_PORTS:
        raise bad_request(f"at most {MOST_PORTS} ports can be forwarded at once")
    await socket.accept(protocol)
    await _by_channels(socket, "base64" in protocol, ports, open_port)


async def _by_channels(socket: Socket, encoded: bool, ports: list[int], open_port: Open) -> None:
    async def send(channel: int, data: bytes) -> None:
        text = f"{channel}{base64.b64encode(data).decode('ascii')}"
        await socket.send(text if encoded else bytes((channel,)) + data)

    async def deliver(channel: int, data: bytes) -> None:
        if data:
            await send(channel, data)

    async def fail(channel: int, reason: str) -> None:
        await send(channel, reason.encode())

    for number, port in enumerate(ports):
        for channel in (2 * number, 2 * number + 1):
            await send(channel, port.to_bytes(2, "little"))
    forwards = [
        Forward(open_port, port, functools.partial(deliver, 2 * number), functools.partial(fail, 2 * number + 1))
        for number, port in enumerate(ports)
    ]
    listening = asyncio.create_task(_listen(socket, encoded, forwards), name="forward: client")
    ending = asyncio.create_task(_all_over(forwards), name="forward: pods")
    try:
        await asyncio.wait((listening, ending), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for forward in forwards:
            forward.cancel()
        listening.cancel()
        await asyncio.gather(listening, ending, return_exceptions=True)
    if not ending.cancelled():
        with contextlib.suppress(OSError, RuntimeError):  # the client may have gone first
            await socket.close()


async def _all_over(forwards: list[Forward]) -> None:
    for forward in forwards:
        await forward.wait()


async def _listen(socket: Socket, encoded: bool, forwards: list[Forward]) -> None:
    async for message in socket.messages():
        if not message:
            continue
        channel, data = _decoded(message, encoded)
        if data and channel % 2 == 0 and channel // 2 < len(forwards):
            await forwards[channel // 2].say(data)


def _decoded(message: bytes | str, encoded: bool) -> tuple[int, bytes]:
    if isinstance(message, bytes):
        return message[0], message[1:]
    if not encoded:
        return ord(message[0]), message[1:].encode()
    try:
        return int(message[:1]), base64.b64decode(message[1:])
    except (ValueError, binascii.Error) as error:
        raise bad_request(f"a message of the client cannot be read: {error}") from error


@dataclass(slots=True)
class _Connection:
    """The two SPDY streams of a forwarded connection; 0 while one is missing."""

    port: int
    data: int = 0
    error: int = 0
    forward: Forward | None = None


class _Tunnelled:
    """A client's SPDY connection."""

    def __init__(self, socket: Socket, open_port: Open) -> None:
        self._socket = socket
        self._open = open_port
        self._reader, self._writer = spdy.Reader(), spdy.Writer()
        self._by_request: dict[str, _Connection] = {}
        self._by_stream: dict[int, _Connection] = {}

    async def run(self) -> None:
        """Serve streams until the client goes. Raises ValueError for what is no SPDY."""
        try:
            async for message in self._socket.messages():
                if isinstance(message, bytes):
                    for frame in self._reader.feed(message):
                        await self._take(frame)
        finally:
            forwards = [one.forward for one in self._by_request.values() if one.forward is not None]
            for forward in forwards:
                forward.cancel()
            for forward in forwards:
                await forward.wait()

    async def _take(self, frame: spdy.Frame) -> None:
        if frame.kind == spdy.SYN_STREAM:
            await self._begin(frame)
        elif frame.kind == spdy.PING and frame.stream % 2:
            await self._socket.send(self._writer.ping(frame.stream))
        elif frame.kind == spdy.RST_STREAM:
            connection = self._by_stream.get(frame.stream)
            if connection is not None and connection.forward is not None and frame.stream == connection.data:
                connection.forward.cancel()
                self._forget(connection)
        elif frame.kind == 0:
            connection = self._by_stream.get(frame.stream)
            if connection is None or connection.forward is None or frame.stream != connection.data:
                return
            if frame.data:
                await connection.forward.say(frame.data)
            if frame.flags & spdy.FIN:
                await connection.forward.say(b"")

    async def _begin(self, frame: spdy.Frame) -> None:
        headers, number = frame.headers, frame.stream
        kind, request = headers.get("streamtype", ""), headers.get("requestid", "")
        try:
            port = asking.port(headers.get("port", ""))
        except ApiError:
            port = 0
        if not port or kind not in ("data", "error") or len(self._by_request) >= MOST_CONNECTIONS:
            await self._socket.send(self._writer.reset(number, spdy.REFUSED_STREAM))
            return
        connection = self._by_request.setdefault(request, _Connection(port))
        self._by_stream[number] = connection
        await self._socket.send(self._writer.reply(number))
        if kind == "error":
            connection.error = number
        else:
            connection.data = number
        if connection.data and connection.error and connection.forward is None:
            connection.forward = Forward(
                self._open,
                connection.port,
                functools.partial(self._deliver, connection),
                functools.partial(self._fail, connection),
            )

    async def _deliver(self, connection: _Connection, data: bytes) -> None:
        await self._socket.send(self._writer.data(connection.data, data, last=not data))
        if not data:
            await self._socket.send(self._writer.data(connection.error, b"", last=True))
            self._forget(connection)

    async def _fail(self, connection: _Connection, reason: str) -> None:
        await self._socket.send(self._writer.data(connection.error, reason.encode()))

    def _forget(self, connection: _Connection) -> None:
        for number in (connection.data, connection.error):
            self._by_stream.pop(number, None)
        self._by_request = {name: one for name, one in self._by_request.items() if one is not connection}
