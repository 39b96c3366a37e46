"""The client's verbs, watches and bulk requests on the real API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.client import operations
from moorage.client.api import ApiClient
from moorage.client.discovery import served
from moorage.client.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound, Unauthorized
from moorage.client.informer import Informer
from moorage.client.join import bootstrap_ca, fingerprint
from moorage.client.leader import LeaderElector
from moorage.client.objects import Document
from moorage.client.resource import BUILT_IN, CONFIG_MAPS, NAMESPACES, PODS
from tests.support.apiserver import RunningApi
from tests.support.wait import until


@pytest.fixture
async def client(api: RunningApi) -> AsyncIterator[ApiClient]:
    """An admin's client."""
    async with ApiClient(api.url, token=api.token, ca_file=api.ca_file) as made:
        yield made


def _map(name: str, **data: str) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", "labels": {"set": "one"}},
        "data": data,
    }


async def test_the_verbs(client: ApiClient) -> None:
    created = await client.create(CONFIG_MAPS, _map("a", x="1"))
    with pytest.raises(AlreadyExists):
        await client.create(CONFIG_MAPS, _map("a"))
    assert await client.get(CONFIG_MAPS, "a", "default") == created
    only = await client.get(CONFIG_MAPS, "a", "default", metadata_only=True)
    assert only["metadata"]["uid"] == created["metadata"]["uid"]
    assert "data" not in only
    updated = await client.update(CONFIG_MAPS, {**created, "data": {"x": "2"}})
    with pytest.raises(Conflict):
        await client.update(CONFIG_MAPS, {**created, "data": {"x": "3"}})
    assert updated["data"] == {"x": "2"}
    for kind, change in (
        ("merge", {"data": {"y": "m"}}),
        ("strategic", {"data": {"y": "s"}}),
        ("json", [{"op": "replace", "path": "/data/y", "value": "j"}]),
    ):
        patched = await client.patch(CONFIG_MAPS, "a", change, "default", kind=kind)  # type: ignore[arg-type] # a literal
        assert patched["data"]["y"] == kind[0]
    applied = await client.apply(CONFIG_MAPS, _map("a", z="1"), field_manager="tester")
    assert applied["data"] == {"x": "2", "y": "j", "z": "1"}
    with pytest.raises(Conflict):
        await client.apply(CONFIG_MAPS, _map("a", y="2"), field_manager="tester")
    forced = await client.apply(CONFIG_MAPS, _map("a", y="2"), field_manager="tester", force=True)
    assert forced["data"] == {"x": "2", "y": "2"}
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAPS, "a", "default", uid="00000000-0000-0000-0000-000000000000")
    await client.delete(CONFIG_MAPS, "a", "default", uid=created["metadata"]["uid"])
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, "a", "default")


async def test_lists_in_pages_with_selectors_and_their_deletion(client: ApiClient) -> None:
    await client.batch([operations.create(_map(f"m{number}")) for number in range(7)])
    found = await client.list(CONFIG_MAPS, "default", labels={"set": "one"}, page_size=3)
    assert [each["metadata"]["name"] for each in found.items] == [f"m{number}" for number in range(7)]
    one = await client.list(CONFIG_MAPS, fields={"metadata.name": "m3", "metadata.namespace": "default"})
    assert [each["metadata"]["name"] for each in one.items] == ["m3"]
    await client.delete_collection(CONFIG_MAPS, "default", labels="set=one")
    assert (await client.list(CONFIG_MAPS, "default", labels="set=one")).items == []


async def test_refusals(api: RunningApi, client: ApiClient) -> None:
    with pytest.raises(Invalid) as caught:
        await client.create(CONFIG_MAPS, _map("Not A Name"))
    assert caught.value.causes[0]["field"] == "metadata.name"
    async with ApiClient(api.url, token="nobody-token", ca_file=api.ca_file) as nobody:
        with pytest.raises(Forbidden):
            await nobody.list(CONFIG_MAPS)
    async with ApiClient(api.url, token="wrong", ca_file=api.ca_file) as stranger:
        with pytest.raises(Unauthorized):
            await stranger.list(CONFIG_MAPS)


async def test_a_watch_shows_every_change_in_order(client: ApiClient) -> None:
    start = (await client.list(CONFIG_MAPS, "default")).resource_version
    seen: list[str] = []

    async def follow() -> None:
        async for event in client.watch(CONFIG_MAPS, "default", resource_version=start, labels="set=one"):
            if event.type != "BOOKMARK":
                seen.append(f"{event.type} {event.object['metadata']['name']}")  # noqa: PERF401 - the loop never ends

    watching = asyncio.create_task(follow())
    await client.create(CONFIG_MAPS, _map("a"))
    await client.patch(CONFIG_MAPS, "a", {"data": {"k": "v"}}, "default")
    await client.patch(CONFIG_MAPS, "a", {"metadata": {"labels": {"set": "two"}}}, "default")
    await client.patch(CONFIG_MAPS, "a", {"metadata": {"labels": {"set": "one"}}}, "default")
    await client.delete(CONFIG_MAPS, "a", "default")
    await until(lambda: len(seen) == 5)
    assert seen == ["ADDED a", "MODIFIED a", "DELETED a", "ADDED a", "DELETED a"]
    watching.cancel()


async def test_an_informer_holds_what_the_server_has(client: ApiClient) -> None:
    await client.batch([operations.create(_map(f"m{number}")) for number in range(5)])
    informer = Informer(client, CONFIG_MAPS, namespace="default", page_size=2)
    running = asyncio.create_task(informer.run())
    await informer.wait_synced()
    assert len(informer) == 5
    await client.delete(CONFIG_MAPS, "m3", "default")
    await client.create(CONFIG_MAPS, _map("m9", k="v"))
    await until(lambda: informer.get("default", "m9") is not None and informer.get("default", "m3") is None)
    running.cancel()


async def test_a_transaction_is_all_or_none_and_says_which_operation_was_wrong(client: ApiClient) -> None:
    good, bad = operations.create(_map("good")), operations.create(_map("Bad Name"))
    with pytest.raises(Invalid) as caught:
        await client.transact([good, bad])
    assert caught.value.causes[0]["field"].startswith("operations[1]")
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, "good", "default")
    done = await client.transact([good, operations.apply(_map("other", a="b"))], field_manager="tester")
    assert [result.action for result in done.results] == ["created", "created"]
    precondition = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "good", "exists": False}
    with pytest.raises(Conflict):
        await client.transact([operations.create(_map("late"))], preconditions=[precondition])


async def test_a_batch_does_what_it_can(client: ApiClient) -> None:
    await client.batch([operations.create(_map(name)) for name in "abc"])
    steps = [
        operations.create(_map("new")),
        operations.create(_map("a")),
        operations.patch(CONFIG_MAPS, "default", "a", {"data": {"k": "v"}}),
        operations.delete(CONFIG_MAPS, "default", "missing"),
        operations.delete(CONFIG_MAPS, "default", "b"),
        operations.update(_map("c", k="w")),
    ]
    results = (await client.batch(steps)).results
    assert [result.action for result in results] == ["created", "", "configured", "", "deleted", "configured"]
    assert isinstance(results[1].error, AlreadyExists)
    assert isinstance(results[3].error, NotFound)


async def test_discovery_finds_the_built_in_kinds(client: ApiClient) -> None:
    found = {each.resource: each.verbs for each in await served(client)}
    assert set(BUILT_IN) <= set(found)
    assert {"get", "list", "watch", "delete"} <= found[PODS]
    assert not found.keys() & {resource for resource in found if "/" in resource.plural}


async def test_a_join_token_leads_to_the_right_ca(api: RunningApi) -> None:
    token = f"moorage1.{fingerprint(api.ca_file.read_text())}.secret"
    pem = await bootstrap_ca(api.url, token)
    async with ApiClient(api.url, token=api.token, ca_pem=pem) as client:
        assert (await client.get(NAMESPACES, "default"))["metadata"]["name"] == "default"


async def test_a_kubeconfig_is_enough(api: RunningApi, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(json.dumps(api.kubeconfig()))
    async with ApiClient.from_kubeconfig(file) as client:
        assert (await client.version())["gitVersion"]


async def test_two_candidates_take_turns(client: ApiClient) -> None:
    turns: list[str] = []
    release = asyncio.Event()

    def candidate(name: str) -> asyncio.Task[None]:
        async def lead() -> None:
            turns.append(name)
            await release.wait()

        return asyncio.create_task(LeaderElector(client, "test-lead", name).run(lead))

    first = candidate("first")
    await until(lambda: turns == ["first"])
    second = candidate("second")
    release.set()
    await first
    await until(lambda: turns == ["first", "second"])
    await second
