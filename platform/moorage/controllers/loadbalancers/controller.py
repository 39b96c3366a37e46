"""Writes addresses of the pool into the status of Services, one look at all of them at a time: no two get the same one."""

from __future__ import annotations

import asyncio
import logging
from ipaddress import IPv4Network

from moorage.client import operations
from moorage.client.errors import ClientError, NotFound
from moorage.client.events import EventRecorder
from moorage.client.objects import Document, uid_of
from moorage.client.resource import SERVICES
from moorage.controllers.context import Context
from moorage.controllers.loadbalancers.plan import Change, addresses, changes, wants

log = logging.getLogger(__name__)

RETRY, LOOK = 5.0, 0.05
"""Seconds after a failure, and between two looks: the cache has what the last one wrote by then."""


class LoadBalancerController:
    """Without a pool it does nothing: whoever has load balancers writes the status."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._pool = [IPv4Network(each) for each in context.options.load_balancer_pool]
        self._services = context.informers.get(SERVICES)
        self._events = EventRecorder(context.client, "service-controller", clock=context.clock)
        self._told: dict[str, str] = {}
        self._wake = asyncio.Event()
        if self._pool:
            self._services.add_handler(self._changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._services.wait_synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run(), name="load balancer events")
            while True:
                await self._wake.wait()
                self._wake.clear()
                try:
                    await self._look()
                    await asyncio.sleep(LOOK)
                except ClientError as error:
                    log.warning("addresses of load balancers: %s; looking again", error)
                    await asyncio.sleep(RETRY)
                    self._wake.set()

    async def _look(self) -> None:
        wanted = changes(self._services, self._pool)
        steps = []
        for change in wanted:
            if change.problem:
                self._tell(change)
                continue
            metadata = change.service["metadata"]
            points = [{"ip": change.address, "ipMode": "VIP"}] if change.address else None
            # On the version that the decision was made on: another look follows where somebody was quicker.
            condition = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
            status = {"metadata": condition, "status": {"loadBalancer": {"ingress": points}}}
            steps.append(
                operations.patch(SERVICES, metadata["namespace"], metadata["name"], status, subresource="status")
            )
        for result in (await self._client.batch(steps)).results if steps else ():
            if result.error is not None and not isinstance(result.error, NotFound):
                log.info("address of a load balancer: %s; looking again", result.error)
                self._wake.set()

    def _tell(self, change: Change) -> None:
        """Say once why a Service has no address."""
        uid = uid_of(change.service)
        if self._told.get(uid) != change.problem:
            self._told[uid] = change.problem
            self._events.record(change.service, "Warning", "SyncLoadBalancerFailed", change.problem)

    def _changed(self, old: Document | None, new: Document | None) -> None:
        if new is None and old is not None:
            self._told.pop(uid_of(old), None)
        if any(each is not None and (wants(each) or addresses(each)) for each in (old, new)):
            self._wake.set()
