"""Addresses and node ports of Services: unique whatever runs at the same time, freed when they are no longer used."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from moorage.client.api import ApiClient
from moorage.client.errors import Invalid
from moorage.client.operations import create
from moorage.client.resource import SERVICES, Resource
from tests.support.apiserver import RunningApi, serve_api
from tests.support.certificates import Certificates

IP_ADDRESSES = Resource("networking.k8s.io", "v1", "ipaddresses", "IPAddress", namespaced=False)
NODE_PORTS = Resource("network.moorage.io", "v1", "nodeports", "NodePort", namespaced=False)
RANGE = ip_network("10.96.0.0/16")


def service(name: str, **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"ports": ports, **spec},
    }


def client_of(api: RunningApi) -> ApiClient:
    return ApiClient(api.url, token=api.token, ca_file=api.ca_file)


async def names(client: ApiClient, resource: Resource) -> set[str]:
    return {each["metadata"]["name"] for each in (await client.page(resource)).items}


async def test_the_api_has_the_first_address(api: RunningApi) -> None:
    async with client_of(api) as client:
        found = await client.get(SERVICES, "kubernetes", "default")
        assert found["spec"]["clusterIP"] == "10.96.0.1"
        assert found["spec"]["clusterIPs"] == ["10.96.0.1"]
        address = await client.get(IP_ADDRESSES, "10.96.0.1")
        assert address["spec"]["parentRef"] == {
            "group": "",
            "resource": "services",
            "namespace": "default",
            "name": "kubernetes",
        }


async def test_a_service_gets_an_address_and_gives_it_back(api: RunningApi) -> None:
    async with client_of(api) as client:
        made = await client.create(SERVICES, service("web"))
        address = made["spec"]["clusterIP"]
        assert ip_address(address) in RANGE
        assert made["spec"]["ipFamilies"] == ["IPv4"]
        assert made["spec"]["ipFamilyPolicy"] == "SingleStack"
        assert address in await names(client, IP_ADDRESSES)
        await client.delete(SERVICES, "web", "default")
        assert address not in await names(client, IP_ADDRESSES)


async def test_many_at_once_on_two_servers_never_share_a_port(
    api: RunningApi, database_url: str, certificates: Certificates
) -> None:
    async with (
        serve_api(database_url, certificates, server="second") as other,
        client_of(api) as one,
        client_of(other) as two,
    ):
        writers = [(one if number % 2 else two, f"s{number}") for number in range(60)]
        made = await asyncio.gather(
            *(client.create(SERVICES, service(name, type="NodePort")) for client, name in writers)
        )
        assert len({each["spec"]["clusterIP"] for each in made}) == 60
        assert len({each["spec"]["ports"][0]["nodePort"] for each in made}) == 60


async def test_two_that_ask_for_the_same_port_at_once(
    api: RunningApi, database_url: str, certificates: Certificates
) -> None:
    wanted = [{"port": 80, "nodePort": 30500}]
    async with (
        serve_api(database_url, certificates, server="second") as other,
        client_of(api) as one,
        client_of(other) as two,
    ):
        results = await asyncio.gather(
            *(
                client.create(SERVICES, service(f"p{number}", type="NodePort", ports=wanted))
                for number, client in enumerate([one, two] * 4)
            ),
            return_exceptions=True,
        )
    refused = [each for each in results if isinstance(each, BaseException)]
    assert len(refused) == 7
    for error in refused:
        assert isinstance(error, Invalid), error
        assert "spec.ports[0].nodePort: Invalid value: 30500: provided port is already allocated" in str(error)


async def test_an_address_by_hand(api: RunningApi) -> None:
    async with client_of(api) as client:
        made = await client.create(SERVICES, service("fixed", clusterIP="10.96.7.7"))
        assert made["spec"]["clusterIPs"] == ["10.96.7.7"]
        for wish, reason in (("10.96.7.7", "provided IP is already allocated"), ("10.1.2.3", "does not match")):
            with pytest.raises(Invalid, match=rf"spec.clusterIPs\[0\].*{reason}"):
                await client.create(SERVICES, service("late", clusterIP=wish))


async def test_a_dry_run_takes_nothing(api: RunningApi) -> None:
    async with client_of(api) as client:
        before = await names(client, IP_ADDRESSES)
        made = await client.create(SERVICES, service("dry"), dry_run=True)
        assert made["spec"]["clusterIP"]
        assert await names(client, IP_ADDRESSES) == before


async def test_changes_of_type(api: RunningApi) -> None:
    async with client_of(api) as client:
        outside = {"type": "ExternalName", "externalName": "example.com", "ports": []}
        made = await client.create(SERVICES, service("moving", **outside))
        assert not made["spec"].get("clusterIP")
        to_node_port = {"spec": {"type": "NodePort", "externalName": None, "ports": [{"port": 80, "name": "http"}]}}
        made = await client.patch(SERVICES, "moving", to_node_port, "default")
        address, port = made["spec"]["clusterIP"], made["spec"]["ports"][0]["nodePort"]
        assert f"tcp-{port}" in await names(client, NODE_PORTS)
        made = await client.patch(SERVICES, "moving", {"spec": {"type": "ClusterIP"}}, "default")
        assert "nodePort" not in made["spec"]["ports"][0]
        assert made["spec"]["clusterIP"] == address
        assert f"tcp-{port}" not in await names(client, NODE_PORTS)
        back = {"spec": {"type": "ExternalName", "externalName": "example.com", "clusterIP": ""}}
        made = await client.patch(SERVICES, "moving", back, "default")
        assert not made["spec"].get("clusterIP")
        assert address not in await names(client, IP_ADDRESSES)


async def test_headless_takes_no_address_and_both_protocols_share_a_port(api: RunningApi) -> None:
    async with client_of(api) as client:
        before = await names(client, IP_ADDRESSES)
        made = await client.create(SERVICES, service("headless", clusterIP="None"))
        assert made["spec"]["clusterIPs"] == ["None"]
        assert await names(client, IP_ADDRESSES) == before
        both = [{"name": "t", "port": 53, "protocol": "TCP"}, {"name": "u", "port": 53, "protocol": "UDP"}]
        made = await client.create(SERVICES, service("dns", type="NodePort", ports=both))
        assert made["spec"]["ports"][0]["nodePort"] == made["spec"]["ports"][1]["nodePort"]


async def test_local_load_balancers_have_a_port_for_health_checks(api: RunningApi) -> None:
    async with client_of(api) as client:
        local = service("lb", type="LoadBalancer", externalTrafficPolicy="Local")
        made = await client.create(SERVICES, local)
        port = made["spec"]["healthCheckNodePort"]
        assert f"tcp-{port}" in await names(client, NODE_PORTS)
        made = await client.patch(SERVICES, "lb", {"spec": {"externalTrafficPolicy": "Cluster"}}, "default")
        assert "healthCheckNodePort" not in made["spec"]
        assert f"tcp-{port}" not in await names(client, NODE_PORTS)


async def test_a_transaction_gives_each_of_its_services_an_address(api: RunningApi) -> None:
    async with client_of(api) as client:
        await client.transact([create(service(f"t{number}", type="NodePort")) for number in range(5)])
        made = [await client.get(SERVICES, f"t{number}", "default") for number in range(5)]
        assert len({each["spec"]["clusterIP"] for each in made}) == 5
        assert len({each["spec"]["ports"][0]["nodePort"] for each in made}) == 5


async def test_a_refused_create_takes_nothing(api: RunningApi) -> None:
    async with client_of(api) as client:
        before = await names(client, IP_ADDRESSES)
        with pytest.raises(Invalid):
            await client.create(SERVICES, service("Bad_Name"))
        assert await names(client, IP_ADDRESSES) == before
