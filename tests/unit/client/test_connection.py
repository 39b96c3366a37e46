"""Requests: errors, retries of what is safe, connections, tokens, TLS."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from moorage.client import errors
from moorage.client.api import ApiClient
from moorage.client.resource import CONFIG_MAPS, NODES, PODS
from tests.support.certificates import Certificates
from tests.unit.client.scripted import CLOSING, scripted, status

POD = {"metadata": {"namespace": "team", "name": "web"}}


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", errors.BadRequest),
        (401, "Unauthorized", errors.Unauthorized),
        (403, "Forbidden", errors.Forbidden),
        (404, "NotFound", errors.NotFound),
        (406, "NotAcceptable", errors.NotAllowed),
        (409, "Conflict", errors.Conflict),
        (409, "AlreadyExists", errors.AlreadyExists),
        (410, "Expired", errors.Gone),
        (413, "RequestEntityTooLarge", errors.TooLarge),
        (422, "Invalid", errors.Invalid),
        (429, "TooManyRequests", errors.TooManyRequests),
        (500, "InternalError", errors.InternalError),
        (503, "ServiceUnavailable", errors.Unavailable),
    ],
)
async def test_each_refusal_has_its_class(
    certificates: Certificates, code: int, reason: str, expected: type[errors.ApiError]
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return status(code, reason, "because")

    async with scripted(certificates, answer) as server, server.client() as client:
        with pytest.raises(expected) as caught:
            await client.get(PODS, "web", "team")
        assert type(caught.value) is expected
        assert (caught.value.message, caught.value.reason) == ("because", reason)
        assert len(server.seen) == 1


async def test_an_answer_that_is_no_status_is_shown(certificates: Certificates) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=502, text="<html>bad gateway</html>")

    async with scripted(certificates, answer) as server, server.client() as client:
        with pytest.raises(errors.Unavailable, match="bad gateway"):
            await client.get(NODES, "n1")


async def test_what_the_server_put_off_is_sent_again_even_a_create(certificates: Certificates) -> None:
    async def answer(_request: web.Request) -> web.Response:
        if len(server.seen) < 3:
            return status(503, "ServiceUnavailable", Retry_After="0")
        return web.json_response(POD)

    async with scripted(certificates, answer) as server, server.client() as client:
        assert await client.create(PODS, POD) == POD
        assert server.seen == ["POST /api/v1/namespaces/team/pods"] * 3


async def test_a_create_whose_connection_breaks_is_not_sent_again_but_a_read_is(certificates: Certificates) -> None:
    async def answer(request: web.Request) -> web.Response:
        if len(server.seen) in (1, 2):
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(POD)

    async with scripted(certificates, answer) as server, server.client() as client:
        with pytest.raises(errors.Unreachable) as caught:
            await client.create(PODS, POD)
        assert caught.value.sent
        assert await client.get(PODS, "web", "team") == POD
        assert [line.split()[0] for line in server.seen] == ["POST", "GET", "GET"]


async def test_a_refused_connection_is_tried_again_for_any_request(certificates: Certificates) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    client = ApiClient(f"https://127.0.0.1:{port}", ca_file=certificates.ca)
    async with client:
        with pytest.raises(errors.Unreachable) as caught:
            await client.create(PODS, POD)
        assert not caught.value.sent


async def test_a_late_answer_is_given_up(certificates: Certificates) -> None:
    asked = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        asked.set()
        await request.app[CLOSING].wait()
        return web.json_response(POD)

    async with scripted(certificates, answer) as server, server.client(timeout=0.3) as client:
        with pytest.raises(errors.Unreachable):
            await client.get(NODES, "n1")
        assert asked.is_set()
        assert len(server.seen) == 1


async def test_connections_are_used_again(certificates: Certificates) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(POD)

    async with scripted(certificates, answer) as server, server.client() as client:
        for _ in range(5):
            await client.get(PODS, "web", "team")
        assert len(server.connections) == 1


async def test_a_token_file_is_read_again_when_it_changes(certificates: Certificates, tmp_path: Path) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(POD)

    file = tmp_path / "token"
    file.write_text("first\n")
    async with scripted(certificates, answer) as server, server.client(token="", token_file=file) as client:
        await client.get(PODS, "web", "team")
        file.write_text("the second\n")
        await client.get(PODS, "web", "team")
        file.unlink()
        await client.get(PODS, "web", "team")
        sent = [headers["Authorization"] for headers in server.headers]
        assert sent == ["Bearer first", "Bearer the second", "Bearer the second"]


async def test_an_unknown_ca_is_refused_before_anything_is_sent(certificates: Certificates) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(POD)

    async with scripted(certificates, answer) as server, ApiClient(server.url, token="secret") as client:
        with pytest.raises(errors.Unreachable, match="certificate verify failed"):
            await client.get(PODS, "web", "team")
        assert server.seen == []


@pytest.mark.parametrize("server", ["http://127.0.0.1:80", "127.0.0.1:6443", "https://"])
def test_a_server_without_tls_is_refused(server: str) -> None:
    with pytest.raises(ValueError, match="https://HOST:PORT"):
        ApiClient(server)


async def test_a_list_is_read_in_pages_and_begun_again_when_they_expire(certificates: Certificates) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.query.get("continue"):
            return status(410, "Expired")
        if "limit" in request.query:
            return web.json_response({"metadata": {"resourceVersion": "5", "continue": "more"}, "items": [POD]})
        return web.json_response({"metadata": {"resourceVersion": "9"}, "items": [POD, POD, POD]})

    async with scripted(certificates, answer) as server, server.client() as client:
        found = await client.list(CONFIG_MAPS, "team", labels={"b": "2", "a": "1"}, page_size=1)
        assert (len(found.items), found.resource_version) == (3, "9")
        assert found.items[0]["kind"] == "ConfigMap"
        path = "GET /api/v1/namespaces/team/configmaps?labelSelector=a%3D1,b%3D2"
        assert server.seen == [f"{path}&limit=1", f"{path}&limit=1&continue=more", path]


async def test_names_cannot_change_the_path(certificates: Certificates) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(POD)

    async with scripted(certificates, answer) as server, server.client() as client:
        await client.get(PODS, "../secrets/a?b#c", "te/am")
        assert server.seen == ["GET /api/v1/namespaces/te%2Fam/pods/..%2Fsecrets%2Fa%3Fb%23c"]
        with pytest.raises(ValueError, match="needs a namespace"):
            await client.get(PODS, "web")


async def test_watches_take_no_place_of_requests_however_many_kinds_there_are(certificates: Certificates) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response(POD)
        stream = web.StreamResponse()
        await stream.prepare(request)
        await stream.write(b"\n")
        await request.app[CLOSING].wait()
        return stream

    async with scripted(certificates, answer) as server, server.client() as client, AsyncExitStack() as watches:
        for _ in range(120):
            await watches.enter_async_context(client.connection.stream("GET", "/api/v1/pods", params={"watch": "1"}))
        async with asyncio.timeout(20):
            assert await client.get(PODS, "web", "team") == POD
