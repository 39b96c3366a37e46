"""A connection to a port of a pod as asyncio's streams, plain or within TLS, over a stream of the node's tunnel.

A pair of sockets lies between, so that asyncio's own TLS and flow control serve here. A pod's certificate is its own and is not
checked, as kube-apiserver does not: the tunnel ends at the pod, whatever it says.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from moorage.api.proxying.answers import Broken
from moorage.client.channels import Channel, Channels
from moorage.client.tunnel import Stream, TunnelError

PIECE = 64 * 1024
HANDSHAKE = 10.0
"""Seconds for TLS, as Go's transport has."""

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Carrier:
    """Carries the bytes. ``error`` is what the node said where it refused."""

    def __init__(self, stream: Stream) -> None:
        self._channels = Channels(stream)
        self.error: TunnelError | None = None

    async def run(self, ends: Ends) -> None:
        """Until the pod's side has ended."""
        reader, writer = ends
        upward = asyncio.create_task(self._upward(reader), name="proxy: bytes to a pod")
        try:
            async for channel, data in self._channels:
                if channel == Channel.STDOUT and data:
                    writer.write(data)
                    await writer.drain()
                elif channel == Channel.CLOSE:
                    break
        except TunnelError as error:
            self.error = error
        except (ConnectionError, ValueError):
            return
        finally:
            upward.cancel()
            await asyncio.gather(upward, return_exceptions=True)
            writer.close()

    async def _upward(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(TunnelError, ConnectionError):
            while data := await reader.read(PIECE):
                await self._channels.send(Channel.STDIN, data)


@asynccontextmanager
async def connected(stream: Stream, scheme: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Reader and writer of the connection. Raises TunnelError where the node refuses it, OSError where TLS fails, and
    what the block raises."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    carrier = Carrier(stream)
    carrying = asyncio.create_task(carrier.run(await asyncio.open_connection(sock=far)), name="proxy: connection")
    writer: asyncio.StreamWriter | None = None
    try:
        if scheme == "https":
            reader, writer = await asyncio.open_connection(
                sock=near, ssl=_trusting(), server_hostname="", ssl_handshake_timeout=HANDSHAKE
            )
        else:
            reader, writer = await asyncio.open_connection(sock=near)
        yield reader, writer
    except (OSError, EOFError, Broken) as error:
        if carrier.error is not None:
            raise carrier.error from error
        raise
    finally:
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
        if writer is not None:
            writer.transport.abort()
        near.close()


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
