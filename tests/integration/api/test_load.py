"""What the API keeps while much goes on: two servers, many writers, watchers on both; a transaction of 5,000."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.api.documents import CONFIGMAPS, configmap, create, patch, send
from tests.integration.api.watching import watching
from tests.support.apiserver import RunningApi, serve_api
from tests.support.certificates import Certificates

WRITERS, ROUNDS = 6, 12


async def history(api: RunningApi, start: str, until_name: str) -> list[tuple[int, str, str]]:
    """What a watch from ``start`` shows until an object named ``until_name`` appears."""
    seen: list[tuple[int, str, str]] = []
    async with watching(api.client, CONFIGMAPS, resourceVersion=start) as watch:
        while True:
            event = await watch.next(timeout=60)
            metadata = event["object"]["metadata"]
            if metadata["name"] == until_name:
                return seen
            seen.append((int(metadata["resourceVersion"]), event["type"], metadata["name"]))


async def write(api: RunningApi, writer: int, acknowledged: dict[str, str]) -> None:
    """Create, change and delete; every second object stays."""
    for number in range(ROUNDS):
        name = f"w{writer}-{number}"
        await create(api.client, CONFIGMAPS, configmap(name))
        made = await patch(api.client, f"{CONFIGMAPS}/{name}", {"data": {"n": str(number)}})
        if number % 2:
            await send(api.client, "DELETE", f"{CONFIGMAPS}/{name}")
        else:
            acknowledged[name] = made["metadata"]["resourceVersion"]


@pytest.mark.slow
async def test_watchers_on_both_servers_see_every_change_once_and_in_order(
    database_url: str, certificates: Certificates
) -> None:
    async with serve_api(database_url, certificates) as one, serve_api(database_url, certificates, server="two") as two:
        start = (await send(one.client, "GET", CONFIGMAPS))["metadata"]["resourceVersion"]
        watchers = [asyncio.create_task(history(api, start, "the-end")) for api in (one, two, one, two)]
        acknowledged: dict[str, str] = {}
        await asyncio.gather(*(write((one, two)[number % 2], number, acknowledged) for number in range(WRITERS)))
        await create(two.client, CONFIGMAPS, configmap("the-end"))
        histories = await asyncio.gather(*watchers)
        assert histories[0] == histories[1] == histories[2] == histories[3]
        revisions = [revision for revision, _, _ in histories[0]]
        changes = WRITERS * (ROUNDS * 2 + ROUNDS // 2)
        # Nothing else was written, so the revisions have no gap: each change came, once, in order.
        assert revisions == list(range(int(start) + 1, int(start) + 1 + changes))
        for api in (one, two):
            items = (await send(api.client, "GET", CONFIGMAPS))["items"]
            found = {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in items}
            found.pop("the-end")
            assert found == acknowledged


@pytest.mark.slow
async def test_five_thousand_objects_are_one_commit(api: RunningApi) -> None:
    operations: list[dict[str, Any]] = [
        {"verb": "apply", "object": configmap(f"c{number:04}", namespace="default")} for number in range(5000)
    ]
    document = {"apiVersion": "moorage.io/v1", "kind": "Transaction", "spec": {"operations": operations}}
    before = int((await send(api.client, "GET", CONFIGMAPS))["metadata"]["resourceVersion"])
    answer = await send(api.client, "POST", "/apis/moorage.io/v1/transactions", document, expect=201)
    revisions = [int(each["resourceVersion"]) for each in answer["status"]["results"]]
    assert revisions == list(range(before + 1, before + 5001))
    listed = await send(api.client, "GET", CONFIGMAPS)
    assert len(listed["items"]) == 5000
    again = await send(api.client, "POST", "/apis/moorage.io/v1/transactions", document, expect=201)
    assert {each["action"] for each in again["status"]["results"]} == {"unchanged"}
