"""Delay of watch events: many watchers of one namespace, a steady rate of creates, each carrying the time at which
it was sent.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

from tests.bench.installation import Installation
from tests.support.wait import until

NAMESPACE = "bench-watch"
CONFIGMAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
SENT = re.compile(rb'"sent":"([\d.]+)"')


async def delays(target: Installation, *, watchers: int = 100, rate: float = 200, seconds: float = 10) -> list[float]:
    """Delays in milliseconds, sorted, of every delivery."""
    await target.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    revision = (await target.get(CONFIGMAPS))["metadata"]["resourceVersion"]
    found: list[float] = []
    ready = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(_watch(target, revision, ready, found)) for _ in range(watchers)]
    for _ in tasks:
        await ready.acquire()
    total = int(rate * seconds)
    await _send(target, total, rate)
    await until(lambda: _all(found, total * watchers), timeout=10, every=0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return sorted(found)


def _all(found: list[float], deliveries: int) -> bool:
    assert len(found) >= deliveries, f"{deliveries - len(found)} of {deliveries} deliveries did not arrive"
    return True


async def _watch(target: Installation, revision: str, ready: asyncio.Semaphore, found: list[float]) -> None:
    parameters = {"watch": "1", "resourceVersion": revision}
    async with target.session.get(target.url + CONFIGMAPS, params=parameters, timeout=None) as response:
        ready.release()
        async for line in response.content:
            sent = SENT.search(line)
            if sent and b'"ADDED"' in line[:40]:
                found.append((time.time() - float(sent[1])) * 1000)


async def _send(target: Installation, total: int, rate: float) -> None:
    start = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(total):
            group.create_task(target.post(CONFIGMAPS, _configmap(number)))
            await asyncio.sleep(max(0.0, start + (number + 1) / rate - time.monotonic()))


def _configmap(number: int) -> dict[str, Any]:
    data = {"sent": f"{time.time():.6f}", "padding": "x" * 300}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"event-{number}"}, "data": data}
