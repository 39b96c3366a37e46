"""Gives every node a range, one look at all nodes at a time, so that no two can get the same one."""

from __future__ import annotations

import asyncio
import logging
from ipaddress import IPv4Network

from moorage.client import operations
from moorage.client.errors import ClientError, NotFound
from moorage.client.events import EventRecorder
from moorage.client.objects import Document
from moorage.client.resource import NODES
from moorage.controllers.context import Context
from moorage.controllers.ipam.plan import Exhausted, choose

log = logging.getLogger(__name__)

RETRY = 5.0


class NodeIpamController:
    """One leader runs it, and a range that a node has never changes: two nodes cannot meet."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._nodes = context.informers.get(NODES)
        self._cluster = IPv4Network(context.options.cluster_cidr)
        self._events = EventRecorder(context.client, "cidrAllocator", clock=context.clock)
        self._given: dict[str, str] = {}
        """What was written and is not in the cache yet, by uid."""
        self._wake = asyncio.Event()
        self._nodes.add_handler(self._changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._nodes.wait_synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run(), name="ipam events")
            while True:
                await self._wake.wait()
                self._wake.clear()
                try:
                    done = await self._look()
                except ClientError as error:
                    log.warning("ranges of pod addresses: %s; looking again", error)
                    done = False
                if not done:
                    await asyncio.sleep(RETRY)
                    self._wake.set()

    async def _look(self) -> bool:
        """Whether every node has a range now."""
        nodes = [self._with_given(node) for node in self._nodes]
        by_name = {node["metadata"]["name"]: node for node in nodes}
        try:
            wanted = choose(nodes, self._cluster)
        except Exhausted as error:
            log.error("%s", error)
            for node in nodes:
                if not (node.get("spec") or {}).get("podCIDR"):
                    self._events.record(node, "Warning", "CIDRNotAvailable", str(error))
            return False
        steps = []
        for name, network in wanted.items():
            uid = by_name[name]["metadata"]["uid"]
            change = {"metadata": {"uid": uid}, "spec": {"podCIDR": network, "podCIDRs": [network]}}
            steps.append(operations.patch(NODES, "", name, change))
        if not steps:
            return True
        done = True
        for (name, network), result in zip(wanted.items(), (await self._client.batch(steps)).results, strict=True):
            if result.error is None:
                self._given[by_name[name]["metadata"]["uid"]] = network
            elif not isinstance(result.error, NotFound):
                log.warning("node %s did not get the range %s: %s", name, network, result.error)
                done = False
        return done

    def _with_given(self, node: Document) -> Document:
        """The node with the range that was written for it, where the cache lags behind."""
        network = self._given.get(node["metadata"]["uid"])
        spec = node.get("spec") or {}
        if network is None or spec.get("podCIDR"):
            return node
        return {**node, "spec": {**spec, "podCIDR": network, "podCIDRs": [network]}}

    def _changed(self, old: Document | None, new: Document | None) -> None:
        node = new or old
        assert node is not None
        if new is None or (new.get("spec") or {}).get("podCIDR"):
            self._given.pop(node["metadata"]["uid"], None)
        if new is not None and not (new.get("spec") or {}).get("podCIDR"):
            self._wake.set()
