"""Pages, revisions, selectors and forms of lists."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.api.documents import CONFIGMAPS, PODS, configmap, create, namespace, patch, pod, send
from tests.support.apiserver import RunningApi, serve_api
from tests.support.certificates import Certificates


def names(answer: dict[str, object]) -> list[str]:
    items = answer["items"]
    assert isinstance(items, list)
    return [each["metadata"]["name"] for each in items]


async def make(api: RunningApi, count: int) -> None:
    await asyncio.gather(*(create(api.client, CONFIGMAPS, configmap(f"c{number}")) for number in range(count)))


async def test_pages_show_one_revision_whatever_happens_between_them(api: RunningApi) -> None:
    await make(api, 7)
    first = await send(api.client, "GET", CONFIGMAPS, params={"limit": "3"})
    assert names(first) == ["c0", "c1", "c2"]
    assert first["metadata"]["remainingItemCount"] == 4
    await send(api.client, "DELETE", f"{CONFIGMAPS}/c4")
    await create(api.client, CONFIGMAPS, configmap("c45"))
    await patch(api.client, f"{CONFIGMAPS}/c5", {"data": {"a": "new"}})
    second = await send(api.client, "GET", CONFIGMAPS, params={"limit": "3", "continue": first["metadata"]["continue"]})
    assert names(second) == ["c3", "c4", "c5"]
    assert second["items"][2]["data"] == {"a": "1"}
    assert second["metadata"]["remainingItemCount"] == 1
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    last = await send(api.client, "GET", CONFIGMAPS, params={"limit": "3", "continue": second["metadata"]["continue"]})
    assert names(last) == ["c6"]
    assert "continue" not in last["metadata"]


async def test_pages_across_namespaces_and_selectors(api: RunningApi) -> None:
    for space in ("a", "b"):
        await create(api.client, "/api/v1/namespaces", namespace(space))
        for number in range(6):
            labels = {"even": str(number % 2 == 0).lower()}
            await create(api.client, f"/api/v1/namespaces/{space}/configmaps", configmap(f"c{number}", labels=labels))
    params = {"limit": "2", "labelSelector": "even=true"}
    found: list[str] = []
    while True:
        answer = await send(api.client, "GET", "/api/v1/configmaps", params=params)
        assert "remainingItemCount" not in answer["metadata"]
        found += [f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in answer["items"]]
        await create(api.client, CONFIGMAPS, configmap(f"later{len(found)}", labels={"even": "true"}))
        if "continue" not in answer["metadata"]:
            break
        params["continue"] = answer["metadata"]["continue"]
    assert found == ["a/c0", "a/c2", "a/c4", "b/c0", "b/c2", "b/c4"]


async def test_an_expired_page_offers_to_go_on(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    await make(api, 4)
    first = await send(api.client, "GET", CONFIGMAPS, params={"limit": "2"})
    await create(api.client, CONFIGMAPS, configmap("c9"))
    monkeypatch.setattr(api.store.feed, "horizon", 10**6)
    expired = await send(
        api.client, "GET", CONFIGMAPS, params={"limit": "2", "continue": first["metadata"]["continue"]}, expect=410
    )
    assert expired["reason"] == "Expired"
    fresh = expired["metadata"]["continue"]
    rest = await send(api.client, "GET", CONFIGMAPS, params={"continue": fresh})
    assert names(rest) == ["c2", "c3", "c9"]


async def test_lists_of_revisions(api: RunningApi) -> None:
    await make(api, 2)
    old = (await send(api.client, "GET", CONFIGMAPS))["metadata"]["resourceVersion"]
    await create(api.client, CONFIGMAPS, configmap("later"))
    exact = {"resourceVersion": old, "resourceVersionMatch": "Exact"}
    answer = await send(api.client, "GET", CONFIGMAPS, params=exact)
    assert names(answer) == ["c0", "c1"]
    assert answer["metadata"]["resourceVersion"] == old
    newer = await send(
        api.client, "GET", CONFIGMAPS, params={"resourceVersion": old, "resourceVersionMatch": "NotOlderThan"}
    )
    assert names(newer) == ["c0", "c1", "later"]
    assert names(await send(api.client, "GET", CONFIGMAPS, params={"resourceVersion": "0"})) == ["c0", "c1", "later"]
    future = await send(api.client, "GET", CONFIGMAPS, params={"resourceVersion": "99999999"}, expect=504)
    assert future["message"].startswith("Too large resource version: 99999999, current: ")


async def test_selectors(api: RunningApi) -> None:
    for name, app in (("p1", "web"), ("p2", "web"), ("p3", "db")):
        await create(api.client, PODS, pod(name, labels={"app": app}))
    bound = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p2"}, "target": {"name": "n1"}}
    await create(api.client, f"{PODS}/p2/binding", bound)
    for params, expected in (
        ({"labelSelector": "app=web"}, ["p1", "p2"]),
        ({"labelSelector": "app!=web"}, ["p3"]),
        ({"labelSelector": "app in (web,db),app notin (db)"}, ["p1", "p2"]),
        ({"fieldSelector": "spec.nodeName=n1"}, ["p2"]),
        ({"fieldSelector": "spec.nodeName="}, ["p1", "p3"]),
        ({"fieldSelector": "spec.nodeName!=n1,metadata.name!=p1"}, ["p3"]),
        ({"fieldSelector": "metadata.name=p3"}, ["p3"]),
        ({"fieldSelector": "metadata.namespace=elsewhere"}, []),
        ({"fieldSelector": "status.phase=Pending", "labelSelector": "app=db"}, ["p3"]),
    ):
        assert names(await send(api.client, "GET", PODS, params=params)) == expected, params


async def test_a_read_sees_what_was_written_through_another_server(
    database_url: str, certificates: Certificates
) -> None:
    async with serve_api(database_url, certificates) as one, serve_api(database_url, certificates, server="two") as two:
        for number in range(20):
            made = await create(one.client, CONFIGMAPS, configmap(f"c{number}"))
            assert await send(two.client, "GET", f"{CONFIGMAPS}/c{number}") == made
            assert len((await send(two.client, "GET", CONFIGMAPS))["items"]) == number + 1
            await patch(two.client, f"{CONFIGMAPS}/c{number}", {"data": {"b": "2"}})
            assert (await send(one.client, "GET", f"{CONFIGMAPS}/c{number}"))["data"] == {"a": "1", "b": "2"}


async def test_forms_of_answers(api: RunningApi) -> None:
    made = await create(api.client, PODS, pod())
    table = await send(api.client, "GET", PODS, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
    assert table["kind"] == "Table"
    assert table["columnDefinitions"][0]["name"] == "Name"
    assert table["rows"][0]["cells"][0] == "p"
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    metadata = await send(api.client, "GET", PODS, headers={"Accept": partial})
    assert metadata["kind"] == "PartialObjectMetadataList"
    assert metadata["items"][0]["metadata"]["uid"] == made["metadata"]["uid"]
    assert "spec" not in metadata["items"][0]
    async with api.client.get(f"{PODS}/p", headers={"Accept": "application/yaml"}) as response:
        assert response.headers["Content-Type"] == "application/yaml"
        assert "kind: Pod\n" in await response.text()
    async with api.client.get(f"{PODS}/p", params={"pretty": "true"}) as response:
        assert (await response.text()).startswith("{\n  ")


async def test_many_objects_arrive_whole(api: RunningApi) -> None:
    """Enough for the answer to be sent in parts."""
    for start in range(0, 300, 50):
        await asyncio.gather(
            *(
                create(api.client, CONFIGMAPS, configmap(f"c{number:03}", {"a": "x" * 4000}))
                for number in range(start, start + 50)
            )
        )
    answer = await send(api.client, "GET", CONFIGMAPS)
    assert names(answer) == [f"c{number:03}" for number in range(300)]


async def test_head_has_no_body(api: RunningApi) -> None:
    async with api.client.head(PODS) as response:
        assert response.status == 200
        assert await response.read() == b""
