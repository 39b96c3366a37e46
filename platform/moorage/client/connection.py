"""HTTP to one API server: a pool of verified TLS connections, timeouts, and retries of what is safe to repeat.

A request is repeated only where it cannot have been done: the connection was never made, or the server said 429 or 503
with ``Retry-After``. Reads are also repeated when the connection breaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from moorage.client.credentials import Token
from moorage.client.errors import Unreachable, api_error

log = logging.getLogger(__name__)

Params = Mapping[str, str]

ATTEMPTS = 5
"""How often a request that is safe to repeat is tried."""
FIRST_DELAY = 0.1
LONGEST_DELAY = 10.0
"""Seconds between attempts where the server names no time, and the most that we wait where it does."""
_READS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer with a 2xx code."""

    code: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The decoded body. Raises ValueError where it is not JSON."""
        return orjson.loads(self.body)


class Connection:
    """A pool of connections to ``server`` (``https://HOST:PORT``). Use inside one event loop; ``close`` it at the end."""

    def __init__(
        self,
        server: str,
        tls: ssl.SSLContext,
        token: Token | None = None,
        *,
        user_agent: str = "moorage",
        timeout: float = 30.0,
        limit: int = 100,
    ) -> None:
        """``timeout`` is seconds for a whole request but streams; ``limit`` the most requests at a time, streams apart: these
        last, and somebody who watches every kind has as many as there are kinds. Raises ValueError for a server that is
        not https.
        """
        parts = urlsplit(server)
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError(f"server must be https://HOST:PORT, not {server!r}")
        self.server = server.rstrip("/")
        self._tls = tls
        self._token = token
        self._user_agent = user_agent
        self._timeout = timeout
        self._room = asyncio.Semaphore(limit)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Response:
        """Send and read the whole answer. Raises ApiError for what is not 2xx, Unreachable where no answer came."""
        attempt = 0
        while True:
            attempt += 1
            try:
                async with (
                    self._room,
                    self._open(method, path, params, body, headers, timeout or self._timeout) as answer,
                ):
                    return Response(answer.status, answer.headers, await answer.read())
            except _Refused as refused:
                if attempt >= ATTEMPTS or not refused.repeat:
                    raise refused.error from None
                delay = refused.delay(attempt)
                log.debug("%s %s: %s; again in %.2f s", method, path, refused.error, delay)
            except TimeoutError as error:
                raise _unreachable(self.server, error, sent=True) from error
            except (aiohttp.ClientError, OSError) as error:
                broken = _Refused(_unreachable(self.server, error, sent=True), repeat=method in _READS)
                if attempt >= ATTEMPTS or not broken.repeat:
                    raise broken.error from error
                delay = broken.delay(attempt)
            await asyncio.sleep(delay)

    @contextlib.asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """Send and hand over the body as it comes; ``timeout`` is for the whole stream, None for none. Not repeated.

        Raises ApiError and Unreachable on the way in; while reading, ``aiohttp.ClientError`` and OSError.
        """
        try:
            async with self._open(method, path, params, None, headers, timeout) as answer:
                yield answer.content
        except _Refused as refused:
            raise refused.error from None

    @contextlib.asynccontextmanager
    async def websocket(self, path: str, *, heartbeat: float = 15.0) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """An upgraded connection, pinged every ``heartbeat`` seconds. Raises aiohttp.ClientError, OSError."""
        timeout = aiohttp.ClientWSTimeout(ws_close=5.0)
        async with self._opened().ws_connect(
            self.server + path, headers=self._headers(None), heartbeat=heartbeat, max_msg_size=0, timeout=timeout
        ) as ws:
            yield ws

    @contextlib.asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        timeout: float | None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=min(10.0, timeout or 10.0))
        try:
            request = self._opened().request(
                method,
                self.server + path,
                params=params,
                data=body,
                headers=self._headers(headers),
                timeout=limits,
                allow_redirects=False,
            )
            answer = await request
        except aiohttp.ClientConnectorCertificateError as error:
            raise _Refused(_unreachable(self.server, error, sent=False), repeat=False) from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise _Refused(_unreachable(self.server, error, sent=False), repeat=True) from error
        except TimeoutError as error:
            raise _Refused(_unreachable(self.server, error, sent=True), repeat=False) from error
        async with answer:
            if not 200 <= answer.status < 300:
                raise await _refusal(answer)
            yield answer

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls, limit=0, keepalive_timeout=60.0, socket_factory=_socket)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True, read_bufsize=2**18
            )
        return self._session

    def _headers(self, more: Mapping[str, str] | None) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # one hop, often on one machine: bytes are cheaper than cycles
            "User-Agent": self._user_agent,
        }
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.current()}"
        headers.update(more or {})
        return headers


class _Refused(Exception):
    """A failed attempt, and whether the same request may be sent again."""

    def __init__(self, error: Exception, *, repeat: bool, retry_after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.repeat = repeat
        self.retry_after = retry_after

    def delay(self, attempt: int) -> float:
        """Seconds to wait before the next attempt, with jitter so that clients do not return as one herd."""
        wait = self.retry_after if self.retry_after is not None else FIRST_DELAY * 2.0 ** (attempt - 1)
        return min(wait, LONGEST_DELAY) * random.uniform(1.0, 1.2)  # noqa: S311 - jitter, not a secret


async def _refusal(answer: aiohttp.ClientResponse) -> _Refused:
    body = await answer.read()
    try:
        status = orjson.loads(body)
    except ValueError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        text = body[:200].decode("utf-8", "replace").strip()
        status = {"kind": "Status", "message": f"the server answered {answer.status} {answer.reason}: {text}"}
    header = answer.headers.get("Retry-After", "")
    wait = float(header) if header.isdecimal() else None
    repeat = answer.status in (429, 503) and wait is not None
    return _Refused(api_error(answer.status, status, wait), repeat=repeat, retry_after=wait)


def _unreachable(server: str, error: BaseException, *, sent: bool) -> Unreachable:
    what = str(error) or type(error).__name__
    return Unreachable(f"{server}: {what}", sent=sent)


def _socket(address: Any) -> socket.socket:
    """A socket that notices within about 30 s that its peer is gone, so that a watch does not wait for ever."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        option = getattr(socket, name, None)
        if option is not None:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made
