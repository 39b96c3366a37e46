"""Docker's HTTP API over its socket: one pool of connections, deadlines on every call, errors as values of the contract.

No thread is used: a hanging call costs a connection, never the loop, and a cancelled one ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from moorage_agent.engine.contract import EngineError, EngineUnavailable

NEWEST = (1, 47)
"""The newest API version that this code was written against; an older engine is spoken to in its own."""
CALL = 60.0
"""Seconds for a call that should take milliseconds: an engine under load is slow, a hanging one must not be waited for."""


class Refused(EngineError):
    """An answer of 400 and above."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Transport:
    """Requests to one Docker Engine."""

    def __init__(self, address: str) -> None:
        """``address``: ``unix:///PATH`` or ``http://HOST:PORT`` (tests). Raises ValueError for another scheme."""
        parts = urlsplit(address)
        if parts.scheme not in ("unix", "http"):
            raise ValueError(f"docker address must be unix:///PATH or http://HOST:PORT, not {address!r}")
        self._socket = parts.path if parts.scheme == "unix" else ""
        self._root = "http://docker" if self._socket else address.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._version = ""

    async def json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        timeout: float = CALL,
    ) -> Any:
        """One call; its decoded answer, None where it has no body. Raises Refused, EngineUnavailable."""
        data = None if body is None else orjson.dumps(body)
        async with self.open(method, path, params=params, data=data, timeout=timeout) as answer:
            content = await answer.read()
        return orjson.loads(content) if content and answer.content_type == "application/json" else None

    @contextlib.asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | io.BytesIO | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        idle: float | None = None,
        head: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer to be read as a stream. ``timeout`` is for the whole, ``idle`` between two pieces, ``head`` until the answer
        begins; None waits for ever.
        """
        url = f"{self._root}/v{await self._negotiated(min(timeout or CALL, CALL))}{path}"
        limits = aiohttp.ClientTimeout(total=timeout, sock_read=idle)
        kind = {"Content-Type": "application/json"} if data is not None else {}
        try:
            async with contextlib.AsyncExitStack() as stack:
                request = self._opened().request(
                    method, url, params=params, data=data, headers={**kind, **(headers or {})}, timeout=limits
                )
                async with asyncio.timeout(head):
                    answer = await stack.enter_async_context(request)
                if answer.status >= 400:
                    raise Refused(answer.status, _message(await answer.read()))
                yield answer
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unavailable(self._socket or self._root, error) from error

    async def hijack(self, path: str, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """POST ``path`` on a connection of its own that then carries bytes both ways; the caller closes it.

        Raises Refused, EngineUnavailable.
        """
        target = f"/v{await self._negotiated()}{path}"
        parts = urlsplit(self._root)
        try:
            async with asyncio.timeout(CALL):
                reader, writer = await (
                    asyncio.open_unix_connection(self._socket)
                    if self._socket
                    else asyncio.open_connection(parts.hostname, parts.port)
                )
                try:
                    writer.write(_upgrade(target, parts.netloc, body))
                    head = await reader.readuntil(b"\r\n\r\n")
                    code = int(head.split(b" ", 2)[1])
                    if code not in (101, 200):
                        raise Refused(code, _message(await _rest(reader, head)))
                except BaseException:
                    writer.close()
                    raise
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            raise _unavailable(self._socket or self._root, error) from error
        return reader, writer

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def _negotiated(self, timeout: float = CALL) -> str:
        """The version to speak, asked once, for at most ``timeout`` seconds. Docker refuses versions newer than its own and,
        since 29, those before 1.44.
        """
        if not self._version:
            try:
                async with self._opened().get(
                    f"{self._root}/version", timeout=aiohttp.ClientTimeout(total=timeout)
                ) as answer:
                    offered = str(orjson.loads(await answer.read())["ApiVersion"])
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError) as error:
                raise _unavailable(self._socket or self._root, error) from error
            major, _, minor = offered.partition(".")
            number = min((int(major), int(minor)), NEWEST)
            self._version = f"{number[0]}.{number[1]}"
        return self._version

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = (
                aiohttp.UnixConnector(path=self._socket, limit=0, keepalive_timeout=30.0)
                if self._socket
                else aiohttp.TCPConnector(limit=0)
            )
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=2**16
            )
        return self._session


def _upgrade(target: str, host: str, body: bytes) -> bytes:
    lines = (
        f"POST {target} HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        "Upgrade: tcp",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "",
        "",
    )
    return "\r\n".join(lines).encode("ascii") + body


async def _rest(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """The body of a refusal, by its length; without one nothing is waited for."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return await reader.readexactly(int(value))
    return b""


def _message(body: bytes) -> str:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return str(orjson.loads(body)["message"]).strip()
    return body[:500].decode("utf-8", "replace").strip()


def _unavailable(address: str, error: BaseException) -> EngineUnavailable:
    what = "no answer in time" if isinstance(error, asyncio.TimeoutError) else str(error) or type(error).__name__
    return EngineUnavailable(f"container engine at {address}: {what}")
