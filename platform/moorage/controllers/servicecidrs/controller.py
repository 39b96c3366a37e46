"""Keeps ServiceCIDRs and the addresses of Services together: ranges wait for their last address, addresses for their Services."""

from __future__ import annotations

import asyncio
import logging

from moorage.client import operations
from moorage.client.errors import AlreadyExists, ClientError, Conflict, NotFound
from moorage.client.objects import Document, seconds_of
from moorage.client.operations import Operation
from moorage.client.reconcile import DONE, After, Outcome, Runner, Temporary
from moorage.client.resource import IP_ADDRESSES, SERVICE_CIDRS, SERVICES
from moorage.controllers.context import Context
from moorage.controllers.servicecidrs import plan

log = logging.getLogger(__name__)

GRACE = 2.0
"""Seconds between a range's deletion and its end: a Service that was being written meanwhile is seen by then."""
REPAIR_SECONDS = 60.0
"""Between two looks at all addresses. What is wrong twice is set right: a cache that lags behind is right the second time."""


class ServiceRangesController:
    """One key is one ServiceCIDR."""

    def __init__(self, context: Context, repair_seconds: float = REPAIR_SECONDS) -> None:
        self._client = context.client
        self._clock = context.clock
        self._repair_seconds = repair_seconds
        self._ranges = context.informers.get(SERVICE_CIDRS)
        self._addresses = context.informers.get(IP_ADDRESSES)
        self._services = context.informers.get(SERVICES)
        self._suspects: set[str] = set()
        self._runner: Runner[str] = Runner("service ranges", self.reconcile, workers=1)
        self._ranges.add_handler(self._changed)
        self._addresses.add_handler(self._address_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        for informer in (self._ranges, self._addresses, self._services):
            await informer.wait_synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._runner.run(), name="service ranges")
            group.create_task(self._repair(), name="repair of service addresses")

    async def reconcile(self, name: str) -> Outcome:
        """Look at one range."""
        cidr = self._ranges.get("", name)
        if cidr is None:
            return DONE
        if not plan.is_leaving(cidr):
            return await self._do(self._keeping(cidr))
        if plan.FINALIZER not in (cidr["metadata"].get("finalizers") or ()):
            return DONE
        if plan.used(cidr, self._ranges, self._addresses):
            said = plan.kept(cidr, self._clock())
            return await self._do([_say(cidr, said)] if said is not None else [])
        left = GRACE - (self._clock() - (seconds_of(cidr["metadata"]["deletionTimestamp"]) or 0.0))
        if left > 0:
            return After(left)
        rest = [each for each in cidr["metadata"]["finalizers"] if each != plan.FINALIZER]
        return await self._do([_finalizers(cidr, rest)])

    def _keeping(self, cidr: Document) -> list[Operation]:
        """A range that stays: it does not go while it is used, and says that it is ready."""
        steps = []
        finalizers = cidr["metadata"].get("finalizers") or []
        if plan.FINALIZER not in finalizers:
            steps.append(_finalizers(cidr, [*finalizers, plan.FINALIZER]))
        said = plan.ready(cidr, self._clock())
        return [*steps, _say(cidr, said)] if said is not None else steps

    async def _do(self, steps: list[Operation]) -> Outcome:
        for result in (await self._client.batch(steps)).results if steps else ():
            if isinstance(result.error, Conflict):
                return Temporary(f"the cache lags behind: {result.error}")
            if result.error is not None and not isinstance(result.error, NotFound):
                return Temporary(str(result.error))
        return DONE

    async def _repair(self) -> None:
        """Now and then: hold addresses again whose object somebody deleted, and free those that nobody has."""
        while True:
            await asyncio.sleep(self._repair_seconds)
            try:
                await self.repair()
            except ClientError as error:
                log.warning("addresses of Services: %s; looking again", error)

    async def repair(self) -> None:
        """One look at all addresses; acts on what was wrong at the last look too."""
        steps: dict[str, Operation] = {}
        for service, address in plan.missing(self._services, self._addresses):
            steps[f"+{address}"] = operations.create(plan.address_document(service, address))
        for each in plan.orphaned(self._services, self._addresses):
            name, uid = each["metadata"]["name"], each["metadata"]["uid"]
            steps[f"-{name} {uid}"] = operations.delete(IP_ADDRESSES, "", name, uid=uid)
        now = [key for key in steps if key in self._suspects]
        self._suspects = set(steps)
        if not now:
            return
        log.warning("addresses of Services were held wrongly, and are set right: %s", ", ".join(sorted(now)))
        for result in (await self._client.batch([steps[key] for key in now])).results:
            if result.error is not None and not isinstance(result.error, AlreadyExists | NotFound | Conflict):
                log.warning("an address of a Service: %s", result.error)

    def _changed(self, old: Document | None, new: Document | None) -> None:
        document = new or old
        assert document is not None
        self._runner.queue.add(document["metadata"]["name"])
        if old is None or new is None:
            self._leaving()  # another range may hold the addresses now

    def _address_changed(self, _old: Document | None, new: Document | None) -> None:
        if new is None:
            self._leaving()

    def _leaving(self) -> None:
        for each in self._ranges:
            if plan.is_leaving(each):
                self._runner.queue.add(each["metadata"]["name"])


def _finalizers(cidr: Document, finalizers: list[str]) -> Operation:
    metadata = cidr["metadata"]
    change = {"metadata": {"finalizers": finalizers or None, "resourceVersion": metadata["resourceVersion"]}}
    return operations.patch(SERVICE_CIDRS, "", metadata["name"], change)


def _say(cidr: Document, said: Document) -> Operation:
    """Others' conditions stay: the list is merged by type."""
    return operations.patch(
        SERVICE_CIDRS,
        "",
        cidr["metadata"]["name"],
        {"status": {"conditions": [said]}},
        subresource="status",
        patch_type=operations.STRATEGIC_PATCH,
    )
