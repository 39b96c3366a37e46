"""One check of a container. Outcomes are values; messages are the kubelet's."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from moorage_agent.engine.contract import Engine, EngineError

BODY = 10 * 1024
REDIRECTS = 10
NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
"""What OpenSSL says of an answer that is no TLS."""


class Result(NamedTuple):
    """``ok`` and, where it is not, why. With ``unknown`` nothing was found out: such a result counts neither way. One that is
    ``ok`` and has a message is something that the pod's owner should look at.
    """

    ok: bool
    message: str = ""
    unknown: bool = False


class Target(NamedTuple):
    """What is checked: a container by its engine id, its spec (for named ports), and the pod's address."""

    id: str
    container: Mapping[str, Any]
    ip: str


def port_number(value: int | str, container: Mapping[str, Any]) -> int:
    """A port by number or by the name of a container port. Raises ValueError."""
    if isinstance(value, int):
        return value
    if value.isdigit():
        return int(value)
    for port in container.get("ports") or ():
        if port.get("name") == value:
            return int(port["containerPort"])
    raise ValueError(f"couldn't find port {value!r} in container {container['name']!r}")


class Checks:
    """Runs checks. One HTTP session for all; connections are not kept, as each check must show that a new one works."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: aiohttp.ClientSession | None = None

    async def run(self, handler: Mapping[str, Any], target: Target, timeout: float) -> Result:
        """Do what ``handler`` (exec, httpGet, tcpSocket or grpc) says, for at most ``timeout`` seconds."""
        try:
            if handler.get("exec"):
                return await self._exec(handler["exec"]["command"], target, timeout)
            if handler.get("httpGet"):
                return await self._http(handler["httpGet"], target, timeout)
            if handler.get("tcpSocket"):
                return await _tcp(handler["tcpSocket"], target, timeout)
            if handler.get("grpc"):
                from moorage_agent.probes import grpc_health  # few pods use it

                return await grpc_health.check(target.ip, handler["grpc"], timeout)
        except ValueError as error:
            return Result(False, str(error), unknown=True)
        return Result(False, f"missing probe handler: {', '.join(handler)}", unknown=True)

    async def answers(self, spec: Mapping[str, Any], target: Target, timeout: float) -> bool:
        """Whether anything answers to a hook's ``httpGet``, whatever it says. What is asked for TLS and speaks HTTP is asked
        again without TLS and without a password: hooks of old had no scheme.
        """
        headers = _headers(spec, "kube-lifecycle/1.36")
        try:
            async with asyncio.timeout(timeout):
                try:
                    return await self._answers(_url(spec, target), headers)
                except aiohttp.ClientConnectorSSLError as error:
                    if getattr(error.os_error, "reason", "") not in NOT_TLS:
                        raise
                    headers.popall("Authorization", None)
                    return await self._answers(_url({**spec, "scheme": "HTTP"}, target), headers)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            return False

    async def _answers(self, url: str, headers: CIMultiDict[str]) -> bool:
        async with self._opened().get(_encoded(url), headers=headers):
            return True

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    async def _exec(self, command: list[str], target: Target, timeout: float) -> Result:
        try:
            result = await self._engine.exec(target.id, command, timeout)
        except TimeoutError:
            return Result(False, f'command timed out: "{" ".join(command)}" timed out after {timeout:g}s')
        except EngineError as error:
            return Result(False, f"command could not be run: {error}", unknown=True)
        return Result(result.exit_code == 0, "" if result.exit_code == 0 else result.output.decode("utf-8", "replace"))

    async def _http(self, spec: Mapping[str, Any], target: Target, timeout: float) -> Result:
        url = _url(spec, target)
        try:
            async with asyncio.timeout(timeout):
                return await self._get(url, _headers(spec, "kube-probe/1.36"), own=not spec.get("host"))
        except TimeoutError:
            text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            return Result(False, f'Get "{url}": {text}')
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Result(False, f'Get "{url}": {_http_error(error)}')

    async def _get(self, url: str, headers: CIMultiDict[str], *, own: bool) -> Result:
        first = urlsplit(url)
        for _ in range(REDIRECTS):
            async with self._opened().get(_encoded(url), headers=headers, allow_redirects=False) as answer:
                body = await answer.content.read(BODY)
                if not 200 <= answer.status < 400:
                    return Result(False, f"HTTP probe failed with statuscode: {answer.status}")
                location = answer.headers.get("Location", "") if answer.status >= 300 else ""
                following = urljoin(url, location)
                if not location:
                    return Result(True)
                if urlsplit(following).hostname != first.hostname:
                    # Of a host that the pod's author named, nothing is told: events are no way to read what it serves.
                    said = f", Response body: {body.decode('utf-8', 'replace')}" if own else ""
                    return Result(True, f"Probe terminated redirects{said}")
                url = following
        return Result(False, f'Get "{url}": stopped after {REDIRECTS} redirects')

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            unverified = ssl.create_default_context()
            unverified.check_hostname = False
            unverified.verify_mode = ssl.CERT_NONE
            # The documented meaning of scheme HTTPS in a probe: it asks whether the container answers, sends no
            # credential, and acts on the status code alone.
            connector = aiohttp.TCPConnector(limit=0, force_close=True, ssl=unverified, use_dns_cache=False)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), skip_auto_headers=("Accept",)
            )
        return self._session


def _url(spec: Mapping[str, Any], target: Target) -> str:
    """What an ``httpGet`` asks for. Raises ValueError."""
    scheme = (spec.get("scheme") or "HTTP").lower()
    host = spec.get("host") or target.ip
    path = spec.get("path") or "/"
    port = port_number(spec["port"], target.container)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{'' if path.startswith('/') else '/'}{path}"


def _encoded(url: str) -> URL:
    """As it was written, where that may be sent as it is."""
    return URL(url, encoded=url.isascii() and url.isprintable() and " " not in url)


def _headers(spec: Mapping[str, Any], agent: str) -> CIMultiDict[str]:
    """The handler's headers, a name as often as it is given, over those of every probe; an empty Accept sends none."""
    given: CIMultiDict[str] = CIMultiDict()
    for entry in spec.get("httpHeaders") or ():
        given.add(entry["name"], entry.get("value") or "")
    for name, value in (("User-Agent", agent), ("Accept", "*/*"), ("Connection", "close")):
        given.setdefault(name, value)
    if not given["Accept"]:
        del given["Accept"]
    return given


async def _tcp(spec: Mapping[str, Any], target: Target, timeout: float) -> Result:
    host = spec.get("host") or target.ip
    port = port_number(spec["port"], target.container)
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Result(False, f"dial tcp {host}:{port}: i/o timeout")
    except OSError as error:
        return Result(False, f"dial tcp {host}:{port}: {dial_error(error)}")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Result(True)


def _http_error(error: Exception) -> str:
    """As Go's client would say it."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {error.host}: no such host"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"dial tcp {error.host}:{error.port}: {dial_error(error)}"
    return dial_error(error)


def dial_error(error: Exception) -> str:
    """Why a connection could not be made."""
    cause = getattr(error, "os_error", error)
    number = getattr(cause, "errno", None)
    words = {
        111: "connect: connection refused",
        113: "connect: no route to host",
        104: "read: connection reset by peer",
    }
    return words.get(number or 0) or getattr(cause, "strerror", None) or str(error) or type(error).__name__
