"""The GitOps engine, as the process ``moorage controllers`` runs it while it leads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from moorage.client.api import ApiClient
from moorage.client.informer import Informers
from moorage.client.lean import lean_pod
from moorage.client.resource import APPLICATIONS, PODS
from moorage_gitops.engine.controller import ApplicationController
from moorage_gitops.engine.tracked import TrackedObjects

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """Times are seconds."""

    every: float = 60.0
    """Each application is looked at this often, whatever the watches say."""
    rediscover: float = 60.0
    """Served kinds are read again this often."""


async def run(
    client: ApiClient,
    options: Options | None = None,
    *,
    informers: Informers | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """Run until cancelled; ``ready`` is called when all caches are filled. An exception out of here is a defect.

    With ``informers`` the caches of pods and applications are shared with others of this process, who then run them.
    """
    options = options or Options()
    shared = informers if informers is not None else Informers(client)
    tracked = TrackedObjects(client, rediscover=options.rediscover)
    applications, pods = shared.get(APPLICATIONS), shared.get(PODS, transform=lean_pod)
    controller = ApplicationController(client, applications, pods, tracked, every=options.every)
    async with asyncio.TaskGroup() as group:
        if informers is None:
            group.create_task(shared.run(), name="informers")
        group.create_task(tracked.run(), name="tracked objects")
        group.create_task(controller.run(), name="applications")
        await tracked.wait_synced()
        log.info("the GitOps engine is running")
        if ready is not None:
            ready()
