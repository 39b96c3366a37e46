"""Fetches a provider's documents: small, soon, over verified TLS, and from nowhere but where it may.

What a provider's metadata names is fetched by this server, inside its network: a redirect is an error, and a host other than
the issuer's own must have public addresses, so that no document of a provider makes us ask cloud metadata or a neighbour.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from moorage.client.credentials import tls_context
from moorage_tenants.authentication.oidc.config import url_problem

SECONDS = 10.0
LARGEST = 512 * 1024


class FetchError(Exception):
    """A document could not be had; the text says which one and why."""


class Fetcher:
    """The way to one issuer. ``home`` is the host that was configured, whose addresses may be anything."""

    def __init__(self, ca_pem: str, home: str) -> None:
        self._tls = tls_context(ca_pem=ca_pem)
        self._home = home
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def json(self, url: str) -> dict[str, Any]:
        """The JSON object at ``url``. Raises FetchError."""
        problem = url_problem(url) or self._address_problem(url)
        if problem is not None:
            raise FetchError(f"{url}: {problem}")
        try:
            async with asyncio.timeout(SECONDS):
                body = await self._get(url)
        except TimeoutError:
            raise FetchError(f"{url}: no answer within {SECONDS:.0f} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise FetchError(f"{url}: {error}") from None
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            raise FetchError(f"{url}: the answer is not JSON") from None
        if not isinstance(value, dict):
            raise FetchError(f"{url}: the answer is no JSON object")
        return value

    async def _get(self, url: str) -> bytes:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls, limit=4, resolver=_Resolver(self._home))
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
            if answer.status != 200:
                raise FetchError(f"{url}: answered {answer.status} (redirects are not followed)")
            body = await answer.content.read(LARGEST)
            while len(body) < LARGEST and (more := await answer.content.read(LARGEST - len(body))):
                body += more
        if len(body) >= LARGEST:
            raise FetchError(f"{url}: the answer is larger than {LARGEST} bytes")
        return body

    def _address_problem(self, url: str) -> str | None:
        host = urlsplit(url).hostname or ""
        return None if host == self._home or not _is_private(host) else "the address is not public"


class _Resolver(AbstractResolver):
    """Resolves names, but not to addresses that are none of a provider's business."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of ``host``. Raises OSError where none may be used."""
        found = await self._inner.resolve(host, port, family)
        if host == self._home:
            return found
        usable = [each for each in found if not _is_private(each["host"])]
        if not usable:
            raise OSError(f"{host} has no public address")
        return usable

    async def close(self) -> None:
        """Nothing is kept open."""
        await self._inner.close()


def _is_private(host: str) -> bool:
    """Whether ``host`` is an address that is not public. A name is not: its addresses are looked at when it is resolved."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False
