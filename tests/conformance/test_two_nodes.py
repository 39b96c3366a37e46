"""Pods on three nodes: the installation's own, one that shares its engine and network, and one apart, beyond a tunnel."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from ipaddress import IPv4Address
from typing import Any, NamedTuple

import pytest

from moorage_agent.identity import cluster_uid
from moorage_agent.network import links
from moorage_agent.network.names import names
from tests.conformance.talkers import BIG, CLIENT, TCP, UDP, asked, names_of, python, talker
from tests.conformance.traffic import ask, ask_from_node, client, look_up, server
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.nodes import MoreNode, missing, more_node
from tests.support.resolver import Resolver, resolver
from tests.support.rest import Document, Rest
from tests.support.wait import until

reason = missing()
pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(reason), reason=f"no nodes apart here: {reason}"),
]

HOME, BESIDE, FAR = "test-node", "beside", "far"
TENANTS = "/apis/tenancy.moorage.io/v1/tenants"
PODS = {"one": HOME, "two": BESIDE, "three": FAR}
OTHERS = [("one", "three"), ("three", "one"), ("two", "three"), ("three", "two"), ("one", "two"), ("two", "one")]


class Town(NamedTuple):
    """What the tests share: addresses of nodes and of pods by their names, and the node apart."""

    nodes: dict[str, str]
    pods: dict[str, str]
    far: MoreNode
    outside: Resolver


@pytest.fixture(scope="module")
def town(installation: Installation, api: Rest, space: str, shared: Kubectl, image: str) -> Iterator[Town]:
    """Three nodes, and a pod on each."""
    with ExitStack() as stack:
        outside = stack.enter_context(resolver(f"127.77.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"))
        stack.enter_context(more_node(installation, BESIDE, apart=False, resolver=outside.address))
        far = stack.enter_context(more_node(installation, FAR, apart=True))
        kubectl = installation.kubectl()
        for name in (BESIDE, FAR):
            stack.callback(api.request, "DELETE", f"/api/v1/nodes/{name}")
            kubectl("wait", "--for=create", f"node/{name}", "--timeout=90s")
            kubectl("wait", "--for=condition=Ready", f"node/{name}", "--timeout=90s")
        far.import_image()
        pods = f"/api/v1/namespaces/{space}/pods"
        stack.callback(shared, "delete", "pod", "--all", "--timeout=60s")
        for name, node in PODS.items():
            api.create(pods, talker(image, name, node))
        shared("wait", "--for=condition=Ready", "pod", "--all", "--timeout=90s")
        nodes = {name: api.get(f"/api/v1/nodes/{name}")["status"]["addresses"][0]["address"] for name in PODS.values()}
        yield Town(nodes, {name: api.get(f"{pods}/{name}")["status"]["podIP"] for name in PODS}, far, outside)


def made(api: Rest, space: str, name: str, **spec: Any) -> Document:
    """A Service of all pods, on ports 80 (TCP) and 81 (UDP)."""
    ports = [
        {"name": "http", "port": 80, "targetPort": "http"},
        {"name": "udp", "port": 81, "targetPort": "udp", "protocol": "UDP"},
    ]
    spec = {"selector": {"app": "web"}, "ports": ports, **spec}
    return api.create(f"/api/v1/namespaces/{space}/services", {"metadata": {"name": name}, "spec": spec})


@pytest.mark.parametrize(("asks", "answers"), OTHERS)
async def test_pods_of_all_nodes_reach_each_other_without_translation(
    town: Town, shared: Kubectl, asks: str, answers: str
) -> None:
    there, own = town.pods[answers], town.pods[asks]
    assert await until(lambda: asked(shared, asks, there, TCP)[0] or None) == f"{answers} {own}"
    assert asked(shared, asks, there, UDP, udp=True) == [f"{answers} {own}"]
    size = BIG + len(f"{answers} {own}")
    assert asked(shared, asks, there, TCP, word="big", seconds=5.0) == [f"{size} bytes"]


async def test_the_machine_reaches_pods_of_all_nodes(town: Town) -> None:
    for name, address in town.pods.items():
        await until(partial(_answered_machine, address, TCP, {name}))


def _answered_machine(host: str, port: int, wanted: set[str]) -> bool:
    return ask_from_node(host, port).split(" ")[0] in wanted


def _answered(kubectl: Kubectl, name: str, host: str, port: int, udp: bool) -> bool:
    return names_of(asked(kubectl, name, host, port, udp=udp, times=20)) == set(PODS)


async def test_services_spread_over_the_pods_of_all_nodes(town: Town, api: Rest, shared: Kubectl, space: str) -> None:
    address = made(api, space, "spread")["spec"]["clusterIP"]
    for name in PODS:
        await until(partial(_answered, shared, name, address, 80, udp=False))
        await until(partial(_answered, shared, name, address, 81, udp=True))
        assert address in look_up(shared, name, f"spread.{space}.svc.cluster.local")


async def test_a_node_port_is_served_by_every_node(town: Town, api: Rest, shared: Kubectl, space: str) -> None:
    spec = made(api, space, "outside", type="NodePort")["spec"]
    tcp, udp = (port["nodePort"] for port in spec["ports"])
    for address in town.nodes.values():
        await until(partial(_answered_machine, address, tcp, set(PODS)))
        for name in ("one", "three"):
            assert names_of(asked(shared, name, address, tcp, times=3)) <= set(PODS)
            assert names_of(asked(shared, name, address, udp, udp=True)) <= set(PODS)


@contextmanager
def outsider() -> Iterator[int]:
    """A machine in another network that has a route to this one; yields a process there."""
    name, net = f"mx{os.getpid()}", f"198.51.{os.getpid() >> 6 & 255}.{(os.getpid() & 63) << 2}"
    machine, own = gateway(net, 1), gateway(net, 2)
    with subprocess.Popen(["unshare", "--net", "sleep", "300"]) as process:
        try:
            inside = ["nsenter", f"--net=/proc/{process.pid}/ns/net"]
            while subprocess.run([*inside, "ip", "link", "show", "lo", "up"], capture_output=True, check=False).stdout:
                continue  # it is still in our network, whose loopback interface is up
            for command in (
                ["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(process.pid)],
                ["ip", "addr", "add", f"{machine}/30", "dev", name],
                ["ip", "link", "set", name, "up"],
                [*inside, "ip", "addr", "add", f"{own}/30", "dev", "eth0"],
                [*inside, "ip", "link", "set", "eth0", "up"],
                [*inside, "ip", "route", "add", "default", "via", machine],
            ):
                subprocess.run(command, check=True, capture_output=True)
            yield process.pid
        finally:
            process.kill()


async def test_clients_from_outside_reach_pods_of_other_nodes(
    town: Town, api: Rest, shared: Kubectl, space: str
) -> None:
    spec = made(api, space, "open", type="NodePort", selector={"name": "three"})["spec"]
    what = ["tcp", town.nodes[HOME], spec["ports"][0]["nodePort"], 1, "big", 0, 2.0]
    with outsider() as process:

        def ask() -> str:
            inside = ["nsenter", f"--net=/proc/{process}/ns/net", sys.executable, "-c", CLIENT, json.dumps(what)]
            done = subprocess.run(inside, capture_output=True, text=True, check=True)
            return str(json.loads(done.stdout)[0])

        answer = await until(lambda: ask() or None, timeout=15)
    assert int(answer.removesuffix(" bytes")) > BIG


async def test_local_policies_keep_to_the_pods_of_their_node(
    town: Town, api: Rest, shared: Kubectl, space: str
) -> None:
    far = town.nodes[FAR]
    spec = made(api, space, "kept", type="NodePort", selector={"name": "three"}, internalTrafficPolicy="Local")["spec"]
    await until(lambda: names_of(asked(shared, "three", spec["clusterIP"], 80)) == {"three"})
    assert asked(shared, "one", spec["clusterIP"], 80) == [""]
    port = spec["ports"][0]["nodePort"]
    assert await until(lambda: ask_from_node(far, port) or None) == f"three {gateway(town.pods['three'])}"
    path = f"/api/v1/namespaces/{space}/services/kept"
    api.patch(path, {"spec": {"externalTrafficPolicy": "Local"}})
    # The node that has the pod shows it who asks; the others let nothing in.
    await until(lambda: ask_from_node(far, port) == f"three {gateway(far, -1)}")
    api.patch(path, {"spec": {"selector": {"name": "one"}}})
    await until(lambda: ask_from_node(far, port) == "")
    api.patch(path, {"spec": {"externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster"}})
    await until(lambda: ask_from_node(far, port).startswith("one "))


def gateway(address: str, offset: int = -1) -> str:
    """The address before another one: a node's among its first pod's, the machine's before its first node's."""
    return str(IPv4Address(address) + offset)


async def test_names_of_others_come_from_the_nodes_resolver(town: Town, api: Rest, shared: Kubectl, space: str) -> None:
    found = [f"www.outside.example. 60 IN A {town.pods['three']}"]
    town.outside.records["www.outside.example.", "A"] = found
    assert town.pods["three"] in look_up(shared, "two", "www.outside.example")
    settings = shared("exec", "two", "--", "cat", "/etc/resolv.conf")
    assert f"search {space}.svc.cluster.local svc.cluster.local cluster.local outside.example" in settings
    assert "NXDOMAIN" in look_up(shared, "two", "nothing.outside.example")
    spec = {"type": "ExternalName", "externalName": "www.outside.example"}
    api.create(f"/api/v1/namespaces/{space}/services", {"metadata": {"name": "alias"}, "spec": spec})
    await until(lambda: town.pods["three"] in look_up(shared, "two", f"alias.{space}.svc.cluster.local"))
    assert ("www.outside.example.", "udp") in town.outside.asked


async def test_pods_choose_the_pods_of_their_own_node_first(town: Town, api: Rest, shared: Kubectl, space: str) -> None:
    address = made(api, space, "near", trafficDistribution="PreferSameNode")["spec"]["clusterIP"]
    for name in PODS:
        await until(partial(_answered_by, shared, name, address, {name}))
    api.patch(f"/api/v1/namespaces/{space}/services/near", {"spec": {"trafficDistribution": None}})
    await until(partial(_answered_by, shared, "one", address, set(PODS)))


def _answered_by(kubectl: Kubectl, name: str, host: str, wanted: set[str]) -> bool:
    return names_of(asked(kubectl, name, host, 80, times=20)) == wanted


async def test_policies_hold_between_nodes(town: Town, api: Rest, shared: Kubectl, space: str) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{space}/networkpolicies"
    three = town.pods["three"]
    selector = {"matchLabels": {"name": "three"}}
    ingress = [{"from": [{"podSelector": {"matchLabels": {"name": "one"}}}]}]
    api.create(path, {"metadata": {"name": "only-one"}, "spec": {"podSelector": selector, "ingress": ingress}})
    await until(lambda: asked(shared, "two", three, TCP) == [""])
    assert names_of(asked(shared, "one", three, TCP)) == {"three"}
    assert asked(shared, "two", three, UDP, udp=True) == [""]
    assert names_of(asked(shared, "three", town.pods["two"], TCP)) == {"two"}
    api.delete(f"{path}/only-one")
    await until(lambda: names_of(asked(shared, "two", three, TCP)) == {"three"})


async def test_tenants_are_apart_on_all_nodes(
    town: Town, api: Rest, installation: Installation, space: str, image: str
) -> None:
    red, blue = f"{space}-red", f"{space}-blue"
    try:
        for tenant in (red, blue):
            owners = [{"kind": "User", "name": f"{tenant}-owner"}]
            api.create(TENANTS, {"metadata": {"name": tenant}, "spec": {"owners": owners}})
            labels = {"tenancy.moorage.io/tenant": tenant}
            api.create("/api/v1/namespaces", {"metadata": {"name": tenant, "labels": labels}})
        pods = f"/api/v1/namespaces/{red}/pods"
        api.create(pods, server(image, "server", nodeName=FAR))
        api.create(pods, client(image, nodeName=HOME))
        api.create(f"/api/v1/namespaces/{blue}/pods", client(image, nodeName=HOME))
        ours, theirs = installation.kubectl(red), installation.kubectl(blue)
        for kubectl in (ours, theirs):
            kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
        address = api.get(f"{pods}/server")["status"]["podIP"]
        await until(lambda: ask(ours, "client", address, TCP) == ["server"])
        assert ask(theirs, "client", address, TCP) == [""]
        api.patch(f"{TENANTS}/{red}", {"spec": {"network": {"allowFrom": [blue]}}})
        await until(lambda: ask(theirs, "client", address, TCP) == ["server"])
    finally:
        for tenant in (red, blue):
            api.request("DELETE", f"/api/v1/namespaces/{tenant}")


FORGE = """
import json, socket, struct, sys
node, number, hardware, source, target, port = json.loads(sys.argv[1])
def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
udp = struct.pack(">HHHH", port, 8081, 9, 0) + b"x"
head = [0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(target)]
head[7] = checksum(struct.pack(">BBHHHBBH4s4s", *head))
frame = bytes.fromhex(hardware) + bytes(6) + b"\\x08\\x00" + struct.pack(">BBHHHBBH4s4s", *head) + udp
sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(5):
    sending.sendto(struct.pack(">II", 0x08000000, number << 8) + frame, (node, 8472))
"""
HEAR = """
import socket, sys
hearing = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
hearing.bind(("0.0.0.0", int(sys.argv[1])))
hearing.settimeout(float(sys.argv[2]))
try:
    print(hearing.recv(100).decode())
except TimeoutError:
    print("nothing")
"""


async def test_pods_cannot_write_into_the_tunnel(town: Town, shared: Kubectl, installation: Installation) -> None:
    number = names(cluster_uid((installation.data_dir / "pki" / "ca.crt").read_text()), HOME).tunnels
    lladdr = links.hardware(f"vxlan {town.nodes[FAR]}").replace(":", "")
    port = 40_999

    def forge(name: str) -> None:
        """Have pod ``three`` believe that ``two`` sent it something: the answer would go there."""
        what = [town.nodes[FAR], number, lladdr, town.pods["two"], town.pods["three"], port]
        shared("exec", name, "--", *python(FORGE, json.dumps(what)))

    hearing = asyncio.create_task(asyncio.to_thread(shared, "exec", "two", "--", *python(HEAR, str(port), "4")))
    while not hearing.done():
        await asyncio.to_thread(forge, "one")
    assert hearing.result() == "nothing"


async def test_what_led_to_a_node_goes_with_it(town: Town, api: Rest, shared: Kubectl) -> None:
    network, address = api.get(f"/api/v1/nodes/{FAR}")["spec"]["podCIDR"], town.nodes[FAR]
    assert network in routes()
    assert f"dst {address} " in shown("bridge", "fdb")
    town.far.process.terminate()
    town.far.process.wait(60)
    api.delete(f"/api/v1/nodes/{FAR}")
    shared("delete", "pod", "three", "--force", "--grace-period=0")
    await until(lambda: network not in routes() and f"dst {address} " not in shown("bridge", "fdb"))


def routes() -> str:
    """The machine's routes."""
    return shown("ip", "route")


def shown(*command: str) -> str:
    """What a command of iproute2 shows."""
    return subprocess.run([*command, "show"], capture_output=True, text=True, check=True).stdout
