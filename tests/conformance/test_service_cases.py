"""Cases about services: endpoints as pods come and go, by hand and mirrored, types that turn, affinity, host ports, names."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest

from tests.conformance.traffic import PORT, ask, ask_from_node, client, look_up, server
from tests.conformance.workloads import container, pod
from tests.support.kubectl import Kubectl
from tests.support.rest import Document, Rest
from tests.support.wait import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

NAMES = {"web-1", "web-2", "web-3"}
TWO_PORTS = """echo {name} > /tmp/index.html; trap 'exit 0' TERM
httpd -f -p 100 -h /tmp & httpd -f -p 101 -h /tmp & wait"""


def _two_ports(image: str, name: str) -> Document:
    ports = [{"name": "portname1", "containerPort": 100}, {"name": "portname2", "containerPort": 101}]
    return pod(name, container(image, TWO_PORTS.format(name=name), ports=ports), labels={"app": name})


@pytest.fixture(scope="module")
def root(api: Rest, shared: Kubectl, space: str, image: str) -> str:
    """The namespace's path, with three servers, two that listen on two ports each, and a client in it."""
    path = f"/api/v1/namespaces/{space}"
    made = [server(image, name) for name in sorted(NAMES)]
    made[0]["spec"].update(hostname="first", subdomain="headless")
    made += [_two_ports(image, "multi-1"), _two_ports(image, "multi-2"), client(image)]
    for document in made:
        api.create(f"{path}/pods", document)
    shared("wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
    return path


def _service(name: str, **spec: Any) -> Document:
    ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    return {
        "metadata": {"name": name, "labels": {"name": name}},
        "spec": {"selector": {"app": "web"}, "ports": ports, **spec},
    }


def _ip(api: Rest, root: str, name: str) -> str:
    return str(api.get(f"{root}/pods/{name}")["status"]["podIP"])


def _slices(api: Rest, space: str, service: str) -> list[Document]:
    path = f"/apis/discovery.k8s.io/v1/namespaces/{space}/endpointslices"
    found: list[Document] = api.get(path, labelSelector=f"kubernetes.io/service-name={service}")["items"]
    return found


def _pairs(subsets: list[Document]) -> set[tuple[str, str, int]]:
    """(address, name of the port, port) of Endpoints."""
    return {
        (one["ip"], port.get("name", ""), port["port"])
        for subset in subsets
        for one in subset.get("addresses", ())
        for port in subset["ports"]
    }


async def _endpoints(api: Rest, root: str, name: str, wanted: set[tuple[str, str, int]]) -> None:
    """Wait until Endpoints and EndpointSlices both say so."""
    space = root.rpartition("/")[2]

    def so() -> bool:
        found = _pairs(api.get(f"{root}/endpoints/{name}").get("subsets") or [])
        assert found == wanted, found
        in_slices = {
            (address, port.get("name", ""), port["port"])
            for each in _slices(api, space, name)
            for end in each.get("endpoints", ())
            for address in end["addresses"]
            for port in each.get("ports", ())
        }
        assert in_slices == wanted, in_slices
        return True

    await until(so, timeout=60)


async def test_endpoints_as_pods_come_and_go(api: Rest, shared: Kubectl, root: str, image: str) -> None:
    """ "should serve a basic endpoint from pods", on traffic as well as in the objects."""
    address = api.create(f"{root}/services", _service("basic", selector={"app": "basic"}))["spec"]["clusterIP"]
    await _endpoints(api, root, "basic", set())
    for name in ("basic-1", "basic-2"):
        api.create(f"{root}/pods", server(image, name, app="basic"))
    shared("wait", "--for=condition=Ready", "pod/basic-1", "pod/basic-2", "--timeout=60s")
    first, second = (_ip(api, root, f"basic-{number}") for number in (1, 2))
    await _endpoints(api, root, "basic", {(first, "http", PORT), (second, "http", PORT)})
    await until(lambda: set(ask(shared, "client", address, 80, times=12)) == {"basic-1", "basic-2"})
    api.delete(f"{root}/pods/basic-1")
    await _endpoints(api, root, "basic", {(second, "http", PORT)})
    await until(lambda: set(ask(shared, "client", address, 80, times=6)) == {"basic-2"})
    api.delete(f"{root}/pods/basic-2")
    await _endpoints(api, root, "basic", set())


async def test_several_ports(api: Rest, shared: Kubectl, root: str) -> None:
    """ "should serve multiport endpoints from pods", and one port number for two protocols."""
    ports = [
        {"name": "portname1", "port": 80, "targetPort": "portname1"},
        {"name": "portname2", "port": 81, "targetPort": "portname2"},
    ]
    body = _service("multi", selector={"app": "multi-1"}, ports=ports)
    address = api.create(f"{root}/services", body)["spec"]["clusterIP"]
    host = _ip(api, root, "multi-1")
    await _endpoints(api, root, "multi", {(host, "portname1", 100), (host, "portname2", 101)})
    for port in (80, 81):
        await until(partial(_answers, shared, address, port, {"multi-1"}))
    both = [{"name": name, "port": 80, "targetPort": 100, "protocol": name.upper()} for name in ("tcp", "udp")]
    api.create(f"{root}/services", _service("protocols", selector={"app": "multi-2"}, ports=both))
    host = _ip(api, root, "multi-2")
    await _endpoints(api, root, "protocols", {(host, "tcp", 100), (host, "udp", 100)})
    protocols = {
        (port["name"], port["protocol"])
        for each in _slices(api, root.rpartition("/")[2], "protocols")
        for port in each["ports"]
    }
    assert protocols == {("tcp", "TCP"), ("udp", "UDP")}


def _answers(kubectl: Kubectl, host: str, port: int, wanted: set[str]) -> bool:
    found = set(ask(kubectl, "client", host, port, times=6))
    assert found <= wanted, found
    assert "" not in found
    return True


async def test_several_slices_of_different_ports(api: Rest, shared: Kubectl, space: str, root: str) -> None:
    """ "multiple endpoint IPs specified in multiple EndpointSlices": other addresses and other ports in each."""
    ports = [{"name": "portname1", "port": 80}, {"name": "portname2", "port": 81}]
    body = _service("by-hand", selector=None, ports=ports)
    address = api.create(f"{root}/services", body)["spec"]["clusterIP"]
    for number, (name, port) in enumerate((("multi-1", 100), ("multi-2", 101)), start=1):
        piece = {
            "metadata": {"name": f"by-hand-{number}", "labels": {"kubernetes.io/service-name": "by-hand"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [_ip(api, root, name)]}],
            "ports": [{"name": f"portname{number}", "port": port, "protocol": "TCP"}],
        }
        api.create(f"/apis/discovery.k8s.io/v1/namespaces/{space}/endpointslices", piece)
    for port, name in ((80, "multi-1"), (81, "multi-2")):
        await until(partial(_answers, shared, address, port, {name}))


async def test_endpoints_by_hand_are_mirrored(api: Rest, shared: Kubectl, space: str, root: str) -> None:
    """ "should mirror a custom Endpoints resource through create update and delete"."""
    body = _service("mirrored", selector=None, ports=[{"name": "example", "port": 80}])
    address = api.create(f"{root}/services", body)["spec"]["clusterIP"]

    def subsets(name: str) -> list[Document]:
        return [{"addresses": [{"ip": _ip(api, root, name)}], "ports": [{"name": "example", "port": PORT}]}]

    api.create(f"{root}/endpoints", {"metadata": {"name": "mirrored"}, "subsets": subsets("web-1")})
    await _endpoints(api, root, "mirrored", {(_ip(api, root, "web-1"), "example", PORT)})
    (mirror,) = _slices(api, space, "mirrored")
    assert (
        mirror["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
        == "endpointslicemirroring-controller.k8s.io"
    )
    await until(partial(_answers, shared, address, 80, {"web-1"}))
    api.patch(f"{root}/endpoints/mirrored", {"subsets": subsets("web-2")})
    await _endpoints(api, root, "mirrored", {(_ip(api, root, "web-2"), "example", PORT)})
    await until(partial(_answers, shared, address, 80, {"web-2"}))
    api.delete(f"{root}/endpoints/mirrored")
    await until(lambda: not _slices(api, space, "mirrored"))


def test_the_life_of_endpoints(api: Rest, root: str) -> None:
    """ "should test the lifecycle of an Endpoint"."""
    path = f"{root}/endpoints"
    start = api.get(path)["metadata"]["resourceVersion"]
    subset = {"addresses": [{"ip": "10.0.0.24"}], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
    with api.watch(path, labelSelector="test-endpoint-static=true", resourceVersion=start) as events:
        labels = {"test-endpoint-static": "true"}
        api.create(path, {"metadata": {"name": "life", "labels": labels}, "subsets": [subset]})
        assert next(events)[0] == "ADDED"
        assert api.names("/api/v1/endpoints", labelSelector="test-endpoint-static=true") == ["life"]
        read = api.get(f"{path}/life")
        read["metadata"]["labels"]["test-service"] = "updated"
        api.replace(f"{path}/life", read)
        assert next(events)[1]["metadata"]["labels"]["test-service"] == "updated"
        other = {"addresses": [{"ip": "10.0.0.25"}], "ports": [{"name": "http-test", "port": 8080}]}
        api.patch(f"{path}/life", {"metadata": {"labels": {"test-service": "patched"}}, "subsets": [other]})
        _, seen = next(events)
        assert seen["metadata"]["labels"]["test-service"] == "patched"
        assert seen["subsets"] == [{**other, "ports": [{"name": "http-test", "port": 8080, "protocol": "TCP"}]}]
        api.delete(path, labelSelector="test-endpoint-static=true")
        assert next(events)[0] == "DELETED"


async def test_an_outside_name_becomes_a_port_of_the_nodes(api: Rest, shared: Kubectl, root: str) -> None:
    """ExternalName to NodePort in one step; reached by name, by address and on the node."""
    outside = {"metadata": {"name": "turns"}, "spec": {"type": "ExternalName", "externalName": "foo.example.com"}}
    assert "clusterIP" not in api.create(f"{root}/services", outside)["spec"]

    def turn(document: Document) -> None:
        ports = [{"port": 80, "protocol": "TCP", "targetPort": PORT}]
        document["spec"] = {"type": "NodePort", "ports": ports, "selector": {"app": "web"}}

    spec = api.change(f"{root}/services/turns", turn)["spec"]
    assert spec["clusterIP"]
    await until(partial(_answers, shared, spec["clusterIP"], 80, NAMES))
    await until(partial(_answers, shared, "turns", 80, NAMES))
    node = api.get("/api/v1/nodes/test-node")["status"]["addresses"][0]["address"]
    assert ask_from_node(node, spec["ports"][0]["nodePort"]) in NAMES
    # And from ClusterIP to ExternalName.
    space = root.rpartition("/")[2]
    full = f"basic-name.{space}.svc.cluster.local"
    plain = api.create(f"{root}/services", _service("basic-name"))["spec"]["clusterIP"]

    def out(document: Document) -> None:
        document["spec"] = {"type": "ExternalName", "externalName": full}

    changed = api.change(f"{root}/services/turns", out)["spec"]
    assert "clusterIP" not in changed
    assert not changed.get("ports")
    await until(lambda: plain in look_up(shared, "client", f"turns.{space}.svc.cluster.local"))


async def test_an_outside_name_is_followed(api: Rest, shared: Kubectl, space: str, root: str) -> None:
    """ "should provide DNS for ExternalName services": CNAME, another CNAME, then an address of its own."""
    for name in ("there-1", "there-2"):
        api.create(f"{root}/services", _service(name))
    full = f"alias.{space}.svc.cluster.local"

    def target(number: int) -> str:
        return f"there-{number}.{space}.svc.cluster.local"

    outside = {"metadata": {"name": "alias"}, "spec": {"type": "ExternalName", "externalName": target(1)}}
    api.create(f"{root}/services", outside)
    await until(lambda: f"canonical name = {target(1)}" in look_up(shared, "client", full))
    assert target(1) in look_up(shared, "client", full, kind="cname")
    api.patch(f"{root}/services/alias", {"spec": {"externalName": target(2)}})
    await until(lambda: f"canonical name = {target(2)}" in look_up(shared, "client", full))
    change = {"type": "ClusterIP", "externalName": None, "ports": [{"port": 80, "targetPort": PORT}]}
    address = api.patch(f"{root}/services/alias", {"spec": change})["spec"]["clusterIP"]

    def own() -> bool:
        found = look_up(shared, "client", full)
        assert "canonical name" not in found
        assert address in found, found
        return True

    await until(own)


async def test_names_in_part(api: Rest, shared: Kubectl, space: str, root: str) -> None:
    """ "DNS of partial qualified names", of pods' host names, and where ports are asked for."""
    api.create(f"{root}/services", _service("headless", clusterIP="None"))
    address = api.create(f"{root}/services", _service("normal"))["spec"]["clusterIP"]
    hosts = {_ip(api, root, name) for name in NAMES}
    first = _ip(api, root, "web-1")

    wanted = dict.fromkeys(("headless", f"headless.{space}", f"headless.{space}.svc"), hosts)
    wanted |= {name: {first} for name in ("first.headless", f"first.headless.{space}.svc.cluster.local")}
    # By the system's resolver, which goes through the search path; ping says what it found.
    script = f"for n in {' '.join(wanted)}; do ping -c 1 $n & done; wait"

    def resolved() -> bool:
        found = dict(re.findall(r"PING (\S+) \(([\d.]+)\)", shared("exec", "client", "--", "sh", "-c", script)))
        assert found.keys() == wanted.keys(), found
        assert all(found[name] in addresses for name, addresses in wanted.items()), found
        return True

    await until(resolved)
    for name in ("normal", f"normal.{space}", f"normal.{space}.svc"):
        await until(partial(_answers, shared, name, 80, NAMES))
    assert address in look_up(shared, "client", f"normal.{space}.svc.cluster.local")
    for service, target in (("normal", f"normal.{space}"), ("headless", f"first.headless.{space}")):
        found = look_up(shared, "client", f"_http._tcp.{service}.{space}.svc.cluster.local", "srv")
        assert f" {PORT if service == 'headless' else 80} {target}" in found, found
    fqdn = shared("exec", "web-1", "--", "hostname", "-f")
    assert fqdn == f"first.headless.{space}.svc.cluster.local"


@pytest.mark.parametrize("type_", ["ClusterIP", "NodePort"])
async def test_affinity_is_switched(api: Rest, shared: Kubectl, root: str, type_: str) -> None:
    """Three pods; the same one for a client, then any, then the same one again."""
    name = f"sticky-{type_.lower()}"
    body = _service(name, type=type_, sessionAffinity="ClientIP")
    spec = api.create(f"{root}/services", body)["spec"]
    node = api.get("/api/v1/nodes/test-node")["status"]["addresses"][0]["address"]
    host, port = (spec["clusterIP"], 80) if type_ == "ClusterIP" else (node, spec["ports"][0]["nodePort"])

    def one() -> bool:
        found = set(ask(shared, "client", host, port, times=10))
        assert len(found) == 1, found
        assert found <= NAMES
        return True

    def any_() -> bool:
        found = set(ask(shared, "client", host, port, times=20))
        assert found == NAMES, found
        return True

    await until(one)
    api.patch(f"{root}/services/{name}", {"spec": {"sessionAffinity": "None"}})
    await until(any_)
    api.patch(f"{root}/services/{name}", {"spec": {"sessionAffinity": "ClientIP"}})
    await until(one)


def test_a_collection_of_services_is_deleted(api: Rest, root: str) -> None:
    for number in range(3):
        body = _service(f"set-{number}")
        body["metadata"]["labels"] = {"e2e-test-service": "set" if number < 2 else "kept"}
        api.create(f"{root}/services", body)
    assert len(api.names(f"{root}/services", labelSelector="e2e-test-service")) == 3
    api.delete(f"{root}/services", labelSelector="e2e-test-service=set")
    assert api.names(f"{root}/services", labelSelector="e2e-test-service") == ["set-2"]


async def test_one_host_port_on_two_addresses(api: Rest, shared: Kubectl, root: str, image: str) -> None:
    """ "no conflict between pods with same hostPort but different hostIP and protocol": each is reached where it is."""
    node = api.get("/api/v1/nodes/test-node")["status"]["addresses"][0]["address"]
    places = (("local", "127.0.0.1", "TCP"), ("outward", node, "TCP"), ("datagrams", node, "UDP"))
    for name, address, protocol in places:
        body = server(image, name, app="ports")
        body["spec"]["containers"][0]["ports"] = [
            {"containerPort": PORT, "hostPort": 54323, "hostIP": address, "protocol": protocol}
        ]
        api.create(f"{root}/pods", body)
    shared("wait", "--for=condition=Ready", "pod/local", "pod/outward", "pod/datagrams", "--timeout=60s")
    await until(lambda: ask_from_node("127.0.0.1", 54323) == "local")
    await until(lambda: ask_from_node(node, 54323) == "outward")
    assert ask(shared, "client", node, 54323) == ["outward"]
    for name, _, _ in places:
        api.delete(f"{root}/pods/{name}", {"gracePeriodSeconds": 0})
