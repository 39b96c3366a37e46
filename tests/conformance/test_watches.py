"""Watches: selections, restarts, consistency between watchers, bookmarks, streaming lists."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.rest import Document, Rest


@pytest.fixture
def path(space: str) -> str:
    return f"/api/v1/namespaces/{space}/configmaps"


def _configmap(name: str, label: str, **data: str) -> Document:
    return {"metadata": {"name": name, "labels": {"watch-this": label}}, "data": data}


def _next(events: Iterator[tuple[str, Document]]) -> tuple[str, str, str]:
    type_, document = next(events)
    return type_, document["metadata"]["name"], (document.get("data") or {}).get("mutation", "")


def test_each_watcher_hears_of_its_selection(api: Rest, path: str) -> None:
    revision = api.get(path)["metadata"]["resourceVersion"]
    wanted = {"resourceVersion": revision}
    with (
        api.watch(path, labelSelector="watch-this=a", **wanted) as only_a,
        api.watch(path, labelSelector="watch-this=b", **wanted) as only_b,
        api.watch(path, labelSelector="watch-this in (a,b)", **wanted) as both,
    ):
        api.create(path, _configmap("sel-a", "a"))
        api.patch(f"{path}/sel-a", {"data": {"mutation": "1"}})
        api.patch(f"{path}/sel-a", {"data": {"mutation": "2"}})
        api.delete(f"{path}/sel-a")
        api.create(path, _configmap("sel-b", "b"))
        api.delete(f"{path}/sel-b")
        of_a = [
            ("ADDED", "sel-a", ""),
            ("MODIFIED", "sel-a", "1"),
            ("MODIFIED", "sel-a", "2"),
            ("DELETED", "sel-a", "2"),
        ]
        of_b = [("ADDED", "sel-b", ""), ("DELETED", "sel-b", "")]
        assert [_next(only_a) for _ in of_a] == of_a
        assert [_next(only_b) for _ in of_b] == of_b
        assert [_next(both) for _ in of_a + of_b] == of_a + of_b


def test_a_watch_goes_on_from_where_another_ended(api: Rest, path: str) -> None:
    revision = api.get(path)["metadata"]["resourceVersion"]
    with api.watch(path, labelSelector="watch-this=closed", resourceVersion=revision) as events:
        api.create(path, _configmap("restart", "closed"))
        api.patch(f"{path}/restart", {"data": {"mutation": "1"}})
        assert _next(events)[0] == "ADDED"
        _, seen = next(events)
    api.patch(f"{path}/restart", {"data": {"mutation": "2"}})
    api.delete(f"{path}/restart")
    last = seen["metadata"]["resourceVersion"]
    with api.watch(path, labelSelector="watch-this=closed", resourceVersion=last) as events:
        assert _next(events) == ("MODIFIED", "restart", "2")
        type_, document = next(events)
        assert type_ == "DELETED"
        assert int(document["metadata"]["resourceVersion"]) > int(last)


def test_a_watch_from_a_revision_in_the_past(api: Rest, path: str) -> None:
    api.create(path, _configmap("past", "from-rv"))
    first = api.patch(f"{path}/past", {"data": {"mutation": "1"}})
    api.patch(f"{path}/past", {"data": {"mutation": "2"}})
    api.delete(f"{path}/past")
    query = {"fieldSelector": "metadata.name=past", "resourceVersion": first["metadata"]["resourceVersion"]}
    with api.watch(path, **query) as events:
        assert [_next(events), _next(events)] == [("MODIFIED", "past", "2"), ("DELETED", "past", "2")]


def test_leaving_a_selection_is_a_deletion(api: Rest, path: str) -> None:
    revision = api.get(path)["metadata"]["resourceVersion"]
    with api.watch(path, labelSelector="watch-this=changed", resourceVersion=revision) as events:
        api.create(path, _configmap("moves", "changed"))
        api.patch(f"{path}/moves", {"data": {"mutation": "1"}})
        api.patch(f"{path}/moves", {"metadata": {"labels": {"watch-this": "wrong"}}})
        api.patch(f"{path}/moves", {"data": {"mutation": "2"}})
        api.patch(f"{path}/moves", {"metadata": {"labels": {"watch-this": "changed"}}})
        api.patch(f"{path}/moves", {"data": {"mutation": "3"}})
        api.delete(f"{path}/moves")
        seen = [_next(events) for _ in range(6)]
    assert [(type_, value) for type_, _, value in seen] == [
        ("ADDED", ""), ("MODIFIED", "1"), ("DELETED", "1"), ("ADDED", "2"), ("MODIFIED", "3"), ("DELETED", "3"),
    ]  # fmt: skip


def test_all_watchers_see_the_same_in_the_same_order(api: Rest, path: str) -> None:
    start = api.get(path)["metadata"]["resourceVersion"]

    def write() -> None:
        for number in range(25):
            name = f"order-{number % 5}"
            if number < 5:
                api.create(path, _configmap(name, "order"))
            else:
                api.patch(f"{path}/{name}", {"data": {"mutation": str(number)}})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        query = {"labelSelector": "watch-this=order"}
        with api.watch(path, resourceVersion=start, **query) as events:
            seen = [document["metadata"]["resourceVersion"] for _, document in (next(events) for _ in range(25))]
    finally:
        writer.join()
    assert seen == sorted(set(seen), key=int)
    for at in range(0, 25, 6):
        with api.watch(path, resourceVersion=seen[at], **query) as events:
            rest = [next(events)[1]["metadata"]["resourceVersion"] for _ in seen[at + 1 :]]
        assert rest == seen[at + 1 :]


def test_a_streaming_list_ends_with_a_bookmark(api: Rest, path: str) -> None:
    api.create(path, _configmap("streamed", "stream"))
    query: dict[str, Any] = {
        "labelSelector": "watch-this=stream",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    with api.watch(path, **query) as events:
        assert _next(events) == ("ADDED", "streamed", "")
        type_, mark = next(events)
        assert type_ == "BOOKMARK"
        assert mark["kind"] == "ConfigMap"
        assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        api.patch(f"{path}/streamed", {"data": {"mutation": "1"}})
        assert _next(events) == ("MODIFIED", "streamed", "1")
        later = api.get(f"{path}/streamed")["metadata"]["resourceVersion"]
        assert int(later) > int(mark["metadata"]["resourceVersion"])


def test_a_watch_with_a_timeout_ends_with_a_bookmark(api: Rest, path: str) -> None:
    revision = api.get(path)["metadata"]["resourceVersion"]
    query = {"labelSelector": "watch-this=nothing", "resourceVersion": revision, "timeoutSeconds": 1}
    with api.watch(path, allowWatchBookmarks="true", **query) as events:
        seen = list(events)
    assert {type_ for type_, _ in seen} <= {"BOOKMARK"}
    assert int(seen[-1][1]["metadata"]["resourceVersion"]) >= int(revision)


def test_a_revision_that_is_none_is_refused(api: Rest, path: str) -> None:
    for revision in ("not-a-number", "-5"):
        refused = api.request("GET", path, watch="true", resourceVersion=revision)
        assert f'resourceVersion: Invalid value: "{revision}"' in refused.refused(422)


def test_the_old_ways_to_watch(api: Rest, path: str, space: str) -> None:
    api.create(path, _configmap("oldway", "old"))
    old = f"/api/v1/watch/namespaces/{space}/configmaps/oldway"
    with api.watch(old) as events:
        assert _next(events) == ("ADDED", "oldway", "")
