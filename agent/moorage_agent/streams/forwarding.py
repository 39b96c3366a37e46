"""``port-forward`` and proxying: one connection to a port of a pod, over a stream of the tunnel.

The connection is made from within the pod's own network, so that programs that listen on its loopback address are reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor

from moorage.client.channels import Channel, Channels
from moorage.client.tunnel import Stream
from moorage_agent.engine.contract import Engine, EngineError
from moorage_agent.streams.finding import Find, Pod, pod_of, refusal
from moorage_agent.visiting import network_of

CONNECT = 10.0
"""Seconds for a connection to a pod."""
PIECE = 64 * 1024


class Forwarding:
    """Connects streams with ports of pods."""

    def __init__(self, engine: Engine, find: Find) -> None:
        self._engine = engine
        self._find = find
        self._visitor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pod-network")
        """One thread that enters pods' networks and comes back; nothing else runs in it."""

    def close(self) -> None:
        """Let go of the thread."""
        self._visitor.shutdown(wait=False, cancel_futures=True)

    async def serve(self, stream: Stream) -> None:
        """Serve one stream of kind ``portforward``. Raises TunnelError."""
        port = int(stream.request["port"])
        pod = pod_of(self._find, stream.request)
        sandbox = pod.observe().sandbox()
        if sandbox is None:
            raise refusal(500, "InternalError", f'pod "{stream.request["pod"]}" is not running')
        if stream.request.get("check"):
            return
        try:
            async with asyncio.timeout(CONNECT):
                reader, writer = await self._connect(pod, sandbox.container.id, port)
        except (OSError, TimeoutError, EngineError) as error:
            where = f"error forwarding port {port} to pod {stream.request['namespace']}/{stream.request['pod']}"
            raise refusal(502, "InternalError", f"{where}: {_reason(error, port)}") from error
        try:
            await _copy(Channels(stream), reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connect(self, pod: Pod, sandbox: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        found = await self._engine.inspect(sandbox)
        if not found.pid:
            raise ConnectionError("the pod's sandbox has ended")
        connection = await loop.run_in_executor(self._visitor, _socket_within, found.pid)
        try:
            connection.setblocking(False)
            await loop.sock_connect(connection, ("127.0.0.1", port))
        except BaseException:
            connection.close()
            raise
        return await asyncio.open_connection(sock=connection)


def _socket_within(pid: int) -> socket.socket:
    """A socket in the network of process ``pid``: it stays where it was made (network_namespaces(7))."""
    with network_of(pid):
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


async def _copy(channels: Channels, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Both directions, each to its own end."""
    await channels.send(Channel.READY)
    upward = asyncio.create_task(_write(channels, writer), name="bytes to a pod")
    try:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(PIECE):
                await channels.send(Channel.STDOUT, data)
        await channels.send(Channel.CLOSE, bytes((Channel.STDOUT,)))
    finally:
        upward.cancel()
        await asyncio.gather(upward, return_exceptions=True)


async def _write(channels: Channels, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        async for channel, data in channels:
            if channel == Channel.STDIN:
                writer.write(data)
                await writer.drain()
            elif channel == Channel.CLOSE:
                writer.write_eof()


def _reason(error: BaseException, port: int) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp4 127.0.0.1:{port}: connect: connection refused"
    if isinstance(error, TimeoutError):
        return f"dial tcp4 127.0.0.1:{port}: i/o timeout"
    return str(error)
