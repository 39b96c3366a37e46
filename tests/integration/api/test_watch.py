"""watch: every change once and in order, selections, bookmarks, ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from moorage.store import StoreSettings
from tests.integration.api.documents import CONFIGMAPS, PODS, configmap, create, namespace, patch, pod, send
from tests.integration.api.watching import watching
from tests.support.apiserver import RunningApi, serve_api
from tests.support.certificates import Certificates
from tests.support.wait import until


async def revision(api: RunningApi, path: str = CONFIGMAPS) -> str:
    version: str = (await send(api.client, "GET", path))["metadata"]["resourceVersion"]
    return version


async def test_changes_come_once_and_in_order(api: RunningApi) -> None:
    async with watching(api.client, CONFIGMAPS, resourceVersion=await revision(api)) as watch:
        made = await create(api.client, CONFIGMAPS, configmap())
        changed = await patch(api.client, f"{CONFIGMAPS}/c", {"data": {"b": "2"}})
        await send(api.client, "DELETE", f"{CONFIGMAPS}/c")
        events = [await watch.next() for _ in range(3)]
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[0]["object"] == made
    assert events[1]["object"] == changed
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))


async def test_a_watch_without_revision_begins_with_what_is_there(api: RunningApi) -> None:
    await create(api.client, CONFIGMAPS, configmap("a"))
    await create(api.client, CONFIGMAPS, configmap("b"))
    async with watching(api.client, CONFIGMAPS) as watch:
        assert await watch.take(2) == [("ADDED", "a"), ("ADDED", "b")]
        await create(api.client, CONFIGMAPS, configmap("c"))
        assert await watch.take(1) == [("ADDED", "c")]


async def test_a_watch_goes_on_from_an_old_revision(api: RunningApi) -> None:
    start = await revision(api)
    for name in "abc":
        await create(api.client, CONFIGMAPS, configmap(name))
    async with watching(api.client, CONFIGMAPS, resourceVersion=start) as watch:
        assert await watch.take(3) == [("ADDED", name) for name in "abc"]


async def test_only_the_namespace_that_is_watched_is_seen(api: RunningApi) -> None:
    await create(api.client, "/api/v1/namespaces", namespace("other"))
    async with watching(api.client, CONFIGMAPS, resourceVersion=await revision(api)) as watch:
        await create(api.client, "/api/v1/namespaces/other/configmaps", configmap("far"))
        await create(api.client, CONFIGMAPS, configmap("near"))
        assert await watch.take(1) == [("ADDED", "near")]


@pytest.mark.parametrize("kind", ["labels", "fields"])
async def test_moving_in_and_out_of_a_selection(api: RunningApi, kind: str) -> None:
    await create(api.client, PODS, pod("p", labels={"app": "no"}))
    selector = {"labelSelector": "app=yes"} if kind == "labels" else {"fieldSelector": "status.phase=Running"}
    start = await revision(api, PODS)

    async def move(inside: bool) -> None:
        if kind == "labels":
            await patch(api.client, f"{PODS}/p", {"metadata": {"labels": {"app": "yes" if inside else "no"}}})
        else:
            phase = "Running" if inside else "Succeeded"
            await patch(api.client, f"{PODS}/p/status", {"status": {"phase": phase}})

    async with watching(api.client, PODS, resourceVersion=start, **selector) as watch:
        await move(True)
        await patch(api.client, f"{PODS}/p", {"metadata": {"annotations": {"a": "1"}}})
        await move(False)
        await patch(api.client, f"{PODS}/p", {"metadata": {"annotations": {"a": "2"}}})
        await create(api.client, PODS, pod("q", labels={"app": "yes"}))
        await patch(api.client, f"{PODS}/q/status", {"status": {"phase": "Running"}})
        events = [await watch.next() for _ in range(4)]
    seen = [(event["type"], event["object"]["metadata"]["name"]) for event in events]
    assert seen == [("ADDED", "p"), ("MODIFIED", "p"), ("DELETED", "p"), ("ADDED", "q")]
    left = events[2]["object"]
    # The watcher learns nothing of the state outside of its selection, but at which revision the object left.
    inside = left["metadata"]["labels"]["app"] == "yes" if kind == "labels" else left["status"]["phase"] == "Running"
    assert inside
    assert int(left["metadata"]["resourceVersion"]) > int(events[1]["object"]["metadata"]["resourceVersion"])


async def test_one_object_can_be_watched_by_its_name(api: RunningApi) -> None:
    start = await revision(api)
    async with watching(api.client, CONFIGMAPS, resourceVersion=start, fieldSelector="metadata.name=b") as watch:
        await create(api.client, CONFIGMAPS, configmap("a"))
        await create(api.client, CONFIGMAPS, configmap("b"))
        assert await watch.take(1) == [("ADDED", "b")]
    async with watching(api.client, "/api/v1/watch/namespaces/default/configmaps/b") as watch:
        assert await watch.take(1) == [("ADDED", "b")]


async def test_a_streaming_list_says_where_the_state_ends(api: RunningApi) -> None:
    await create(api.client, CONFIGMAPS, configmap("a"))
    options = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    async with watching(api.client, CONFIGMAPS, **options) as watch:
        assert await watch.take(1) == [("ADDED", "a")]
        bookmark = await watch.next()
        assert bookmark["type"] == "BOOKMARK"
        metadata = bookmark["object"]["metadata"]
        assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
        await create(api.client, CONFIGMAPS, configmap("b"))
        assert await watch.take(1) == [("ADDED", "b")]
    async with watching(api.client, CONFIGMAPS, resourceVersion=metadata["resourceVersion"]) as watch:
        assert await watch.take(1) == [("ADDED", "b")]


async def test_bookmarks_move_an_idle_watch_on(database_url: str, certificates: Certificates) -> None:
    async with serve_api(database_url, certificates, bookmark_seconds=0.05) as api:
        start = await revision(api)
        async with watching(api.client, CONFIGMAPS, resourceVersion=start, allowWatchBookmarks="true") as watch:
            await create(api.client, PODS, pod())

            async def moved() -> bool:
                event = await watch.next()
                assert event["type"] == "BOOKMARK"
                assert event["object"]["kind"] == "ConfigMap"
                return int(event["object"]["metadata"]["resourceVersion"]) > int(start)

            await until(moved)


async def test_a_watch_ends_when_its_time_is_up(api: RunningApi) -> None:
    options = {"timeoutSeconds": "1", "allowWatchBookmarks": "true", "resourceVersion": await revision(api)}
    async with watching(api.client, CONFIGMAPS, **options) as watch:
        assert (await watch.next())["type"] == "BOOKMARK"
        with pytest.raises(EOFError):
            await watch.next()


async def test_what_is_past_the_history_is_an_error_event(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.store.feed, "horizon", 10**6)
    async with watching(api.client, CONFIGMAPS, resourceVersion="1") as watch:
        event = await watch.next()
        with pytest.raises(EOFError):
            await watch.next()
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    assert event["object"]["message"].startswith("too old resource version: 1 (")


async def test_a_revision_that_is_yet_to_come_is_an_error_event(api: RunningApi) -> None:
    async with watching(api.client, CONFIGMAPS, resourceVersion="999999999") as watch:
        event = await watch.next()
    assert event["type"] == "ERROR"
    assert event["object"]["code"] == 504
    assert event["object"]["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_a_table_watch_names_its_columns_once(api: RunningApi) -> None:
    await create(api.client, CONFIGMAPS, configmap("a"))
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    async with api.client.get(CONFIGMAPS, params={"watch": "1"}, headers=headers) as response:
        first = await response.content.readline()
        await create(api.client, CONFIGMAPS, configmap("b"))
        second = await response.content.readline()
    assert b'"kind":"Table"' in first
    assert b'"name":"Data"' in first
    assert b'"columnDefinitions":null' in second


async def test_clients_that_go_leave_no_watcher_behind(api: RunningApi) -> None:
    before = asyncio.all_tasks()
    for _ in range(5):
        async with watching(api.client, CONFIGMAPS, resourceVersion=await revision(api)):
            assert api.app.service.streams
    await until(lambda: not api.app.service.streams)
    await until(lambda: api.app.service.metrics.watchers["configmaps"] == 0)
    await until(lambda: len(asyncio.all_tasks()) <= len(before) + 1)


async def test_a_stopping_server_ends_its_watches_and_finishes_its_writes(
    database_url: str, certificates: Certificates
) -> None:
    async with serve_api(database_url, certificates) as api:
        async with watching(api.client, CONFIGMAPS, resourceVersion=await revision(api)) as watch:
            api.app.service.stop_streams()
            with pytest.raises(EOFError):
                await watch.next()
        async with api.client.get("/readyz") as response:
            assert response.status == 503


async def test_a_client_that_does_not_read_is_cut_off(database_url: str, certificates: Certificates) -> None:
    """Its connection fills up and then its queue; what it missed it has to list again."""
    settings = StoreSettings(watcher_changes=4)
    async with serve_api(database_url, certificates, settings=settings) as api:
        start = await revision(api)
        async with slow_connection(api) as (reader, writer):
            request = f"GET {CONFIGMAPS}?watch=1&resourceVersion={start} HTTP/1.1\r\nHost: x\r\n"
            writer.write(f"{request}Authorization: Bearer admin-token\r\n\r\n".encode())
            await until(lambda: api.app.service.streams)
            for number in range(24):
                await create(api.client, CONFIGMAPS, configmap(f"c{number}", {"big": "x" * 900_000}))
            text = b""
            async with asyncio.timeout(20):
                while not text.endswith(b"0\r\n\r\n"):
                    part = await reader.read(2**20)
                    assert part
                    text = (text + part)[-2000:]
        assert b'{"type":"ERROR","object":{' in text
        assert b"did not keep up" in text


@asynccontextmanager
async def slow_connection(api: RunningApi) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that holds little more than what its reader has taken."""
    host, port = api.url.removeprefix("https://").split(":")
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    plain.connect((host, int(port)))
    plain.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=plain, ssl=api.tls, server_hostname=host, limit=16384)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
