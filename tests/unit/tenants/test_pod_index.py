from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from moorage_tenants.pod_index import PodIndex
from tests.support.wait import until
from tests.unit.tenants.caches import MemoryCache


@pytest.fixture
async def pods() -> MemoryCache:
    return MemoryCache("pods")


@pytest.fixture
async def index(pods: MemoryCache) -> AsyncIterator[PodIndex]:
    index = PodIndex(pods)
    task = asyncio.create_task(index.run())
    await until(lambda: pods.subscriptions, every=0.001)
    yield index
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def bound(node: str, secret: str) -> dict[str, object]:
    return {"nodeName": node, "containers": [], "volumes": [{"name": "v", "secret": {"secretName": secret}}]}


async def test_it_follows_the_pods(pods: MemoryCache, index: PodIndex) -> None:
    pods.put("a", "p", spec=bound("n1", "one"))
    await index.caught_up()
    assert index.names("n1", "secrets", "a", "one")
    pods.put("a", "p", spec=bound("n1", "two"))
    await index.caught_up()
    assert not index.names("n1", "secrets", "a", "one")
    assert index.names("n1", "secrets", "a", "two")
    pods.drop("a", "p")
    await index.caught_up()
    assert not index.names("n1", "secrets", "a", "two")


async def test_caught_up_returns_though_no_pod_changed(pods: MemoryCache, index: PodIndex) -> None:
    pods.revision += 10
    await asyncio.wait_for(index.caught_up(), 1)


async def test_it_starts_over_where_the_stream_breaks(pods: MemoryCache, index: PodIndex) -> None:
    subscription = pods.subscriptions[0]
    subscription.put(None)
    pods.subscriptions.clear()
    pods.put("a", "p", spec=bound("n1", "one"))
    await until(lambda: index.names("n1", "secrets", "a", "one"), every=0.001)
    pods.put("a", "q", spec=bound("n1", "two"))
    await until(lambda: index.names("n1", "secrets", "a", "two"), every=0.001)


async def test_a_projected_volume_and_init_containers_count(pods: MemoryCache, index: PodIndex) -> None:
    projected = {"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "c"}}, {"downwardAPI": {}}]}
    init = [{"name": "i", "envFrom": [{"secretRef": {"name": "e"}}]}]
    spec = {
        "nodeName": "n",
        "volumes": [{"name": "v", "projected": projected}],
        "initContainers": init,
        "containers": [],
    }
    pods.put("a", "p", spec=spec)
    await index.caught_up()
    assert [index.names("n", "secrets", "a", name) for name in ("s", "e", "c")] == [True, True, False]
    assert index.names("n", "configmaps", "a", "c")


async def test_it_remembers_whose_a_pod_was(
    pods: MemoryCache, index: PodIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage_tenants.pod_index.GONE", 2)
    for name in ("p", "q", "r"):
        pods.put("a", name, spec=bound("n1", "one"))
        pods.drop("a", name)
    await index.caught_up()
    assert [index.had("n1", "a", name) for name in ("p", "q", "r")] == [False, True, True]
    assert not index.had("n2", "a", "r")
    assert not index.had("n1", "b", "r")
