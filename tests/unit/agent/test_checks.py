"""Checks of containers over HTTP and gRPC, against a server that says what it is told to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from moorage_agent.engine.contract import EngineError, EngineUnavailable
from moorage_agent.engine.fake import FakeEngine
from moorage_agent.pods import hooks
from moorage_agent.probes import grpc_health
from moorage_agent.probes.checks import Checks, Result, Target

HOST = "127.0.0.1"


class Server:
    """Answers every request with ``answer`` and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer = ""
        self.asked = ""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1)
        if first == b"\x16":  # a TLS handshake, which a server of HTTP does not understand
            writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        else:
            self.asked = (first + await reader.readuntil(b"\r\n\r\n")).decode()
            writer.write(self.answer.encode())
        writer.close()

    def says(self, status: str, body: str = "", **headers: str) -> None:
        fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.answer = f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n{body}"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    running = await asyncio.start_server(made.serve, HOST, 0)
    made.port = running.sockets[0].getsockname()[1]
    async with running:
        yield made


@pytest.fixture
async def checks() -> AsyncIterator[Checks]:
    made = Checks(FakeEngine())
    yield made
    await made.close()


def target(**fields: Any) -> Target:
    return Target("c-0", {"name": "c", **fields}, HOST)


async def get(checks: Checks, server: Server, **spec: Any) -> Result:
    return await checks.run({"httpGet": {"port": server.port, **spec}}, target(), 2.0)


async def test_a_status_decides(checks: Checks, server: Server) -> None:
    for status, ok in (("200 OK", True), ("204 No Content", True), ("404 Not Found", False), ("500 Oh", False)):
        server.says(status, "treasure" if "No" not in status else "")
        result = await get(checks, server)
        assert result.ok is ok
        assert result.message == ("" if ok else f"HTTP probe failed with statuscode: {status[:3]}")


async def test_headers_are_the_specs_over_those_of_every_probe(checks: Checks, server: Server) -> None:
    server.says("200 OK")
    headers = [{"name": "Host", "value": "shop"}, {"name": "X-A", "value": "1"}, {"name": "X-A", "value": "2"}]
    await get(checks, server, path="/a%2Fb?c=%20d", httpHeaders=headers)
    lines = server.asked.split("\r\n")
    assert lines[0] == "GET /a%2Fb?c=%20d HTTP/1.1"
    assert [line for line in lines if line.startswith("X-A")] == ["X-A: 1", "X-A: 2"]
    assert {"Host: shop", "User-Agent: kube-probe/1.36", "Accept: */*", "Connection: close"} <= set(lines)
    await get(checks, server, httpHeaders=[{"name": "Accept", "value": ""}, {"name": "user-agent", "value": "me"}])
    assert "Accept:" not in server.asked
    assert "user-agent: me" in server.asked


async def test_a_way_elsewhere_is_not_gone_and_told_of(checks: Checks, server: Server) -> None:
    server.says("302 Found", "treasure", Location="http://elsewhere.invalid/")
    assert await get(checks, server) == Result(True, "Probe terminated redirects, Response body: treasure")
    named = await get(checks, server, host=HOST)
    assert named == Result(True, "Probe terminated redirects")
    server.says("302 Found", Location=f"http://{HOST}:{server.port}/again")
    assert (await get(checks, server)).message.endswith("stopped after 10 redirects")


async def test_connections_that_fail_say_why(checks: Checks, server: Server) -> None:
    server.answer = ""
    result = await get(checks, server)
    assert result == Result(False, f'Get "http://{HOST}:{server.port}/": EOF')
    refused = await checks.run({"httpGet": {"port": 1}}, target(), 2.0)
    assert refused.message == f'Get "http://{HOST}:1/": dial tcp {HOST}:1: connect: connection refused'
    lost = await checks.run({"httpGet": {"port": 1, "host": "no.such.host.invalid"}}, target(), 5.0)
    assert "dial tcp: lookup no.such.host.invalid: no such host" in lost.message
    unhealthy = await grpc_health.check(HOST, {"port": 1}, 2.0)
    assert unhealthy.message == f'error: failed to connect service at "{HOST}:1": connect: connection refused'


@pytest.mark.parametrize("error", [EngineUnavailable("gone"), EngineError("the container does not run")])
async def test_what_could_not_be_found_out_is_unknown(
    checks: Checks, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def fails(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(FakeEngine, "exec", fails)
    result = await checks.run({"exec": {"command": ["true"]}}, target(), 1.0)
    assert (result.ok, result.unknown) == (False, True)
    named = await checks.run({"httpGet": {"port": "web"}}, target(), 1.0)
    assert (named.unknown, named.message) == (True, "couldn't find port 'web' in container 'c'")


async def test_hooks_take_any_answer_and_no_dial(checks: Checks, server: Server) -> None:
    server.says("500 Oh")
    assert await hooks.run(checks, {"httpGet": {"port": server.port}}, target(), 2.0)
    assert "User-Agent: kube-lifecycle/1.36" in server.asked
    secret = [{"name": "Authorization", "value": "treasure"}, {"name": "X-A", "value": "1"}]
    encrypted = {"port": server.port, "scheme": "HTTPS", "httpHeaders": secret}
    assert await hooks.run(checks, {"httpGet": encrypted}, target(), 2.0)
    assert "X-A: 1" in server.asked
    assert "treasure" not in server.asked
    assert not await hooks.run(checks, {"httpGet": {"port": 1}}, target(), 2.0)
    assert not await hooks.run(checks, {"tcpSocket": {"port": server.port}}, target(), 2.0)


def test_a_long_service_name_has_its_length_in_two_bytes() -> None:
    sent = grpc_health.request("10.0.0.1:1", "x" * 300)
    assert sent.endswith(b"\x0a\xac\x02" + b"x" * 300)
