"""Interfaces, addresses and routes, through pyroute2. Blocking: called from the network's own thread.

A pod has a veth pair and a /32 address: everything that it sends passes the node's routing, so that rules see pods of one
node talking to each other too, whether or not bridges are filtered. Neighbours are written down: no ARP is needed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from moorage_agent.network.rules.base import VXLAN_PORT
from moorage_agent.visiting import network_of

NEXT_HOP = "169.254.1.1"
"""What pods route to; the other end of their link answers for it by its written-down neighbour."""
NUD_PERMANENT, NTF_SELF = 0x80, 0x02
AF_BRIDGE = 7
SCOPE_LINK = 253
PROTOCOL = 129
"""Marks our routes (a number of rt_protos that nobody has)."""
VXLAN_OVERHEAD = 50
"""Bytes of the headers around each packet (RFC 7348)."""


class LinkError(Exception):
    """The kernel refused; the text says what."""


def hardware(text: str) -> str:
    """A local MAC address that follows from ``text``."""
    digest = hashlib.sha256(text.encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x0A, 0x58, *digest[:4]))


class Links:
    """The interfaces of the network namespace that the calling thread is in. ``metric`` marks our routes among those of other
    installations.
    """

    def __init__(self, metric: int = 0) -> None:
        self._netlink = IPRoute()
        self._metric = metric

    def close(self) -> None:
        """Let go of the socket."""
        self._netlink.close()

    def index(self, name: str) -> int:
        """The interface's number; 0 where there is none."""
        found = self._netlink.link_lookup(ifname=name)
        return int(found[0]) if found else 0

    def starting_with(self, prefix: str) -> list[str]:
        """Names of interfaces."""
        names = (link.get_attr("IFLA_IFNAME") for link in self._netlink.get_links())
        return [name for name in names if name and name.startswith(prefix)]

    def gateway(self, name: str, address: IPv4Address, services: Iterable[IPv4Network]) -> None:
        """The interface that has the node's address among its pods; ranges of Services are routed to it, for the node's own
        programs: rules translate before anything leaves by it.
        """
        with _explained(f"making {name}"):
            number = self.index(name)
            if not number:
                self._netlink.link("add", ifname=name, kind="bridge")
                number = self.index(name)
            self._netlink.link("set", index=number, state="up")
            present = {each.get_attr("IFA_ADDRESS") for each in self._netlink.get_addr(index=number, family=2)}
            for old in present - {str(address)}:
                self._netlink.addr("del", index=number, address=old, prefixlen=32)
            if str(address) not in present:
                self._netlink.addr("add", index=number, address=str(address), prefixlen=32)
            for network in services:
                self._netlink.route(
                    "replace",
                    dst=str(network),
                    oif=number,
                    scope=SCOPE_LINK,
                    prefsrc=str(address),
                    proto=PROTOCOL,
                    priority=self._metric,  # another node of the cluster on this machine has its own
                )
        _write(f"/proc/sys/net/ipv4/conf/{name}/route_localnet", "1")

    def address_of(self, name: str) -> IPv4Address | None:
        """The address of an interface; None where there is none."""
        number = self.index(name)
        return next((IPv4Address(each) for each in self._addresses_of(number)), None) if number else None

    def connect(self, name: str, pid: int, address: str) -> None:
        """A link from the node to the namespace of process ``pid``, which gets ``address``."""
        self.remove(name)
        outer, inner = hardware(f"{name} node"), hardware(f"{name} pod")
        with _explained(f"connecting {address}"):
            peer = {"ifname": "eth0", "net_ns_pid": pid, "address": inner}
            self._netlink.link("add", ifname=name, kind="veth", address=outer, peer=peer)
            number = self.index(name)
            _write(f"/proc/sys/net/ipv4/conf/{name}/route_localnet", "1")
            _write(f"/proc/sys/net/ipv4/conf/{name}/rp_filter", "0")
            # A pod's router advertisements must not become the node's routes (CVE-2020-10749).
            _write(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "1")
            with contextlib.closing(_netlink_within(pid)) as pod:
                _configure(pod, address, outer)
            self._netlink.link("set", index=number, state="up")
            self._netlink.neigh("replace", dst=address, lladdr=inner, ifindex=number, state=NUD_PERMANENT)
            self._netlink.route("replace", dst=f"{address}/32", oif=number, scope=SCOPE_LINK, proto=PROTOCOL)

    def damaged(self, wanted: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Pods' interfaces that are gone, and those that are down, or not routed or known as a neighbour any more; ``wanted`` are
        the addresses of all by interface.
        """
        present = {str(link.get_attr("IFLA_IFNAME")): link for link in self._netlink.get_links()}
        routed = {
            (route.get_attr("RTA_OIF"), route.get_attr("RTA_DST"))
            for route in self._netlink.get_routes(family=2, table=254)
            if route["proto"] == PROTOCOL
        }
        known = {(each["ifindex"], each.get_attr("NDA_DST")) for each in self._netlink.get_neighbours(family=2)}
        gone = [name for name in wanted if name not in present]
        broken = []
        for name, address in wanted.items():
            link = present.get(name)
            if link is not None:
                key = (link["index"], address)
                if not (link["flags"] & 1 and key in routed and key in known):
                    broken.append(name)
        return gone, broken

    def repair(self, name: str, address: str) -> None:
        """Bring a pod's interface up, and lead its address there."""
        number = self.index(name)
        if number:
            with _explained(f"repairing {name}", errno.ENODEV):
                self._netlink.link("set", index=number, state="up")
                inner = hardware(f"{name} pod")
                self._netlink.neigh("replace", dst=address, lladdr=inner, ifindex=number, state=NUD_PERMANENT)
                self._netlink.route("replace", dst=f"{address}/32", oif=number, scope=SCOPE_LINK, proto=PROTOCOL)

    def remove(self, name: str) -> None:
        """Remove an interface, with its other end; nothing where there is none."""
        number = self.index(name)
        if number:
            with _explained(f"removing {name}", errno.ENODEV):
                self._netlink.link("del", index=number)

    def own_networks(self) -> list[IPv4Network]:
        """Networks that are reached without a router."""
        found = []
        for route in self._netlink.get_routes(family=2, table=254):
            target = route.get_attr("RTA_DST")
            if target and not route.get_attr("RTA_GATEWAY"):
                found.append(IPv4Network(f"{target}/{route['dst_len']}"))
        return found

    def routes(self) -> dict[str, tuple[str, int]]:
        """Our routes to other nodes: (router, interface) by network."""
        found = {}
        for route in self._netlink.get_routes(family=2, table=254):
            router = route.get_attr("RTA_GATEWAY")
            if route["proto"] == PROTOCOL and router and route.get_attr("RTA_PRIORITY") == self._metric:
                network = f"{route.get_attr('RTA_DST')}/{route['dst_len']}"
                found[network] = (str(router), int(route.get_attr("RTA_OIF")))
        return found

    def set_route(self, network: str, router: str, interface: int = 0) -> None:
        """Reach ``network`` through ``router``; with ``interface``, through the tunnel that it is."""
        more: dict[str, Any] = {"oif": interface, "flags": 4} if interface else {}  # RTNH_F_ONLINK
        with _explained(f"routing {network} through {router}"):
            self._netlink.route("replace", dst=network, gateway=router, proto=PROTOCOL, priority=self._metric, **more)

    def drop_route(self, network: str) -> None:
        """Take a route away."""
        with _explained(f"removing the route to {network}", errno.ESRCH):
            self._netlink.route("del", dst=network, proto=PROTOCOL, priority=self._metric)

    def tunnel(self, name: str, identity: int, local: str, address: IPv4Network) -> int:
        """The VXLAN interface; its number. ``identity`` is the same on all nodes."""
        with _explained(f"making the tunnel {name}"):
            number = self.index(name)
            if number and self._local_of(number) != local:
                self._netlink.link("del", index=number)  # this machine has another address than when it was made
                number = 0
            if not number:
                with contextlib.suppress(FileExistsError):  # another node of this machine made it meanwhile
                    self._make_tunnel(name, identity, local)
                number = self.index(name)
            own = str(address.network_address)
            if own not in self._addresses_of(number):
                self._netlink.addr("add", index=number, address=own, prefixlen=32)
            self._netlink.link("set", index=number, state="up")
            return number

    def leave_tunnel(self, name: str, address: str) -> None:
        """Take a node's address off the tunnel; the last one's takes the tunnel with it. Nothing where there is none."""
        number = self.index(name)
        if not number:
            return
        with _explained(f"leaving the tunnel {name}", errno.ENODEV, errno.EADDRNOTAVAIL):
            others = self._addresses_of(number) - {address}
            if address and others:
                self._netlink.addr("del", index=number, address=address, prefixlen=32)
            elif not others:
                self._netlink.link("del", index=number)

    def _make_tunnel(self, name: str, identity: int, local: str) -> None:
        try:
            self._netlink.link(
                "add",
                ifname=name,
                kind="vxlan",
                vxlan_id=identity,
                vxlan_port=VXLAN_PORT,
                vxlan_local=local,
                vxlan_learning=False,
                address=hardware(f"vxlan {local}"),
                mtu=self._mtu_of(local) - VXLAN_OVERHEAD,
            )
        except NetlinkError as error:
            raise (FileExistsError(name) if error.code == errno.EEXIST else error) from error

    def _addresses_of(self, number: int) -> set[str]:
        return {str(each.get_attr("IFA_ADDRESS")) for each in self._netlink.get_addr(index=number, family=2)}

    def _local_of(self, number: int) -> str:
        """The address that a tunnel sends from."""
        (link,) = self._netlink.get_links(number)
        return str(link.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA", "IFLA_VXLAN_LOCAL") or "")

    def _mtu_of(self, address: str) -> int:
        """The MTU of the interface that has an address."""
        for each in self._netlink.get_addr(family=2, address=address):
            (link,) = self._netlink.get_links(each["index"])
            return int(link.get_attr("IFLA_MTU"))
        return 1500

    def peer(self, number: int, node: str, network: IPv4Network) -> str:
        """Tell the tunnel where a node's end of it is; returns the router's address there."""
        router, lladdr = str(network.network_address), hardware(f"vxlan {node}")
        with _explained(f"reaching {node} through the tunnel"):
            self._netlink.neigh("replace", dst=router, lladdr=lladdr, ifindex=number, state=NUD_PERMANENT)
            self._netlink.fdb("replace", ifindex=number, lladdr=lladdr, dst=node, state=NUD_PERMANENT, flags=NTF_SELF)
        return router

    def keep_peers(self, number: int, wanted: Mapping[str, str]) -> None:
        """Forget all ends of the tunnel but those of ``wanted``: nodes by the router's address there."""
        with _explained("forgetting nodes that are gone", errno.ENOENT, errno.ENODEV):
            for each in self._netlink.get_neighbours(family=2, ifindex=number):
                router = str(each.get_attr("NDA_DST"))
                if each["state"] & NUD_PERMANENT and router not in wanted:
                    self._netlink.neigh("del", dst=router, ifindex=number)
            nodes = set(wanted.values())
            for each in self._netlink.get_neighbours(family=AF_BRIDGE, ifindex=number):
                node, lladdr = each.get_attr("NDA_DST"), each.get_attr("NDA_LLADDR")
                if node and str(node) not in nodes:
                    self._netlink.fdb("del", ifindex=number, lladdr=lladdr, dst=str(node), flags=NTF_SELF)


def _netlink_within(pid: int) -> IPRoute:
    """A netlink socket in the network of process ``pid``."""
    with network_of(pid):
        return IPRoute()


def _configure(pod: IPRoute, address: str, outer: str) -> None:
    """The pod's side of its link."""
    number, loopback = pod.link_lookup(ifname="eth0")[0], pod.link_lookup(ifname="lo")[0]
    pod.link("set", index=loopback, state="up")
    pod.link("set", index=number, state="up")
    pod.addr("add", index=number, address=address, prefixlen=32)
    pod.route("add", dst=f"{NEXT_HOP}/32", oif=number, scope=SCOPE_LINK)
    pod.neigh("add", dst=NEXT_HOP, lladdr=outer, ifindex=number, state=NUD_PERMANENT)
    pod.route("add", dst="0.0.0.0/0", gateway=NEXT_HOP, oif=number)


def forward() -> None:
    """Let this machine route. Raises LinkError."""
    path = "/proc/sys/net/ipv4/ip_forward"
    if Path(path).read_text("ascii").strip() != "1":
        try:
            Path(path).write_text("1", "ascii")
        except OSError as error:
            raise LinkError(f"{path} cannot be set: {error.strerror}") from None


def _write(path: str, value: str) -> None:
    """Set a sysctl where that is allowed; without it, pods do not reach an API server that listens on a loopback address."""
    with contextlib.suppress(OSError):
        Path(path).write_text(value, "ascii")


@contextlib.contextmanager
def _explained(what: str, *fine: int) -> Any:
    try:
        yield
    except NetlinkError as error:
        if error.code not in fine:
            raise LinkError(f"{what}: {os.strerror(error.code)}") from error
    except (OSError, IndexError) as error:
        raise LinkError(f"{what}: {error}") from error
