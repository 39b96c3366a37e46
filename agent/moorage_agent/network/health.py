"""Answers at a Service's ``healthCheckNodePort``: load balancers ask there which nodes have pods of it.

Source: kube-proxy's ``pkg/proxy/healthcheck/service_health.go``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Hashable
from typing import NamedTuple

log = logging.getLogger(__name__)

RETRY_SECONDS = 30.0
REQUEST_SECONDS = 5.0


class Check(NamedTuple):
    """What one Service's port answers: ``local`` counts its ready pods on this node."""

    namespace: str
    name: str
    port: int
    local: int


def answer(check: Check) -> bytes:
    """The answer to any request, as HTTP/1.1. Pure."""
    code = "200 OK" if check.local else "503 Service Unavailable"
    service = {"namespace": check.namespace, "name": check.name}
    body = json.dumps({"service": service, "localEndpoints": check.local, "serviceProxyHealthy": True}) + "\n"
    head = [
        f"HTTP/1.1 {code}",
        "Content-Type: application/json",
        "X-Content-Type-Options: nosniff",
        f"X-Load-Balancing-Endpoint-Weight: {check.local}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


class HealthChecks:
    """Listens at the ports of the Services that have one, on every address of the node."""

    def __init__(self) -> None:
        self._wanted: dict[Hashable, Check] = {}
        self._servers: dict[int, asyncio.Server] = {}
        self._wake = asyncio.Event()

    def put(self, key: Hashable, check: Check | None) -> None:
        """One Service's check as it is now; None: it has none."""
        if check is None:
            known = self._wanted.pop(key, None)
            if known is not None:
                self._wake.set()
        elif self._wanted.get(key) != check:
            self._wanted[key] = check
            self._wake.set()

    async def run(self) -> None:
        """Have the ports open, until cancelled."""
        try:
            while True:
                self._wake.clear()
                done = await self._arrange()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if done else RETRY_SECONDS):
                        await self._wake.wait()
        finally:
            for server in self._servers.values():
                server.close()

    async def _arrange(self) -> bool:
        """Open and close ports; whether all could be opened."""
        ports = {check.port for check in self._wanted.values()}
        for port in set(self._servers) - ports:
            self._servers.pop(port).close()
        done = True
        for port in ports - set(self._servers):
            try:
                self._servers[port] = await asyncio.start_server(self._serve, "0.0.0.0", port)  # noqa: S104 - load balancers ask from outside
            except OSError as error:
                done = False
                log.warning("health checks at port %d are not answered: %s; trying again", port, error.strerror)
        return done

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REQUEST_SECONDS):
                port = writer.get_extra_info("sockname")[1]
                await reader.readuntil(b"\r\n\r\n")
                check = next((each for each in self._wanted.values() if each.port == port), None)
                if check is not None:
                    writer.write(answer(check))
                    await writer.drain()
        writer.close()
