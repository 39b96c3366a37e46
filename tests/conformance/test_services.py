"""Services, their endpoints and names on real pods: what Kubernetes' conformance cases of sig-network ask for."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conformance.traffic import PORT, ask, ask_from_node, client, look_up, server
from tests.support.kubectl import Kubectl
from tests.support.rest import Document, Rest
from tests.support.wait import until

BOTH = {"web-1", "web-2"}
SLICES = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"


@pytest.fixture(scope="module")
def backends(api: Rest, shared: Kubectl, space: str, image: str) -> dict[str, str]:
    """Two servers behind ``app=web`` and a client; addresses by name. One of the servers has a host name of its own."""
    pods = f"/api/v1/namespaces/{space}/pods"
    api.create(f"/api/v1/namespaces/{space}/services", service("early"))
    api.create(pods, server(image, "web-1", hostname="first", subdomain="many"))
    api.create(pods, server(image, "web-2"))
    api.create(pods, client(image))
    shared("wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
    return {name: api.get(f"{pods}/{name}")["status"]["podIP"] for name in ("web-1", "web-2", "client")}


def service(name: str, **spec: Any) -> Document:
    ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    return {"metadata": {"name": name}, "spec": {"selector": {"app": "web"}, "ports": ports, **spec}}


def made(api: Rest, space: str, name: str, **spec: Any) -> Document:
    return api.create(f"/api/v1/namespaces/{space}/services", service(name, **spec))


def change(api: Rest, space: str, name: str, **spec: Any) -> Document:
    return api.patch(f"/api/v1/namespaces/{space}/services/{name}", {"spec": spec})


async def test_pods_reach_each_other_under_their_own_addresses(shared: Kubectl, backends: dict[str, str]) -> None:
    await until(lambda: ask(shared, "client", backends["web-1"], PORT) == ["web-1"])
    assert ask_from_node(backends["web-2"], PORT) == "web-2"


async def test_a_service_spreads_over_its_pods(
    api: Rest, shared: Kubectl, space: str, backends: dict[str, str]
) -> None:
    address = made(api, space, "spread")["spec"]["clusterIP"]
    await until(lambda: set(ask(shared, "client", address, 80, times=12)) == BOTH)
    assert await until(lambda: ask_from_node(address, 80) or None) in BOTH


async def test_a_node_port_is_served_by_the_node(
    api: Rest, shared: Kubectl, space: str, backends: dict[str, str]
) -> None:
    port = made(api, space, "outside", type="NodePort")["spec"]["ports"][0]["nodePort"]
    node = api.get("/api/v1/nodes/test-node")["status"]["addresses"][0]["address"]
    assert await until(lambda: ask_from_node(node, port) or None) in BOTH
    assert ask_from_node("127.0.0.1", port) in BOTH
    assert ask(shared, "client", node, port)[0] in BOTH


async def test_clients_stay_with_their_pod_as_long_as_the_service_says(
    api: Rest, shared: Kubectl, space: str, backends: dict[str, str]
) -> None:
    spec = made(api, space, "sticky", type="NodePort", sessionAffinity="ClientIP")["spec"]
    address, port = spec["clusterIP"], spec["ports"][0]["nodePort"]
    node = api.get("/api/v1/nodes/test-node")["status"]["addresses"][0]["address"]
    await until(lambda: ask(shared, "client", address, 80)[0] in BOTH)
    for host, number in ((address, 80), (node, port)):
        assert len(set(ask(shared, "client", host, number, times=8))) == 1
    change(api, space, "sticky", sessionAffinity="None", sessionAffinityConfig=None)
    await until(lambda: set(ask(shared, "client", address, 80, times=12)) == BOTH)
    change(api, space, "sticky", sessionAffinity="ClientIP")
    await until(lambda: len(set(ask(shared, "client", address, 80, times=10))) == 1)


async def test_the_type_of_a_service_can_change(
    api: Rest, shared: Kubectl, space: str, backends: dict[str, str]
) -> None:
    api.create(
        f"/api/v1/namespaces/{space}/services",
        {"metadata": {"name": "turning"}, "spec": {"type": "ExternalName", "externalName": "example.com"}},
    )
    ports = [{"port": 80, "targetPort": PORT}]
    spec = change(api, space, "turning", type="ClusterIP", externalName=None, ports=ports, selector={"app": "web"})[
        "spec"
    ]
    await until(lambda: ask(shared, "client", spec["clusterIP"], 80)[0] in BOTH)
    spec = change(api, space, "turning", type="NodePort")["spec"]
    number = spec["ports"][0]["nodePort"]
    await until(lambda: ask_from_node("127.0.0.1", number) in BOTH)
    outside = {"type": "ExternalName", "externalName": "many." + space + ".svc.cluster.local"}
    change(api, space, "turning", **outside, clusterIP=None, clusterIPs=None, ports=None, selector=None)
    await until(lambda: ask_from_node("127.0.0.1", number) == "")
    await until(lambda: "canonical name = many" in look_up(shared, "client", f"turning.{space}.svc.cluster.local"))


async def test_endpoints_and_slices_follow_the_pods(
    api: Rest, shared: Kubectl, space: str, backends: dict[str, str]
) -> None:
    made(api, space, "followed")
    wanted = {backends["web-1"], backends["web-2"]}
    path = f"/api/v1/namespaces/{space}/endpoints/followed"

    def addresses() -> set[str]:
        subsets = api.request("GET", path).document.get("subsets") or ()
        return {each["ip"] for subset in subsets for each in subset["addresses"]}

    def in_slices() -> set[str]:
        label = "kubernetes.io/service-name=followed"
        found = api.get(SLICES.format(space), labelSelector=label)["items"]
        return {address for each in found for one in each["endpoints"] for address in one["addresses"]}

    await until(lambda: addresses() == in_slices() == wanted)
    api.delete(f"/api/v1/namespaces/{space}/services/followed")
    await until(lambda: api.missing(path) and not in_slices())


async def test_a_service_without_pods_has_empty_endpoints_and_refuses(
    api: Rest, shared: Kubectl, space: str, backends: dict[str, str]
) -> None:
    address = made(api, space, "empty", selector={"app": "nobody"})["spec"]["clusterIP"]
    path = f"/api/v1/namespaces/{space}/endpoints/empty"
    found = await until(lambda: api.request("GET", path).document or None)
    assert not found.get("subsets")
    assert ask(shared, "client", address, 80) == [""]


async def test_endpoints_by_hand_are_served(api: Rest, shared: Kubectl, space: str, backends: dict[str, str]) -> None:
    address = made(api, space, "manual", selector=None, ports=[{"name": "http", "port": 80}])["spec"]["clusterIP"]
    for number, name in enumerate(("web-1", "web-2")):
        piece = {
            "metadata": {"name": f"manual-{number}", "labels": {"kubernetes.io/service-name": "manual"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [backends[name]]}],
            "ports": [{"name": "http", "port": PORT, "protocol": "TCP"}],
        }
        api.create(SLICES.format(space), piece)
    await until(lambda: set(ask(shared, "client", address, 80, times=12)) == BOTH)


async def test_an_external_address_is_served(api: Rest, shared: Kubectl, space: str, backends: dict[str, str]) -> None:
    made(api, space, "external", externalIPs=["203.0.113.7"])
    assert await until(lambda: ask(shared, "client", "203.0.113.7", 80)[0] or None) in BOTH


async def test_names_of_services(api: Rest, shared: Kubectl, space: str, backends: dict[str, str]) -> None:
    address = made(api, space, "named")["spec"]["clusterIP"]
    made(api, space, "many", clusterIP="None")
    full = f"named.{space}.svc.cluster.local"
    await until(lambda: address in look_up(shared, "client", full))
    assert address in look_up(shared, "client", "named")
    settings = shared("exec", "client", "--", "cat", "/etc/resolv.conf")
    assert f"search {space}.svc.cluster.local svc.cluster.local cluster.local" in settings
    assert "ndots:5" in settings
    assert f"0 100 80 {full}" in look_up(shared, "client", f"_http._tcp.{full}", "srv")
    headless = f"many.{space}.svc.cluster.local"
    every = {backends["web-1"], backends["web-2"]}
    await until(lambda: set(re.findall(r"Address: ([\d.]+)", look_up(shared, "client", headless))) == every)
    assert backends["web-1"] in look_up(shared, "client", f"first.{headless}")
    dashed = backends["client"].replace(".", "-")
    assert backends["client"] in look_up(shared, "client", f"{dashed}.{space}.pod.cluster.local")
    assert f"{headless}\tfirst" in shared("exec", "web-1", "--", "cat", "/etc/hosts").replace("first.many", "many")


async def test_the_api_is_reached_from_pods(api: Rest, shared: Kubectl, space: str, backends: dict[str, str]) -> None:
    own = api.get("/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"]
    endpoints = api.get("/api/v1/namespaces/default/endpoints/kubernetes")["subsets"][0]
    piece = api.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
    assert endpoints["addresses"][0]["ip"] == piece["endpoints"][0]["addresses"][0]
    variables = shared("exec", "client", "--", "env").splitlines()
    assert f"KUBERNETES_SERVICE_HOST={own}" in variables
    assert "KUBERNETES_SERVICE_PORT=443" in variables
    assert own in look_up(shared, "client", "kubernetes.default.svc.cluster.local")
    listens = shared("exec", "client", "--", "sh", "-c", f"nc -w 3 {own} 443 </dev/null && echo yes")
    assert listens == "yes"


async def test_variables_name_the_services_that_were_there(shared: Kubectl, backends: dict[str, str]) -> None:
    variables = shared("exec", "client", "--", "env")
    assert "EARLY_SERVICE_HOST=10." in variables
    assert "EARLY_SERVICE_PORT_HTTP=80" in variables
    assert "EARLY_PORT_80_TCP_PROTO=tcp" in variables
