"""Watches and informers against a scripted server: torn streams, resumption, 410."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from aiohttp import web

from moorage.client.errors import Forbidden, Gone
from moorage.client.informer import Informer, Informers
from moorage.client.objects import Document
from moorage.client.resource import PODS
from tests.support.certificates import Certificates
from tests.support.wait import until
from tests.unit.client.scripted import CLOSING, scripted, status


def _pod(name: str, version: int, **metadata: Any) -> Document:
    return {"metadata": {"namespace": "team", "name": name, "resourceVersion": str(version), **metadata}}


def _event(kind: str, document: Document) -> bytes:
    return orjson.dumps({"type": kind, "object": document}) + b"\n"


async def _stream(request: web.Request, *chunks: bytes, hold: bool = False) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for chunk in chunks:
        await response.write(chunk)
    if hold:
        await request.app[CLOSING].wait()
    return response


async def test_a_watch_goes_on_where_it_broke_and_ends_by_gone(certificates: Certificates) -> None:
    torn = _event("MODIFIED", _pod("b", 7))

    async def answer(request: web.Request) -> web.StreamResponse:
        if len(server.seen) == 1:
            first = _event("ADDED", _pod("a", 3)) + _event("BOOKMARK", _pod("", 5))
            return await _stream(request, first, torn[:20])
        if len(server.seen) == 2:
            return status(503, "ServiceUnavailable")
        if len(server.seen) == 3:
            return await _stream(request, torn[:9], torn[9:])
        gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
        return await _stream(request, _event("ERROR", gone))

    async with scripted(certificates, answer) as server, server.client() as client:
        seen: list[tuple[str, str]] = []

        async def follow() -> None:
            async for event in client.watch(PODS, "team", resource_version="2"):
                seen.append((event.type, event.object["metadata"]["name"]))  # noqa: PERF401 - ends by an exception

        with pytest.raises(Gone):
            await follow()
        assert seen == [("ADDED", "a"), ("BOOKMARK", ""), ("MODIFIED", "b")]
        versions = [line.split("resourceVersion=")[1].split("&")[0] for line in server.seen]
        assert versions == ["2", "5", "5", "7"]


async def test_a_watch_that_is_forbidden_is_not_repeated(certificates: Certificates) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return status(403, "Forbidden")

    async with scripted(certificates, answer) as server, server.client() as client:
        with pytest.raises(Forbidden):
            await anext(client.watch(PODS, "team", resource_version="2"))
        assert len(server.seen) == 1


class Lists:
    """A server whose list and watch are set by the test."""

    def __init__(self) -> None:
        self.items: list[Document] = []
        self.version = 1
        self.watches: list[list[bytes]] = []
        self.release = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": self.items})
        chunks = self.watches.pop(0) if self.watches else None
        if chunks is None:
            return await _stream(request, hold=True)
        await self.release.wait()
        return await _stream(request, *chunks)


async def test_an_informer_relists_after_gone_and_reports_the_difference(certificates: Certificates) -> None:
    lists = Lists()
    lists.items = [
        _pod("same", 1, uid="1"),
        _pod("changed", 1, uid="2"),
        _pod("lost", 1, uid="3"),
        _pod("reborn", 1, uid="4"),
    ]
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    lists.watches = [[_event("ERROR", gone)]]
    async with scripted(certificates, lists.answer) as server, server.client() as client:
        informer = Informer(client, PODS)
        informer.add_index("uid", lambda pod: [pod["metadata"]["uid"]])
        changes: list[tuple[str | None, str | None]] = []

        def name(document: Document | None) -> str | None:
            return f"{document['metadata']['name']}/{document['metadata']['uid']}" if document else None

        running = asyncio.create_task(informer.run())
        await informer.wait_synced()
        informer.add_handler(lambda old, new: changes.append((name(old), name(new))))
        assert len(changes) == 4
        changes.clear()
        lists.items = [
            _pod("same", 1, uid="1"),
            _pod("changed", 9, uid="2"),
            _pod("new", 8, uid="5"),
            _pod("reborn", 9, uid="6"),
        ]
        lists.version = 9
        lists.release.set()
        await until(lambda: informer.lists == 2)
        assert sorted(changes, key=str) == sorted(
            [
                ("changed/2", "changed/2"),
                (None, "new/5"),
                ("reborn/4", None),
                (None, "reborn/6"),
                ("lost/3", None),
            ],
            key=str,
        )
        assert informer.by_index("uid", "4") == []
        assert len(informer.by_index("uid", "6")) == 1
        assert {pod["metadata"]["name"] for pod in informer} == {"same", "changed", "new", "reborn"}
        running.cancel()


async def test_an_informer_follows_and_transforms(certificates: Certificates) -> None:
    lists = Lists()
    lists.items = [_pod("a", 1, uid="1", managedFields=[{}])]
    lists.watches = [
        [_event("ADDED", _pod("b", 2, uid="2", labels={"x": "1"})), _event("DELETED", _pod("a", 3, uid="1"))]
    ]
    lists.release.set()
    async with scripted(certificates, lists.answer) as server, server.client() as client:
        informers = Informers(client)
        informer = informers.get(PODS)
        assert informers.get(PODS) is informer
        informer.add_index("x", lambda pod: (pod["metadata"].get("labels") or {}).values())
        running = asyncio.create_task(informers.run())
        await informers.wait_synced()
        await until(lambda: informer.get("team", "a") is None)
        assert informer.by_index("x", "1") == [_pod("b", 2, uid="2", labels={"x": "1"})]
        running.cancel()


async def test_an_informer_goes_on_after_failures(certificates: Certificates, caplog: pytest.LogCaptureFixture) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if len(server.seen) == 1:
            return status(403, "Forbidden", "pods is forbidden")
        return await Lists().answer(request)

    async with scripted(certificates, answer) as server, server.client() as client:
        informer = Informer(client, PODS)
        running = asyncio.create_task(informer.run())
        await informer.wait_synced()
        assert "pods is forbidden" in caplog.text
        running.cancel()
