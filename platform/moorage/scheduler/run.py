"""The entry point that the process ``moorage controllers`` runs while it leads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from moorage.client.api import ApiClient
from moorage.client.informer import Informers
from moorage.scheduler.scheduler import Scheduler


async def run(client: ApiClient, *, informers: Informers | None = None, clock: Callable[[], float] = time.time) -> None:
    """Schedule until cancelled. With ``informers`` the caches are shared with others of this process, who then run them."""
    if informers is not None:
        await Scheduler(client, informers, clock=clock).run()
        return
    own = Informers(client)
    scheduler = Scheduler(client, own, clock=clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(own.run(), name="informers")
        group.create_task(scheduler.run(), name="scheduler")
