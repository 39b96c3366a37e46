"""ServiceCIDRs on a real API server: one more gives more addresses, none goes while it is used, and addresses are kept right."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from moorage.client.api import ApiClient
from moorage.client.errors import InternalError, Invalid, NotFound
from moorage.client.informer import Informers
from moorage.client.objects import condition
from moorage.client.resource import IP_ADDRESSES, SERVICE_CIDRS, SERVICES
from moorage.controllers.context import Context, Options
from moorage.controllers.servicecidrs.controller import ServiceRangesController
from moorage.controllers.servicecidrs.plan import FINALIZER
from tests.support.apiserver import serve_api
from tests.support.certificates import Certificates
from tests.support.wait import until

FIRST, SECOND = "10.98.0.0/29", "10.99.0.0/28"
"""Ranges of 6 and 14 addresses."""


class World:
    """A client, the controller, and its caches."""

    def __init__(self, client: ApiClient) -> None:
        self.client = client
        self.informers = Informers(client)
        self.controller = ServiceRangesController(Context(client, self.informers, Options(), time.time))
        self.ranges = self.informers.get(SERVICE_CIDRS)
        self.addresses = self.informers.get(IP_ADDRESSES)

    async def range(self, name: str) -> dict[str, Any] | None:
        """A range as it is now; None where it is gone."""
        try:
            return await self.client.get(SERVICE_CIDRS, name)
        except NotFound:
            return None

    async def state(self, name: str) -> str:
        """What a range's condition says."""
        found = await self.range(name)
        said = condition(found, "Ready") if found is not None else None
        return f"{said['status']} {said['reason']}".strip() if said else ""


@pytest.fixture
async def world(database_url: str, certificates: Certificates) -> AsyncIterator[World]:
    async with (
        serve_api(database_url, certificates, service_cidrs=(FIRST,)) as api,
        ApiClient(api.url, token=api.token, ca_file=api.ca_file) as client,
        asyncio.TaskGroup() as group,
    ):
        made = World(client)
        tasks = [group.create_task(made.informers.run()), group.create_task(made.controller.run())]
        await made.informers.wait_synced()
        yield made
        for task in tasks:
            task.cancel()


def cidr(name: str, *ranges: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": name},
        "spec": {"cidrs": list(ranges)},
    }


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"ports": [{"port": 80}], **spec},
    }


async def test_one_more_range_gives_more_addresses_and_goes_after_the_last_of_them(world: World) -> None:
    client = world.client

    async def says(name: str, wanted: str) -> bool:
        return await world.state(name) == wanted

    await until(lambda: says("kubernetes", "True"))
    own = await world.range("kubernetes")
    assert own is not None
    assert own["metadata"]["finalizers"] == [FINALIZER]
    for number in range(5):  # the sixth address is the API's
        await client.create(SERVICES, service(f"s{number}"))
    with pytest.raises(InternalError, match="failed to allocate a serviceIP"):
        await client.create(SERVICES, service("more"))
    await client.create(SERVICE_CIDRS, cidr("second", SECOND))
    more = await client.create(SERVICES, service("more"))
    assert ip_address(more["spec"]["clusterIP"]) in ip_network(SECOND)
    await until(lambda: says("second", "True"))

    await client.delete(SERVICE_CIDRS, "second")
    await until(lambda: says("second", "False Terminating"))
    with pytest.raises(Invalid, match="does not match the current range"):
        await client.create(SERVICES, service("late", clusterIP="10.99.0.12"))
    await client.delete(SERVICES, "more", "default")
    await until(lambda: _gone(world, "second"))


async def test_a_range_within_another_goes_at_once(world: World) -> None:
    client = world.client
    for name, network in (("small", "10.99.1.0/28"), ("wide", "10.99.0.0/16")):
        await client.create(SERVICE_CIDRS, cidr(name, network))
    await client.create(SERVICES, service("inside", clusterIP="10.99.1.9"))
    await until(lambda: "small" in {each["metadata"]["name"] for each in world.ranges})
    await client.delete(SERVICE_CIDRS, "small")
    await until(lambda: _gone(world, "small"))
    assert (await client.get(SERVICES, "inside", "default"))["spec"]["clusterIP"] == "10.99.1.9"


async def test_an_address_whose_object_somebody_deleted_is_held_again(world: World) -> None:
    client = world.client
    address = (await client.create(SERVICES, service("web")))["spec"]["clusterIP"]
    orphan = await client.get(IP_ADDRESSES, address)
    orphan["metadata"] = {"name": "10.98.0.6", "labels": orphan["metadata"]["labels"]}
    await client.delete(IP_ADDRESSES, address)
    await client.create(IP_ADDRESSES, orphan)

    def known() -> set[str]:
        return {each["metadata"]["name"] for each in world.addresses}

    await until(lambda: known() == {"10.98.0.1", "10.98.0.6"})
    await until(lambda: world.informers.get(SERVICES).get("default", "web"))
    await world.controller.repair()
    assert known() == {"10.98.0.1", "10.98.0.6"}  # it may only be the cache that lags behind
    await world.controller.repair()
    await until(lambda: known() == {"10.98.0.1", address})
    held = await client.get(IP_ADDRESSES, address)
    assert held["spec"]["parentRef"]["name"] == "web"


async def _gone(world: World, name: str) -> bool:
    return await world.range(name) is None
