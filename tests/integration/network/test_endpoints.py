"""Endpoints and EndpointSlices on a real API server: they follow Services, pods, and Endpoints made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from moorage.client.api import ApiClient
from moorage.client.resource import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES
from tests.integration.controllers.cluster import Cluster, running_cluster
from tests.support.apiserver import serve_api
from tests.support.certificates import Certificates
from tests.support.wait import until

SLICE_OF = "kubernetes.io/service-name"


@pytest.fixture
async def cluster(database_url: str, certificates: Certificates) -> AsyncIterator[Cluster]:
    async with (
        serve_api(database_url, certificates, advertise="192.0.2.10:6443") as api,
        running_cluster(api, nodes=0) as cluster,
    ):
        yield cluster


def service(name: str, **spec: Any) -> dict[str, Any]:
    selector = {"app": name}
    whole = {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": 8080}], **spec}
    metadata = {"name": name, "namespace": "team"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": whole}


async def add_pod(client: ApiClient, app: str, name: str, ip: str, *, ready: bool = True) -> None:
    """A pod with an address, as a node would report it."""
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 8080, "name": "http"}]}
    metadata = {"name": name, "namespace": "team", "labels": {"app": app}}
    spec = {"nodeName": "n1", "containers": [container]}
    await client.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    await set_ready(client, name, ip, ready=ready)


async def set_ready(client: ApiClient, name: str, ip: str, *, ready: bool) -> None:
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [condition]}
    await client.patch(PODS, name, {"status": status}, "team", subresource="status")


async def one_slice(client: ApiClient, name: str, namespace: str = "team") -> dict[str, Any]:
    pieces = await slices_of(client, name, namespace)
    assert len(pieces) == 1, pieces
    return pieces[0]


async def endpoints_of(client: ApiClient, name: str, namespace: str = "team") -> dict[str, Any]:
    found = (await client.list(ENDPOINTS, namespace, fields={"metadata.name": name})).items
    assert found, f"no Endpoints {name}"
    return found[0]


async def slices_of(client: ApiClient, name: str, namespace: str = "team") -> list[dict[str, Any]]:
    return (await client.list(ENDPOINT_SLICES, namespace, labels={SLICE_OF: name})).items


async def ready_addresses(client: ApiClient, name: str) -> list[str]:
    pieces = await slices_of(client, name)
    entries = [entry for piece in pieces for entry in piece.get("endpoints") or ()]
    return sorted(entry["addresses"][0] for entry in entries if entry["conditions"]["ready"])


async def test_they_follow_pods(cluster: Cluster) -> None:
    client = cluster.client
    await client.create(SERVICES, service("web"))

    async def empty() -> bool:
        piece, found = await one_slice(client, "web"), await endpoints_of(client, "web")
        return not piece.get("endpoints") and not found.get("subsets")

    await until(empty)
    await add_pod(client, "web", "one", "10.9.0.1")
    await add_pod(client, "web", "two", "10.9.0.2", ready=False)

    async def addresses(*wanted: str) -> bool:
        assert await ready_addresses(client, "web") == list(wanted)
        found = await endpoints_of(client, "web")
        listed = [each["ip"] for subset in found.get("subsets") or () for each in subset.get("addresses") or ()]
        assert sorted(listed) == list(wanted)
        return True

    await until(lambda: addresses("10.9.0.1"))
    piece = await one_slice(client, "web")
    assert piece["addressType"] == "IPv4"
    assert piece["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert piece["metadata"]["ownerReferences"][0]["kind"] == "Service"
    await set_ready(client, "two", "10.9.0.2", ready=True)
    await until(lambda: addresses("10.9.0.1", "10.9.0.2"))
    await client.patch(PODS, "one", {"metadata": {"labels": {"app": "other"}}}, "team")
    await until(lambda: addresses("10.9.0.2"))
    await client.delete(SERVICES, "web", "team")

    async def gone() -> bool:
        left = [each["metadata"]["name"] for each in (await client.list(ENDPOINTS, "team")).items]
        assert not left, left
        return not await slices_of(client, "web")

    await until(gone)


async def test_deleted_slices_and_endpoints_come_back(cluster: Cluster) -> None:
    client = cluster.client
    await client.create(SERVICES, service("web"))
    await add_pod(client, "web", "one", "10.9.0.1")
    await until(lambda: _is(ready_addresses(client, "web"), ["10.9.0.1"]))
    piece = await one_slice(client, "web")
    await client.delete(ENDPOINT_SLICES, piece["metadata"]["name"], "team")
    await client.delete(ENDPOINTS, "web", "team")
    await until(lambda: _is(ready_addresses(client, "web"), ["10.9.0.1"]))
    await until(lambda: endpoints_of(client, "web"))


async def test_endpoints_by_hand_have_slices(cluster: Cluster) -> None:
    client = cluster.client
    await client.create(SERVICES, service("db", selector=None))
    subsets = [{"addresses": [{"ip": "192.0.2.7"}], "ports": [{"name": "http", "port": 5432}]}]
    metadata = {"name": "db", "namespace": "team"}
    await client.create(ENDPOINTS, {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets})
    await until(lambda: _is(ready_addresses(client, "db"), ["192.0.2.7"]))
    await client.patch(ENDPOINTS, "db", {"subsets": None}, "team")
    await until(lambda: _is(ready_addresses(client, "db"), []))


async def test_the_api_servers_are_behind_their_service(cluster: Cluster) -> None:
    client = cluster.client

    async def there() -> bool:
        found = await endpoints_of(client, "kubernetes", "default")
        assert found["subsets"] == [
            {
                "addresses": [{"ip": "192.0.2.10"}],
                "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
            }
        ]
        piece = await one_slice(client, "kubernetes", "default")
        assert [entry["addresses"] for entry in piece["endpoints"]] == [["192.0.2.10"]]
        return True

    await until(there)


async def _is(found: Any, wanted: object) -> bool:
    assert await asyncio.wait_for(found, 5) == wanted
    return True
