"""The API server's end of the nodes' tunnels: ``dial(node)`` for logs and, later, exec and port-forward.

A node opens one WebSocket to any server; that server writes (node, server, address) to the directory in PostgreSQL
under a lease. A server that
is asked for a node which it does not hold opens the stream at the server that does, with a credential that only servers can make.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from moorage.api.contracts import Attributes, Authenticator, Authorizer
from moorage.api.errors import ApiError, unavailable
from moorage.api.peer import peer_certificate
from moorage.client.tunnel import Mux, Status, Stream, TunnelError
from moorage.store.contracts import Unavailable

log = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
PEER_HEADER = "Moorage-Peer"
PEER_SECONDS = 60.0
"""How far two servers' clocks may differ."""


class Holder(Protocol):
    """The server at whose end a node's tunnel is, and where other servers reach it (``HOST:PORT``)."""

    @property
    def server(self) -> str:
        """The server's name among others."""
        ...

    @property
    def address(self) -> str:
        """``HOST:PORT``."""
        ...


class Directory(Protocol):
    """Which server holds a node's tunnel (the store keeps it in PostgreSQL)."""

    async def hold(self, node: str, server: str, address: str, seconds: float) -> None:
        """The node's newest tunnel ends at ``server`` now, for ``seconds``."""
        ...

    async def renew(self, node: str, server: str, seconds: float) -> bool:
        """Prolong the lease; False where another server holds the tunnel now."""
        ...

    async def release(self, node: str, server: str) -> None:
        """This server holds it no more."""
        ...

    async def find(self, node: str) -> Holder | None:
        """Who holds the node's tunnel, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Peers:
    """How servers of one cluster know each other: ``key`` is derived from what only they share; ``address`` is where
    others reach this one.
    """

    server: str
    address: str
    key: bytes
    tls: ssl.SSLContext

    def sign(self, node: str, now: float) -> str:
        """The credential for opening streams to ``node`` at another server."""
        stamp = str(int(now))
        return f"{stamp}.{hmac.new(self.key, f'{stamp}|{node}'.encode(), hashlib.sha256).hexdigest()}"

    def verify(self, credential: str, node: str, now: float) -> bool:
        """Whether another server of this cluster made ``credential``, for this node, just now."""
        stamp, _, _ = credential.partition(".")
        fresh = stamp.isdigit() and len(stamp) < 16 and abs(now - int(stamp)) < PEER_SECONDS
        return fresh and hmac.compare_digest(credential, self.sign(node, int(stamp)))


class Tunnels:
    """The tunnels that end here, and the way to those that end elsewhere."""

    def __init__(
        self, directory: Directory, peers: Peers, authenticator: Authenticator, authorizer: Authorizer
    ) -> None:
        self._directory = directory
        self._peers = peers
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._held: dict[str, Mux] = {}
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def open(self, node: str, request: dict[str, Any]) -> AsyncIterator[Stream]:
        """A stream to ``node``; closed at the end of the context.

        Raises ApiError 503 where the node has no tunnel; the stream raises TunnelError for what the node refuses.
        """
        mux = self._held.get(node)
        if mux is not None:
            async with _stream(mux, node, request) as stream:
                yield stream
            return
        holder = await self._directory.find(node)
        if holder is None or holder.server == self._peers.server:
            raise unavailable(f'node "{node}" has no tunnel open to the control plane; its agent may be down')
        async with self._at_peer(node, holder.address) as remote, _stream(remote, node, request) as stream:
            yield stream

    @asynccontextmanager
    async def _at_peer(self, node: str, address: str) -> AsyncIterator[Mux]:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._peers.tls))
        url = f"https://{address}/apis/moorage.io/v1/nodes/{node}/dial"
        credential = self._peers.sign(node, time.time())
        try:
            socket = await self._session.ws_connect(url, headers={PEER_HEADER: credential}, heartbeat=10)
        except (aiohttp.ClientError, OSError) as error:
            raise unavailable(
                f'the server that holds the tunnel of node "{node}" cannot be reached: {error}'
            ) from error
        mux = Mux(socket.send_bytes)
        reader = asyncio.create_task(_read_peer(socket, mux), name=f"peer streams to {node}")
        try:
            yield mux
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            await mux.abort("the stream is over")
            await socket.close()

    async def accept(self, socket: WebSocket) -> None:
        """The endpoint that agents dial: ``/apis/moorage.io/v1/nodes/{node}/tunnel``."""
        node = str(socket.path_params["node"])
        if not await self._may_hold(socket, node):
            await socket.close(1008, "this identity may not open the tunnel of this node")
            return
        await socket.accept()
        mux = Mux(socket.send_bytes)
        before, self._held[node] = self._held.get(node), mux
        if before is not None:
            await before.abort("the node opened a new tunnel")
        lease = asyncio.create_task(self._renew(node, mux), name=f"tunnel lease of {node}")
        try:
            await _read(socket, mux)
        finally:
            lease.cancel()
            await asyncio.gather(lease, return_exceptions=True)
            await mux.abort(f'the tunnel of node "{node}" broke')
            if self._held.get(node) is mux:
                del self._held[node]
                await self._directory.release(node, self._peers.server)

    async def accept_peer(self, socket: WebSocket) -> None:
        """The endpoint that other servers dial: ``/apis/moorage.io/v1/nodes/{node}/dial``. Forwards their streams to the node."""
        node = str(socket.path_params["node"])
        if not self._peers.verify(socket.headers.get(PEER_HEADER, ""), node, time.time()):
            await socket.close(1008, "servers only")
            return
        await socket.accept()
        mux = Mux(socket.send_bytes, lambda incoming: self._forward(node, incoming))
        try:
            await _read(socket, mux)
        finally:
            await mux.abort("the asking server went away")

    async def close(self) -> None:
        """End every tunnel that ends here; agents dial another server."""
        for mux in list(self._held.values()):
            await mux.abort("the server stops")
        if self._session is not None:
            await self._session.close()

    async def _may_hold(self, socket: WebSocket, node: str) -> bool:
        authorization = socket.headers.get("authorization", "")
        identity = await self._authenticator.authenticate(authorization, peer_certificate(socket.scope))
        if identity is None:
            return False
        asked = Attributes(identity, "create", resource="nodes", subresource="tunnel", group="moorage.io", name=node)
        return (await self._authorizer.authorise(asked)).allowed

    async def _renew(self, node: str, mux: Mux) -> None:
        """Keep the claim; a tunnel that the node has opened to another server since is ended here."""
        held = False
        while True:
            try:
                if not held:
                    await self._directory.hold(node, self._peers.server, self._peers.address, LEASE_SECONDS)
                    held = True
                elif not await self._directory.renew(node, self._peers.server, LEASE_SECONDS):
                    await mux.abort("the node has a tunnel to another server")
                    return
            except Unavailable as error:
                log.warning("the tunnel lease of node %s was not renewed; trying again: %s", node, error)
            await asyncio.sleep(LEASE_SECONDS / 3)

    async def _forward(self, node: str, incoming: Stream) -> None:
        mux = self._held.get(node)
        if mux is None:
            raise TunnelError(unavailable(f'node "{node}" has no tunnel here any more').status())
        async with _stream(mux, node, incoming.request) as outgoing:
            upward = asyncio.create_task(_copy(incoming, outgoing), name=f"input to {node}")
            try:
                await _copy(outgoing, incoming)
            finally:
                upward.cancel()
                await asyncio.gather(upward, return_exceptions=True)


def api_error(status: Status) -> ApiError:
    """The refusal of a node as one of ours."""
    return ApiError(int(status.get("code", 500)), str(status.get("message", "")), reason=str(status.get("reason", "")))


@asynccontextmanager
async def _stream(mux: Mux, node: str, request: dict[str, Any]) -> AsyncIterator[Stream]:
    try:
        stream = await mux.open(request)
    except TunnelError as error:
        raise unavailable(f'the tunnel of node "{node}" broke') from error
    try:
        yield stream
    finally:
        await stream.close()


async def _copy(source: Stream, target: Stream) -> None:
    async for data in source:
        await target.write(data)


async def _read(socket: WebSocket, mux: Mux) -> None:
    try:
        while True:
            await mux.feed(await socket.receive_bytes())
    except WebSocketDisconnect:
        return
    except (ValueError, KeyError, orjson.JSONDecodeError) as error:
        log.warning("tunnel closed: %s", error)
        await socket.close(1002, "broken frame")


async def _read_peer(socket: aiohttp.ClientWebSocketResponse, mux: Mux) -> None:
    async for message in socket:
        if message.type is aiohttp.WSMsgType.BINARY:
            await mux.feed(message.data)
    await mux.abort("the server that holds the node's tunnel went away")
