"""A process that writes to the store until it is killed, and prints each acknowledged write: ``python -m
tests.support.store_writer``.

Arguments: database URL, name of the server, number of clients. Lines: ``revision name`` for each acknowledged create.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time

from moorage.store.audit_chain import AuditRecord
from tests.support.store import ORIGIN, create, key, store


async def write(url: str, name: str, clients: int) -> None:
    async with store(url, name) as one:
        numbers = itertools.count()

        async def client() -> None:
            while True:
                first, second = f"{name}-pair-{next(numbers)}", f"{name}-{next(numbers)}"
                atomic = await one.commit([create(key(first)), create(key(first + "-twin"))], ORIGIN, atomic=True)
                one.audit_chain.record(
                    AuditRecord(time.time(), "reader", "get", True, 200, resource="secrets", name=first)
                )
                (single,) = await one.commit([create(key(second))], ORIGIN)
                print(f"{atomic[0].revision} {first}\n{single.revision} {second}", flush=True)

        await asyncio.gather(*(client() for _ in range(clients)))


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3])))
