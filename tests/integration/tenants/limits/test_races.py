"""Quotas under many writers: over two servers, never one more than is allowed, and the status is right in the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from moorage.resources import quantity
from moorage_tenants.limits.charging import ObjectCharger
from moorage_tenants.limits.usage import UsageWriter
from tests.support.apiserver import RunningApi, serve_api
from tests.support.certificates import Certificates
from tests.support.wait import NotYet, until

CORE = "/api/v1/namespaces/shop"
QUOTA = f"{CORE}/resourcequotas/most"
MOST, ASKED = 100, 1000


@asynccontextmanager
async def _serving(url: str, certificates: Certificates, name: str) -> AsyncIterator[RunningApi]:
    """A server that charges, and tells what is used."""
    async with serve_api(url, certificates, charger=ObjectCharger(), server=name) as api:
        writer = UsageWriter(api.store, api.store.quotas, api.app.transactor, lambda: api.store.feed.revision)
        telling = asyncio.create_task(writer.run(lambda: True))
        try:
            yield api
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)


@pytest.fixture
async def servers(database_url: str, certificates: Certificates) -> AsyncIterator[list[RunningApi]]:
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(_serving(database_url, certificates, name)) for name in ("a", "b")]
        assert await send(made[0], "POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}}) == 201
        yield made


async def send(api: RunningApi, method: str, path: str, body: object = None) -> int:
    async with api.client.request(method, path, json=body) as answer:
        await answer.read()
        return answer.status


async def used(api: RunningApi, name: str) -> str:
    async with api.client.get(QUOTA) as answer:
        status = (await answer.json()).get("status") or {}
        return str((status.get("used") or {}).get(name))


async def shows(servers: list[RunningApi], name: str, amount: str) -> None:
    async def right() -> bool:
        for api in servers:
            text = await used(api, name)
            if text == "None" or quantity.compare(text, amount):
                raise NotYet(f"{name}: {text}")
        return True

    await until(right, timeout=20)


async def limit(api: RunningApi, hard: dict[str, str]) -> None:
    body = {"metadata": {"name": "most"}, "spec": {"hard": hard}}
    assert await send(api, "POST", f"{CORE}/resourcequotas", body) == 201


async def test_a_thousand_creates_never_exceed_it_by_one(servers: list[RunningApi]) -> None:
    await limit(servers[0], {"configmaps": str(MOST)})
    turns = asyncio.Semaphore(100)

    async def create(number: int) -> int:
        async with turns:
            body = {"metadata": {"name": f"m-{number}"}}
            return await send(servers[number % 2], "POST", f"{CORE}/configmaps", body)

    codes = Counter(await asyncio.gather(*(create(number) for number in range(ASKED))))
    assert codes == {201: MOST, 403: ASKED - MOST}
    await shows(servers, "configmaps", str(MOST))


async def test_creates_deletes_and_changes_of_the_limit_add_up(servers: list[RunningApi]) -> None:
    await limit(servers[0], {"requests.cpu": "5", "pods": "20"})

    def pod(name: str) -> dict[str, object]:
        resources = {"requests": {"cpu": "500m"}}
        return {
            "metadata": {"name": name},
            "spec": {
                "containers": [{"name": "c", "image": "i", "resources": resources}],
                "nodeSelector": {"no": "node"},
            },
        }

    async def churn(worker: int) -> None:
        api = servers[worker % 2]
        for turn in range(10):
            name = f"p-{worker}-{turn}"
            if await send(api, "POST", f"{CORE}/pods", pod(name)) == 201 and turn % 2:
                await send(servers[turn % 2], "DELETE", f"{CORE}/pods/{name}?gracePeriodSeconds=0")

    async def move_limit() -> None:
        for cpu in ("4", "6", "5", "7", "5"):
            async with servers[1].client.patch(
                QUOTA,
                json={"spec": {"hard": {"requests.cpu": cpu}}},
                headers={"Content-Type": "application/merge-patch+json"},
            ) as answer:
                assert answer.status == 200

    await asyncio.gather(move_limit(), *(churn(worker) for worker in range(12)))
    async with servers[0].client.get(f"{CORE}/pods") as answer:
        count = len((await answer.json())["items"])
    assert 0 < count <= 14
    await shows(servers, "pods", str(count))
    await shows(servers, "requests.cpu", f"{count * 500}m")


async def test_a_status_that_somebody_else_wrote_is_put_right(servers: list[RunningApi]) -> None:
    await limit(servers[0], {"configmaps": "3"})
    await shows(servers, "configmaps", "0")
    patch = {"status": {"used": {"configmaps": "2"}}}
    headers = {"Content-Type": "application/merge-patch+json"}
    async with servers[0].client.patch(f"{QUOTA}/status", json=patch, headers=headers) as answer:
        assert (await answer.json())["status"]["used"] == {"configmaps": "2"}
    api = servers[1]
    writer = UsageWriter(api.store, api.store.quotas, api.app.transactor, lambda: api.store.feed.revision)
    await writer.look(everything=True)
    assert await used(api, "configmaps") == "0"
