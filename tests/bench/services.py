"""What the kernel's rules cost: 1,000 Services with 5,000 endpoints, all of them and one change.

The rules are made and loaded as an agent does it, into a table of a name of its own that is removed at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from moorage_agent.network.loader import Loader
from moorage_agent.network.making import obstacle
from moorage_agent.network.nft.batch import Batch
from moorage_agent.network.nft.kernel import Kernel
from moorage_agent.network.rules import base, services
from tests.bench.table import Row

SERVICES, ENDPOINTS = 1_000, 5
GOAL = "1 s"
CHANGES = 20
_RANGE = IPv4Network("198.18.0.0/16")
_PODS = IPv4Network("198.19.0.0/16")
FACTS = base.Facts("bench", "mbenchp", _PODS[1], _PODS, (_RANGE,), (_PODS,))


def _service(number: int) -> dict[str, Any]:
    address = str(_RANGE[number + 2])
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {
        "metadata": {"namespace": f"n{number % 50}", "name": f"s{number}"},
        "spec": {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ports": ports},
    }


def _slice(number: int, shift: int = 0) -> dict[str, Any]:
    first = 2 + number * ENDPOINTS + shift
    addresses: list[IPv4Address] = [_PODS[first + each] for each in range(ENDPOINTS)]
    return {
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [str(each)], "conditions": {"ready": True}} for each in addresses],
    }


async def measure() -> list[Row]:
    """The rows of the table; one that says why, where the kernel's network cannot be used."""
    work = f"rules of {SERVICES:,} services, {SERVICES * ENDPOINTS:,} endpoints"
    if reason := obstacle("unix:///var/run/docker.sock"):
        return [Row(work, f"not measured: {reason}", GOAL)]
    with _table(f"moorage-bench-{os.getpid()}") as name, ThreadPoolExecutor(1) as thread:
        loader = Loader(name, thread)
        task = asyncio.create_task(loader.run())
        try:
            begun = time.perf_counter()
            loader.put("base", base.base(FACTS, [], []))
            for number in range(SERVICES):
                loader.put(number, services.render(_service(number), [_slice(number)], FACTS))
            await loader.settled()
            whole = time.perf_counter() - begun
            spent = []
            for number in range(CHANGES):
                begun = time.perf_counter()
                loader.put(number, services.render(_service(number), [_slice(number, 1)], FACTS))
                await loader.settled()
                spent.append(time.perf_counter() - begun)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    one = sorted(spent)[len(spent) // 2]
    return [
        Row(f"{work}: all of them", f"{whole:.2f} s", GOAL),
        Row(f"{work}: one endpoint changes", f"{one * 1000:.0f} ms", GOAL),
    ]


@contextlib.contextmanager
def _table(name: str) -> Iterator[str]:
    try:
        yield name
    finally:
        kernel = Kernel()
        if kernel.has_table(name):
            batch = Batch(name)
            batch.delete_table()
            kernel.load(batch)
        kernel.close()
