"""One tenant's flood beside another tenant's few requests: what the quiet one notices."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from collections.abc import Awaitable, Callable

import aiohttp

from tests.bench import wrk
from tests.bench.installation import Installation
from tests.bench.table import Row

FLOOD_CONNECTIONS = 64
FLOODS = ("create.lua", "read.lua")
SAMPLES = 400
TENANCY = "tenancy.moorage.io/v1"
PAUSE = 0.01
"""Seconds between two requests of the quiet tenant."""


async def team(target: Installation, name: str) -> str:
    """A team with a namespace of its name; its token."""
    owners = [{"kind": "Group", "name": f"teams:{name}"}]
    tenant = {"apiVersion": TENANCY, "kind": "Tenant", "metadata": {"name": name}, "spec": {"owners": owners}}
    await target.post(f"/apis/{TENANCY}/tenants", tenant)
    labels = {"tenancy.moorage.io/tenant": name}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    await target.post("/api/v1/namespaces", namespace)
    asked = {"apiVersion": "moorage.io/v1", "kind": "Token", "spec": {"team": name}}
    answer = await target.post("/apis/moorage.io/v1/tokens", asked)
    token: str = answer["status"]["token"]
    return token


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Quiet:
    """A tenant that asks for little, on one connection."""

    def __init__(self, session: aiohttp.ClientSession, url: str, namespace: str) -> None:
        self._session = session
        self._path = f"{url}/api/v1/namespaces/{namespace}/configmaps"
        self._numbers = itertools.count()

    async def create(self) -> None:
        """A new ConfigMap."""
        name = f"quiet-{next(self._numbers)}"
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}}
        async with self._session.post(self._path, json=document) as response:
            assert response.status == 201, await response.text()

    async def get(self) -> None:
        """One object."""
        async with self._session.get(f"{self._path}/quiet-0") as response:
            assert response.status == 200, await response.text()

    async def p99(self, work: Callable[[], Awaitable[None]]) -> float:
        """Milliseconds of the slowest of a hundred."""
        taken = []
        for _ in range(SAMPLES):
            start = time.perf_counter()
            await work()
            taken.append((time.perf_counter() - start) * 1e3)
            await asyncio.sleep(PAUSE)
        return percentile(taken, 0.99)


async def fairness(target: Installation) -> list[Row]:
    """The quiet tenant's p99 alone, and beside each kind of flood."""
    loud, calm = await team(target, "loud"), await team(target, "calm")
    tls = ssl.create_default_context(cafile=str(target.ca_file))
    headers = {"Authorization": f"Bearer {calm}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(ssl=tls)) as session:
        quiet = Quiet(session, target.url, "calm")
        await quiet.create()
        rows = []
        for name, work in (("create", quiet.create), ("get", quiet.get)):
            await quiet.p99(work)
            alone = await quiet.p99(work)
            rows += [await _beside(target, loud, load, name, alone, quiet.p99(work)) for load in FLOODS]
        return rows


async def _beside(
    target: Installation, token: str, load: str, name: str, alone: float, measured: Awaitable[float]
) -> Row:
    url = target.url if load == "create.lua" else f"{target.url}/api/v1/namespaces/loud/configmaps"
    run = f"{time.time_ns()}"
    flood = asyncio.create_task(
        wrk.run(load, url, token, connections=FLOOD_CONNECTIONS, seconds=12, NAMESPACE="loud", RUN=run)
    )
    await asyncio.sleep(2)
    beside = await measured
    result = await flood
    what = "creates" if load == "create.lua" else "lists"
    return Row(
        f"p99 of a quiet tenant's {name}, beside {FLOOD_CONNECTIONS} connections of another's {what}",
        f"{beside:.1f} ms (the flood got {result.rate:,.0f}/s)",
        f"{2 * alone:.1f} ms: twice {alone:.1f} ms alone",
        "",
    )
