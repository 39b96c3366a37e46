"""Rules, links and names on the real kernel: processes in network namespaces of their own stand in for pods."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from moorage_agent.network import forwarding, loader
from moorage_agent.network.links import PROTOCOL, Links
from moorage_agent.network.losses import Losses
from moorage_agent.network.making import obstacle, remove
from moorage_agent.network.names import names
from moorage_agent.network.nft import expressions as ex
from moorage_agent.network.nft.batch import Batch
from moorage_agent.network.nft.kernel import Kernel
from moorage_agent.network.rules import base, policies, ruleset, services
from tests.support.wait import until

reason = obstacle("unix:///var/run/docker.sock")
pytestmark = pytest.mark.skipif(bool(reason), reason=f"no kernel network here: {reason}")

CLUSTER, NODE = "test-kernel-network", f"n{os.getpid()}"
OWN = names(CLUSTER, NODE)
PODS = IPv4Network("10.213.7.0/24")
SERVICES = IPv4Network("10.214.0.0/24")
FACTS = base.Facts(NODE, OWN.pods, IPv4Address("10.213.7.1"), PODS, (SERVICES,), (PODS,))
ECHO = (
    "import socket,sys\n"
    "s=socket.create_server(('0.0.0.0',8080))\n"
    "while True:\n"
    " c,a=s.accept(); c.sendall((sys.argv[1]+' '+a[0]).encode()); c.close()\n"
)


class Pod:
    """A process in a namespace that answers each connection on port 8080 with its name and the client's address."""

    def __init__(self, links: Links, name: str, address: str) -> None:
        self.name, self.address = name, address
        self.process = subprocess.Popen(["unshare", "-n", sys.executable, "-c", ECHO, name])
        end, mine = time.monotonic() + 10, os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{self.process.pid}/ns/net") == mine:
            assert time.monotonic() < end, "the namespace was not made"
        links.connect(OWN.interface(name), self.process.pid, address)

    def ask(self, address: str, port: int) -> str:
        """What a connection from this pod is answered; "" where there is none."""
        return ask(address, port, ["nsenter", f"--net=/proc/{self.process.pid}/ns/net"])


def ask(address: str, port: int, inside: list[str] | None = None) -> str:
    code = f"import socket;print(socket.create_connection(({address!r},{port}),0.7).makefile().read())"
    done = subprocess.run([*(inside or []), sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def service(**spec: Any) -> dict[str, Any]:
    whole = {"clusterIP": "10.214.0.9", "ports": [{"port": 80, "nodePort": 31999, "protocol": "TCP"}], **spec}
    return {"metadata": {"namespace": "a", "name": "web"}, "spec": whole}


def piece(*pods: Pod) -> dict[str, Any]:
    entries = [{"addresses": [pod.address], "conditions": {"ready": True}, "nodeName": NODE} for pod in pods]
    return {"addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": "TCP"}], "endpoints": entries}


class World:
    """Two pods and what is loaded."""

    def __init__(self) -> None:
        self.links, self.kernel = Links(), Kernel()
        self.links.gateway(OWN.gateway, FACTS.gateway, [SERVICES])
        forwarding.allow(OWN)
        self.one = Pod(self.links, "one", "10.213.7.2")
        self.two = Pod(self.links, "two", "10.213.7.3")
        self.loaded: ruleset.Ruleset | None = None

    def load(self, *parts: ruleset.Ruleset, host_ports: list[base.HostPort] | None = None) -> None:
        ground = base.base(FACTS, [self.one.address, self.two.address], host_ports or [])
        new = ruleset.merged([ground, *parts])
        if self.loaded is None:
            self.kernel.load(ruleset.whole(OWN.table, new))
        else:
            self.kernel.load(ruleset.difference(OWN.table, self.loaded, new))
        self.loaded = new

    def close(self) -> None:
        for pod in (self.one, self.two):
            pod.process.kill()
            pod.process.wait()
        self.links.close()
        self.kernel.close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    try:
        made.load()
        yield made
    finally:
        made.close()
        remove(CLUSTER, NODE)


async def test_pods_reach_each_other_under_their_own_addresses(world: World) -> None:
    assert await until(lambda: world.one.ask("10.213.7.3", 8080) or None) == "two 10.213.7.2"
    assert ask("10.213.7.2", 8080).startswith("one ")


async def test_a_service_spreads_over_its_endpoints(world: World) -> None:
    world.load(services.render(service(), [piece(world.one, world.two)], FACTS))
    answers = {world.one.ask("10.214.0.9", 80).split()[0] for _ in range(16)}
    assert answers == {"one", "two"}
    assert ask("10.214.0.9", 80).split()[0] in ("one", "two")
    node = str(FACTS.gateway)
    assert world.two.ask(node, 31999).split()[0] in ("one", "two")
    assert ask(node, 31999).split()[0] in ("one", "two")


async def test_a_pod_reaches_itself_through_its_service(world: World) -> None:
    world.load(services.render(service(), [piece(world.one)], FACTS))
    assert world.one.ask("10.214.0.9", 80) == "one 10.213.7.1"


async def test_clients_stay_with_their_backend(world: World) -> None:
    sticky = service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 60}})
    world.load(services.render(sticky, [piece(world.one, world.two)], FACTS))
    first = {world.two.ask("10.214.0.9", 80).split()[0] for _ in range(10)}
    assert len(first) == 1
    other = world.one if first == {"two"} else world.two
    world.load(services.render(sticky, [piece(other)], FACTS))
    assert world.two.ask("10.214.0.9", 80).split()[0] == other.name


async def test_without_endpoints_connections_are_refused_at_once(world: World) -> None:
    world.load(services.render(service(), [], FACTS))
    started = time.monotonic()
    assert world.one.ask("10.214.0.9", 80) == ""
    assert world.one.ask(str(FACTS.gateway), 31999) == ""
    assert time.monotonic() - started < 1.2


async def test_a_host_port_leads_to_its_pod(world: World) -> None:
    world.load(host_ports=[base.HostPort("TCP", 31998, world.one.address, 8080)])
    assert ask(str(FACTS.gateway), 31998).split()[0] == "one"
    assert ask("127.0.0.1", 31998).split()[0] == "one"


async def test_a_policy_lets_in_what_it_names(world: World) -> None:
    def policy(*allowed: str) -> dict[str, Any]:
        rule = {"addresses": list(allowed), "ports": [{"protocol": "TCP", "port": 8080}]}
        target = {"address": world.two.address, "node": NODE}
        spec = {"isolatesIngress": True, "targets": [target], "ingress": [rule]}
        return {"metadata": {"namespace": "a", "name": "p"}, "spec": spec}

    world.load(policies.render([policy("10.213.7.77")], NODE))
    assert world.one.ask(world.two.address, 8080) == ""
    assert ask(world.two.address, 8080).split()[0] == "two"
    world.load(policies.render([policy(world.one.address)], NODE))
    assert world.one.ask(world.two.address, 8080).split()[0] == "two"
    world.load()
    assert world.one.ask(world.two.address, 8080).split()[0] == "two"


async def test_a_policy_keeps_a_pod_from_going_out(world: World) -> None:
    target = {"address": world.one.address, "node": NODE}
    closed = {"metadata": {"namespace": "a", "name": "p"}, "spec": {"isolatesEgress": True, "targets": [target]}}
    world.load(policies.render([closed], NODE))
    assert world.one.ask(world.two.address, 8080) == ""
    assert world.two.ask(world.one.address, 8080).split()[0] == "one"
    world.load()


def test_the_thread_of_the_network_can_load(world: World) -> None:
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(world.kernel.has_table, OWN.table).result()


def test_only_what_is_the_nodes_own_is_removed(world: World) -> None:
    other = names(CLUSTER, f"{NODE}-other")
    links, kernel = Links(other.metric), Kernel()
    try:
        links.gateway(other.gateway, IPv4Address("10.213.8.1"), [])
        kernel.load(ruleset.whole(other.table, ruleset.Ruleset()))
        forwarding.allow(other)
        remove(CLUSTER, f"{NODE}-other")
        assert not links.index(other.gateway)
        assert not kernel.has_table(other.table)
        assert links.index(OWN.gateway)
        assert kernel.has_table(OWN.table)
        if shutil.which("iptables"):
            listed = subprocess.run(["iptables", "-S", "FORWARD"], capture_output=True, text=True, check=False).stdout
            assert other.table not in listed
        remove(CLUSTER, f"{NODE}-other")  # and nothing where there is nothing
    finally:
        links.close()
        kernel.close()


async def test_what_is_taken_away_is_noticed() -> None:
    own, noticed = names(CLUSTER, f"{NODE}-losing"), asyncio.Event()
    losses = Losses(lambda name: name.startswith(own.pods[:6]), lambda name: name == own.gateway, PROTOCOL, noticed)
    listening = asyncio.create_task(losses.run())

    async def takes(work: Callable[[Links], None]) -> None:
        await asyncio.to_thread(_with_links, own.metric, work)

    try:
        await takes(
            lambda links: links.gateway(own.gateway, IPv4Address("10.213.9.1"), [IPv4Network("10.213.10.0/24")])
        )
        for harm in (
            ["link", "set", own.gateway, "down"],
            ["addr", "del", "10.213.9.1/32", "dev", own.gateway],
            ["route", "del", "10.213.10.0/24"],
            ["link", "del", own.gateway],
        ):
            noticed.clear()
            await takes(
                lambda links: links.gateway(own.gateway, IPv4Address("10.213.9.1"), [IPv4Network("10.213.10.0/24")])
            )
            noticed.clear()
            await asyncio.to_thread(subprocess.run, ["ip", *harm], check=True)
            await until(noticed.is_set)
    finally:
        listening.cancel()
        await asyncio.to_thread(remove, CLUSTER, f"{NODE}-losing")


def _with_links(metric: int, work: Callable[[Links], None]) -> None:
    links = Links(metric)
    try:
        work(links)
    finally:
        links.close()


async def test_a_table_that_somebody_changed_is_loaded_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "CHECK_SECONDS", 0.1)
    table = f"{OWN.table}-watched"
    with ThreadPoolExecutor(1) as thread:
        watched = loader.Loader(table, thread)
        watched.put("one", base.base(FACTS, ["10.213.7.2"], []))
        watched.put("two", services.render(service(), [piece(world.one)], FACTS))
        running = asyncio.create_task(watched.run())
        try:
            await watched.ready.wait()
            rules, entries = world.kernel.rules(table), world.kernel.elements(table, base.SERVICE_IPS)
            assert rules > 20
            assert entries == 1

            def restored() -> bool:
                return (world.kernel.rules(table), world.kernel.elements(table, base.SERVICE_IPS)) == (rules, entries)

            harms: list[Callable[[Batch], None]] = [
                lambda batch: batch.delete_table(),
                lambda batch: batch.flush_chain(base.SERVICES),
                lambda batch: batch.flush_set(base.SERVICE_IPS),
                lambda batch: batch.add_rule(base.SERVICES, (ex.verdict(ex.DROP),)),
            ]
            for harm in harms:
                batch = Batch(table)
                harm(batch)
                world.kernel.load(batch)
                assert not restored()
                await until(restored)
            await watched.settled()
            quiet = watched.loads
            watched.put("two", None)
            await until(lambda: world.kernel.elements(table, base.SERVICE_IPS) == 0)
            assert watched.loads == quiet + 1
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            batch = Batch(table)
            batch.delete_table()
            world.kernel.load(batch)
