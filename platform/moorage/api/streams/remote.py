"""``exec`` and ``attach`` over a WebSocket: Kubernetes' ``channel.k8s.io`` protocols, versions 1, 4 and 5.

A message is one byte, the channel, and its payload; in the ``base64`` forms an ASCII digit and base64 text. Channel 3 carries the
result: from version 4 on as a Status, before as the text of a failure. Version 5 adds channel 255, which ends another.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import AsyncIterator

import orjson

from moorage.api.errors import bad_request
from moorage.api.streams.socket import Socket
from moorage.client.channels import Channel, Channels
from moorage.client.tunnel import Stream, TunnelError

V1, V4, V5 = "channel.k8s.io", "v4.channel.k8s.io", "v5.channel.k8s.io"
PROTOCOLS = (V5, V4, V1, "base64.channel.k8s.io", "v4.base64.channel.k8s.io", "v5.base64.channel.k8s.io", "")
_UPWARD = (Channel.STDIN, Channel.RESIZE)


async def run(socket: Socket, protocol: str, stream: Stream) -> None:
    """Carry a process' streams until it ends or the client goes. Raises TunnelError for what the node refuses at once."""
    channels = Channels(stream)
    incoming = aiter(channels)
    await anext(incoming, None)  # the node says READY, or refuses
    await socket.accept(protocol)
    codec = _Codec(protocol)
    first = Channel.STDOUT if stream.request.get("stdout") else Channel.STDERR
    await socket.send(codec.encode(first, b""))  # tells the client that the process is there, as kubelets do
    reader = asyncio.create_task(_upward(socket, codec, channels), name="stream: client's input")
    writer = asyncio.create_task(_downward(socket, codec, incoming), name="stream: output")
    try:
        await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (reader, writer):
            task.cancel()
        await asyncio.gather(reader, writer, return_exceptions=True)
    if writer.cancelled():
        return
    if (error := writer.exception()) is not None:
        raise error
    await socket.close()


async def _downward(socket: Socket, codec: _Codec, incoming: AsyncIterator[tuple[int, bytes]]) -> None:
    try:
        async for channel, data in incoming:
            if channel == Channel.ERROR:
                data = codec.result(data)
                if not data:
                    continue
            await socket.send(codec.encode(channel, data))
    except TunnelError as error:
        await socket.send(codec.encode(Channel.ERROR, codec.result(orjson.dumps(error.status))))


async def _upward(socket: Socket, codec: _Codec, channels: Channels) -> None:
    with contextlib.suppress(TunnelError):
        async for message in socket.messages():
            channel, data = codec.decode(message)
            if channel in _UPWARD:
                await channels.send(channel, data)
            elif channel == Channel.CLOSE and codec.version == 5 and data:
                await channels.send(Channel.CLOSE, data[:1])


class _Codec:
    """The messages of one protocol."""

    def __init__(self, protocol: str) -> None:
        self._text = "base64" in protocol
        self.version = int(protocol[1]) if protocol.startswith("v") else 1

    def encode(self, channel: int, data: bytes) -> bytes | str:
        """A message to the client."""
        if self._text:
            return f"{channel}{base64.b64encode(data).decode('ascii')}"
        return bytes((channel,)) + data

    def decode(self, message: bytes | str) -> tuple[int, bytes]:
        """(channel, payload) of a message of the client; (-1, b"") for one that is empty. Raises ApiError 400."""
        if isinstance(message, str) and not self._text:
            message = message.encode()
        if not message:
            return -1, b""
        if not self._text:
            assert isinstance(message, bytes)
            return message[0], message[1:]
        try:
            return int(message[:1]), base64.b64decode(message[1:])
        except (ValueError, binascii.Error) as error:
            raise bad_request(f"a message of the client cannot be read: {error}") from error

    def result(self, status: bytes) -> bytes:
        """A Status as the protocol tells it; nothing for a success before version 4."""
        if self.version >= 4:
            return status
        document = orjson.loads(status)
        return b"" if document.get("status") == "Success" else str(document.get("message", "")).encode()
