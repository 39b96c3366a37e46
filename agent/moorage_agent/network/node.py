"""The network of one node's pods, made by the kernel: implements ``moorage_agent.pods.networking.PodNetwork``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from moorage.client.api import ApiClient
from moorage_agent.engine.contract import Container
from moorage_agent.network import forwarding, routes
from moorage_agent.network.addresses import Addresses, Lease, NoAddress
from moorage_agent.network.dns.server import DnsServer
from moorage_agent.network.dns.upstream import RESOLV_CONF, Upstream, servers
from moorage_agent.network.dns.zone import Zone
from moorage_agent.network.following import Cluster, internal_address, pod_networks
from moorage_agent.network.links import PROTOCOL, LinkError, Links, forward
from moorage_agent.network.living import Living
from moorage_agent.network.loader import Loader
from moorage_agent.network.losses import Losses
from moorage_agent.network.names import Names
from moorage_agent.network.rules import base
from moorage_agent.network.rules.base import Facts, HostPort
from moorage_agent.network.rules.policies import OwnPod
from moorage_agent.network.variables import variables
from moorage_agent.pods.networking import NetworkError, Resolver

log = logging.getLogger(__name__)

T = TypeVar("T")
READY_SECONDS = 30.0
"""How long a pod waits for the node's network to be set up before it says so."""
CHECK_SECONDS = 30.0
GATHER_SECONDS = 0.1
"""What is changed or taken away at once is set right at once."""
RULES_SECONDS = 10.0
"""How long a pod that a policy isolates waits for its rules."""
DNS_PORT = 53


class KernelNetwork:
    """Links, addresses, rules, routes and DNS of the node. ``run`` keeps them as the cluster is; pods go on without it."""

    mode = "none"
    lacks = ""

    def __init__(
        self, names: Names, node: str, data: Path, client: ApiClient, server: str, resolv_conf: Path | None = None
    ) -> None:
        self._resolv_conf = resolv_conf or RESOLV_CONF
        self._names = names
        self._node = node
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._links: Links | None = None
        self._addresses = Addresses.load(data / "network" / "pods.json")
        self._cluster = Cluster(client, node, _loopback(server))
        self._loader = Loader(names.table, self._thread, self._cluster.flows)
        self._zone = Zone()
        self._ready = asyncio.Event()
        self._lock = asyncio.Lock()
        """Held while a pod's address is chosen or given back."""
        self._facts: Facts | None = None
        self._living = Living()
        own = (names.gateway, names.tunnel)
        self._losses = Losses(
            lambda name: name in own or any(name == lease.interface for lease in self._addresses.leases.values()),
            lambda name: name in own,
            PROTOCOL,
            self._cluster.changed,
        )

    @property
    def ready(self) -> asyncio.Event:
        """Set once links can be made and rules are loaded."""
        return self._ready

    async def run(self) -> None:
        """Keep everything as the cluster is, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._cluster.run(), name="network informers")
                group.create_task(self._losses.run(), name="network losses")
                await self._cluster.wait_known()
                self._cluster.feed(self._loader, self._zone)
                await self._follow(group)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def recover(self, sandboxes: Sequence[Container]) -> Sequence[str]:
        """Forget the addresses of sandboxes that are gone, and what was left behind of their links. Raises NetworkError."""
        try:
            pids = {each.id: each.pid for each in sandboxes if each.pid}
            for uid, lease in self._addresses.leases.items():
                self._living.note(uid, pids.get(lease.sandbox, 0))
            await self._do(self._restore)  # before links of pods that ended meanwhile are removed: none of them lives
            present = set(await self._do(lambda links: links.starting_with(self._names.pods)))
            linked = {each.sandbox for each in self._addresses.leases.values() if each.interface in present}
            running = [each for each in sandboxes if each.id in linked]
            gone = self._addresses.keep(each.id for each in running)
            self._cluster.keep_pods(self._addresses.leases)
            kept = {lease.interface for lease in self._addresses.leases.values()}
            await self._do(lambda links: _sweep(links, self._names.pods, kept))
            await self._do(lambda _links: self._addresses.save())
        except (LinkError, OSError) as error:
            raise NetworkError(str(error)) from error
        if gone:
            log.info("%d addresses of pods that ended meanwhile are free again", len(gone))
        # What has an address of the engine's is of a time before this network; it works on until it ends.
        return [each.id for each in sandboxes if each.id not in linked and not each.ip]

    async def attach(self, pod: Mapping[str, Any], sandbox: Container) -> None:
        """An address, and a link to it. Raises NetworkError."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            raise NetworkError("the node has no range of pod addresses (spec.podCIDR) yet") from None
        uid = str(pod["metadata"]["uid"])
        known = self._addresses.leases.get(uid)
        if known is not None and known.sandbox == sandbox.id:
            return
        if not sandbox.pid:
            raise NetworkError("the sandbox has ended")
        interface = self._names.interface(uid)
        try:
            async with self._lock:
                address = known.address if known is not None else self._addresses.choose()
                self._addresses.leases[uid] = Lease(address, sandbox.id, interface, _host_ports(pod))
            await self._do(lambda links: self._connect(links, interface, sandbox.pid, address))
        except (LinkError, NoAddress, OSError) as error:
            self._addresses.leases.pop(uid, None)
            raise NetworkError(str(error)) from error
        self._living.note(uid, sandbox.pid)
        self._put_base()
        own = _own_pod(pod, address)
        self._cluster.set_pod(uid, own)
        if self._cluster.is_isolated(own):
            await self._isolated()

    async def _isolated(self) -> None:
        """Return when the kernel has the rules of a pod that was connected just now: it is not run without them."""
        await asyncio.sleep(0)  # the policies are rendered in the loop's next turn
        try:
            async with asyncio.timeout(RULES_SECONDS):
                await self._loader.settled()
        except TimeoutError:
            raise NetworkError("the rules of its network policies could not be loaded yet") from None

    def follow(self, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        """A pod of this node changed: its labels may lead to other policies."""
        if new is not None:
            uid = str(new["metadata"]["uid"])
            lease = self._addresses.leases.get(uid)
            if lease is not None:
                self._cluster.set_pod(uid, _own_pod(new, lease.address))

    async def detach(self, uid: str) -> None:
        """Remove the link and free the address."""
        self._cluster.set_pod(uid, None)
        self._living.drop(uid)
        lease = self._addresses.leases.pop(uid, None)
        if lease is None:
            return
        self._put_base()
        try:
            await self._do(lambda links: links.remove(lease.interface))
            await self._do(lambda _links: self._addresses.save())
        except (LinkError, OSError) as error:
            log.warning("the link of a pod that ended is left behind until the agent starts again: %s", error)

    def address(self, sandbox: Container) -> str:
        """The address of a sandbox, "" while it has none. One from the engine's bridge, of a time before this network, stays."""
        return self._addresses.of_sandbox(sandbox.id) or sandbox.ip

    def resolver(self) -> Resolver:
        """The node's own server."""
        if not self._addresses.pods:
            return Resolver()
        return Resolver((str(self._addresses.gateway()),), self._zone.domain)

    def service_variables(self, namespace: str, links: bool) -> Mapping[str, str]:
        """As ``moorage_agent.network.variables`` has them."""
        return variables(self._cluster.services, namespace, links)

    def _connect(self, links: Links, interface: str, pid: int, address: str) -> None:
        links.connect(interface, pid, address)
        self._addresses.save()

    def _restore(self, links: Links) -> None:
        """Make again what somebody took away of living pods' links."""
        leases = dict(self._addresses.leases)
        gone, broken = links.damaged({lease.interface: lease.address for lease in leases.values()})
        for uid, lease in leases.items():
            pid = self._living.pid(uid)
            if not pid or uid not in self._addresses.leases:
                continue
            if lease.interface in gone:
                log.warning("the link of the pod at %s is gone; making it again", lease.address)
                links.connect(lease.interface, pid, lease.address)
            elif lease.interface in broken:
                log.warning("the link of the pod at %s is down or not routed; repairing it", lease.address)
                links.repair(lease.interface, lease.address)

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        """Set up the node's part, and again when the cluster changes; look now and then whether it is still there."""
        started = False
        while True:
            self._cluster.changed.clear()
            try:
                done = await self._set_up()
            except (LinkError, OSError) as error:
                log.warning("the node's network is not set up: %s; trying again", error)
                done = False
            if done and not started:
                started = True
                group.create_task(self._loader.run(), name="network rules")
                group.create_task(self._serve_names(), name="dns")
                group.create_task(self._cluster.checks.run(), name="health checks of services")
                await self._loader.ready.wait()
                self._ready.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS if done else 2.0):
                    await self._cluster.changed.wait()
                await asyncio.sleep(GATHER_SECONDS)

    async def _set_up(self) -> bool:
        """Whether the node has a range of addresses; then gateway, routes and facts are as they should be."""
        own = self._cluster.own()
        networks = pod_networks(own) if own is not None else []
        if own is None or not networks:
            return False
        pods = networks[0]
        self._addresses.use(pods)
        gateway = pods.network_address + 1
        ranges, nodes = self._cluster.ranges(), list(self._cluster.nodes)
        local = str(internal_address(own) or gateway)
        ways = await self._do(lambda links: self._set_links(links, gateway, ranges, nodes, local, pods))
        await self._do(self._restore)
        direct = {way.router for way in ways if not way.tunnelled} | {IPv4Address(local)}
        beside = self._cluster.beside(IPv4Address(local))
        facts = Facts(
            self._node,
            self._names.pods,
            gateway,
            pods,
            ranges,
            self._cluster.reached(direct),
            self._cluster.zone(),
            frozenset(each["metadata"]["name"] for each in beside),
            tuple(sorted(network for each in beside for network in pod_networks(each))),
            self._names.tunnels,
            tuple(sorted(address for each in nodes if (address := internal_address(each)) is not None)),
        )
        if facts != self._facts:
            self._facts = facts
            self._put_base()
            self._cluster.use(facts)
        return True

    def _set_links(
        self,
        links: Links,
        gateway: IPv4Address,
        ranges: Sequence[IPv4Network],
        nodes: Sequence[Mapping[str, Any]],
        local: str,
        pods: IPv4Network,
    ) -> Sequence[routes.Way]:
        """Make gateway, routes and tunnel; returns the ways to other nodes, those of this machine too."""
        forward()
        links.gateway(self._names.gateway, gateway, ranges)
        near = links.own_networks()
        here = {str(network) for network in near}
        ways = routes.ways(nodes, self._node, near)
        # Another node of this machine has its links beside ours.
        wanted = [way for way in ways if str(way.router) != local and str(way.network) not in here]
        routes.apply(links, wanted, self._names, local, pods)
        forwarding.allow(self._names)
        return ways

    def _put_base(self) -> None:
        if self._facts is not None:
            leases = self._addresses.leases.values()
            ports = [
                HostPort(protocol, port, lease.address, inner, host)
                for lease in leases
                for protocol, port, inner, host in lease.host_ports
            ]
            self._loader.put("base", base.base(self._facts, [lease.address for lease in leases], ports))

    async def _serve_names(self) -> None:
        server = DnsServer(self._zone, Upstream(self._upstream))
        while True:
            address = str(self._addresses.gateway())
            try:
                await server.run(address, DNS_PORT)
            except OSError as error:
                log.warning("names are not answered at %s: %s; trying again", address, error)
                await asyncio.sleep(5.0)

    def _upstream(self) -> Sequence[str]:
        try:
            text = self._resolv_conf.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return ()
        return servers(text, [str(self._addresses.gateway())])

    async def _do(self, work: Callable[[Links], T]) -> T:
        """Run ``work`` on the network's own thread."""

        def run() -> T:
            if self._links is None:
                self._links = Links(self._names.metric)
            return work(self._links)

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)


def _own_pod(pod: Mapping[str, Any], address: str) -> OwnPod:
    metadata = pod["metadata"]
    return OwnPod(str(metadata["namespace"]), address, dict(metadata.get("labels") or {}))


def _sweep(links: Links, prefix: str, kept: set[str]) -> None:
    for name in links.starting_with(prefix):
        if name not in kept:
            links.remove(name)


def _host_ports(pod: Mapping[str, Any]) -> list[tuple[str, int, int, str]]:
    every = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]
    return [
        (port.get("protocol") or "TCP", port["hostPort"], port["containerPort"], port.get("hostIP") or "")
        for container in every
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]


def _loopback(server: str) -> tuple[str, int] | None:
    """Address and port of a server that only this machine reaches."""
    parts = urlsplit(server)
    host, port = parts.hostname or "", parts.port or 443
    if host == "localhost" or host.startswith("127."):
        return ("127.0.0.1" if host == "localhost" else host), port
    return None
