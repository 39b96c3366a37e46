"""Commits a second through the store, on a PostgreSQL of its own with everything that makes writes durable switched on.

Run: ``python -m tests.bench.store [seconds]``. Documents of 1 KB; each figure is acknowledged writes by wall clock.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

import moorage_migrations
from moorage.store import PostgresStore, StoreSettings
from moorage.store.contracts import Origin
from moorage.supervisor.postgres import Postgres
from tests.support.store import PODS, create, key, store, update

ORIGIN = Origin(actor="bench")
PADDING = "x" * 850
_numbers = itertools.count()


async def measure(name: str, seconds: float, clients: int, work: Callable[[], Awaitable[int]]) -> None:
    """Run ``work`` (which returns how many rows it wrote) in ``clients`` tasks and print the rate."""
    end = time.monotonic() + seconds

    async def client() -> int:
        rows = 0
        while time.monotonic() < end:
            rows += await work()
        return rows

    start = time.monotonic()
    rows = sum(await asyncio.gather(*(client() for _ in range(clients))))
    print(f"{name:<52} {rows / (time.monotonic() - start):>9,.0f} rows/s", flush=True)


async def run(url: str, seconds: float) -> None:
    """All figures."""
    async with store(url, settings=StoreSettings()) as one:
        await one.cache(PODS)

        async def creates(count: int) -> int:
            writes = [create(key(f"p{next(_numbers)}"), uid="u", pad=PADDING) for _ in range(count)]
            await one.commit(writes, ORIGIN)
            return count

        async def updates(count: int) -> int:
            writes = [update(key(f"p{next(_numbers) % 1000}"), "u", pad=PADDING) for _ in range(count)]
            await one.commit(writes, ORIGIN)
            return count

        async def probes() -> int:
            await one.latest()
            return 1

        await measure("creates, one client, one a commit", seconds, 1, lambda: creates(1))
        await measure("creates, one client, 32 a commit", seconds, 1, lambda: creates(32))
        await measure("creates, 32 clients, one a commit each", seconds, 32, lambda: creates(1))
        await measure("updates, one client, one a commit", seconds, 1, lambda: updates(1))
        await measure("updates, one client, 32 a commit", seconds, 1, lambda: updates(32))
        await measure("updates, 32 clients, one a commit each", seconds, 32, lambda: updates(1))
        await measure("probes of the newest revision, one client", seconds, 1, probes)
        await measure("probes of the newest revision, 32 clients", seconds, 32, probes)
        await lists(one)


async def lists(one: PostgresStore) -> None:
    """A full list as joined bytes, after one change."""
    cache = await one.cache(PODS)
    start = time.monotonic()
    for _ in range(10):
        await one.commit([update(key("p1"), "u", pad=PADDING)], ORIGIN)
        size = len(b",".join([entry.data for entry in cache.entries()]))
    count, took = len(cache.entries()), time.monotonic() - start
    print(f"lists of {count:,} objects ({size >> 20} MB), each after a change {10 / took:>18,.1f} lists/s")


def main() -> None:
    """Start PostgreSQL in a temporary directory, measure, remove it."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    with tempfile.TemporaryDirectory(prefix="moorage-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with (directory / "postgres.log").open("wb") as log:
            postgres = Postgres(directory, log=log)
            try:
                postgres.start()
                moorage_migrations.upgrade(postgres.url)
                uvloop.run(run(postgres.url, seconds))
            finally:
                postgres.remove()


if __name__ == "__main__":
    main()
