"""Pods of two nodes reach each other under their own addresses: by routes on one network, through a tunnel otherwise.

Each node is a process in a network namespace of its own, with the links, routes and rules that an agent makes.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from pyroute2 import IPRoute

from moorage_agent.network.making import obstacle
from tests.support.wait import until

reason = obstacle("unix:///var/run/docker.sock")
pytestmark = pytest.mark.skipif(bool(reason), reason=f"no kernel network here: {reason}")

NODES = {"left": ("192.168.77.1", "10.215.1.0/24"), "right": ("192.168.77.2", "10.215.2.0/24")}
PODS = {"left": "10.215.1.2", "right": "10.215.2.2"}
ECHO = (
    "import socket\n"
    "s=socket.create_server(('0.0.0.0',8080))\n"
    "print('listens',flush=True)\n"
    "while True:\n"
    " c,a=s.accept(); c.sendall(a[0].encode()); c.close()\n"
)
ASK = "import socket,sys;print(socket.create_connection((sys.argv[1],8080),2).makefile().read())"
NODE = """
import json, os, subprocess, sys, time
parent = os.getppid()
from ipaddress import IPv4Address, IPv4Network
from moorage_agent.network import links as kernel, names, routes
from moorage_agent.network.nft.kernel import Kernel
from moorage_agent.network.rules import base, ruleset

own, nodes, tunnelled, echo = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3] == "tunnel", sys.argv[4]
address, pods = next((each["status"]["addresses"][0]["address"], each["spec"]["podCIDR"])
                     for each in nodes if each["metadata"]["name"] == own)
named, pods = names.names("two nodes", own), IPv4Network(pods)
links = kernel.Links(named.metric)
print("here", flush=True)
while not links.index("underlay") and os.getppid() == parent:
    time.sleep(0.02)
netlink = links._netlink
netlink.addr("add", index=links.index("underlay"), address=address, prefixlen=24)
for name in ("lo", "underlay"):
    netlink.link("set", index=links.index(name), state="up")
kernel.forward()
links.gateway(named.gateway, pods[1], [IPv4Network("10.216.0.0/24")])
ways = routes.ways(nodes, own, [] if tunnelled else links.own_networks())
routes.apply(links, ways, named, address, pods)
reached = tuple(IPv4Network(each["spec"]["podCIDR"]) for each in nodes)
facts = base.Facts(own, named.pods, pods[1], pods, (), reached)
Kernel().load(ruleset.whole(named.table, base.base(facts, [str(pods[2])], [])))
pod = subprocess.Popen(["unshare", "-n", sys.executable, "-c", echo], stdout=subprocess.PIPE)
pod.stdout.readline()
links.connect(named.interface("pod"), pod.pid, str(pods[2]))
print(pod.pid, flush=True)
sys.stdin.read()
pod.kill()
"""


def node(name: str) -> dict[str, Any]:
    address, pods = NODES[name]
    status = {"addresses": [{"type": "InternalIP", "address": address}]}
    return {"metadata": {"name": name}, "spec": {"podCIDR": pods}, "status": status}


@contextmanager
def started(name: str, way: str) -> Iterator[subprocess.Popen[str]]:
    every = json.dumps([node(each) for each in NODES])
    command = ["unshare", "-n", sys.executable, "-c", NODE, name, every, way, ECHO]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()  # the node ends its pod, and then itself


def said(process: subprocess.Popen[str]) -> str:
    """The next line that a node prints, "" where it has ended."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def cable(left: int, right: int) -> None:
    """Connect the namespaces of two processes. Not on the test's own thread: pyroute2 has an event loop of its own."""
    with IPRoute() as netlink:
        peer = {"ifname": "underlay", "net_ns_pid": right}
        netlink.link("add", ifname="underlay", kind="veth", net_ns_pid=left, peer=peer)


@pytest.mark.parametrize("way", ["route", "tunnel"])
async def test_pods_of_two_nodes_reach_each_other_without_translation(way: str) -> None:
    with ExitStack() as stack:
        left, right = (stack.enter_context(started(name, way)) for name in NODES)
        assert {said(left), said(right)} == {"here"}
        await asyncio.to_thread(cable, left.pid, right.pid)
        pods = {"left": said(left), "right": said(right)}
        assert all(pods.values()), "a node did not start"

        def ask(name: str, address: str) -> str:
            inside = ["nsenter", f"--net=/proc/{pods[name]}/ns/net", sys.executable, "-c", ASK, address]
            return subprocess.run(inside, capture_output=True, text=True, check=False, timeout=20).stdout.strip()

        assert await until(lambda: ask("left", PODS["right"]) or None) == PODS["left"]
        assert await until(lambda: ask("right", PODS["left"]) or None) == PODS["right"]
