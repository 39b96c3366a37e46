"""A bridge of the machine to which the nodes apart of one cluster are connected, each by a link into its own network. Blocking.

The name of a link says the node's address, and the kernel refuses a second link of one name: so two nodes never get the same.
Networks are of 198.18.0.0/15, which is routed nowhere (RFC 2544).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import NamedTuple

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from moorage_agent.network import forwarding, links
from moorage_agent.network.names import Names
from moorage_agent.network.nft import batch as nft
from moorage_agent.network.nft import expressions as ex
from moorage_agent.network.nft.kernel import Kernel
from moorage_agent.network.rules import ruleset
from moorage_agent.network.rules.ruleset import BaseChain, Ruleset
from moorage_agent.visiting import network, new_network

POOL = IPv4Network("198.18.0.0/15")
PREFIX = 24
FIRST, LAST = 2, 254
"""Offsets of the nodes' addresses; the one before is the machine's."""
LOCK = Path("/run/moorage/underlay.lock")


class UnderlayError(Exception):
    """The node cannot be connected; the text says why."""


class Place(NamedTuple):
    """Where a node is: its link on the bridge of ``mark``, its address, and the machine's."""

    mark: str
    link: str
    address: IPv4Address
    machine: IPv4Address


def mark(cluster: str) -> str:
    """How the names of everything here begin, for one cluster."""
    return f"m{hashlib.sha256(f'underlay {cluster}'.encode()).hexdigest()[:5]}u"


def join(cluster: str, last: int = 0) -> tuple[int, Place]:
    """A new network with a link to the cluster's bridge; ``last`` is the offset of the address that the node had before.

    Returns the network's descriptor too. Raises UnderlayError, OSError.
    """
    own = mark(cluster)
    there = new_network()
    try:
        with _alone(), contextlib.closing(IPRoute()) as netlink, _explained("connecting the node"):
            net = _bridge(netlink, own)
            place = _link(netlink, own, net, there, last)
            _configure(there, place)
            _open(own, net)
    except BaseException:
        os.close(there)
        raise
    return there, place


def leave(own: str, link: str) -> None:
    """Remove a node's link; after the last one the bridge and its rules. Nothing where there is nothing. Raises OSError."""
    with _alone(), contextlib.closing(IPRoute()) as netlink:
        _remove(netlink, link)
        if any(name.startswith(own) and name != own for name in _names(netlink)):
            return
        _remove(netlink, own)
        forwarding.forbid(_named(own))
        _drop_table(_named(own).table)


def offset(place: Place) -> int:
    """What ``join`` wants to know of a node that comes back."""
    return int(place.address) - int(place.machine) + 1


def _bridge(netlink: IPRoute, own: str) -> IPv4Network:
    """The cluster's bridge, made where it is not there; returns its network."""
    found = netlink.link_lookup(ifname=own)
    if found:
        for each in netlink.get_addr(index=found[0], family=2):
            return IPv4Network(f"{each.get_attr('IFA_ADDRESS')}/{each['prefixlen']}", strict=False)
    else:
        netlink.link("add", ifname=own, kind="bridge")
        found = netlink.link_lookup(ifname=own)
    net = _free(netlink, own)
    netlink.addr("add", index=found[0], address=str(net.network_address + 1), prefixlen=PREFIX)
    netlink.link("set", index=found[0], state="up")
    links.forward()
    return net


def _free(netlink: IPRoute, own: str) -> IPv4Network:
    taken = [
        IPv4Network(f"{route.get_attr('RTA_DST')}/{route['dst_len']}")
        for route in netlink.get_routes(family=2)
        if route.get_attr("RTA_DST")
    ]
    every = list(POOL.subnets(new_prefix=PREFIX))
    start = int(own[1:-1], 16) % len(every)
    for net in (*every[start:], *every[:start]):
        if not any(net.overlaps(each) for each in taken):
            return net
    raise UnderlayError(f"every network of {POOL} has a route on this machine")


def _link(netlink: IPRoute, own: str, net: IPv4Network, there: int, last: int) -> Place:
    machine = net.network_address + 1
    for number in (last, *range(FIRST, LAST + 1)):
        if not FIRST <= number <= LAST:
            continue
        name = f"{own}{number:02x}"
        try:
            netlink.link("add", ifname=name, kind="veth", peer={"ifname": "eth0", "net_ns_fd": there})
        except NetlinkError as error:
            if error.code == errno.EEXIST:
                continue
            raise
        index, bridge = netlink.link_lookup(ifname=name)[0], netlink.link_lookup(ifname=own)[0]
        netlink.link("set", index=index, master=bridge, state="up")
        return Place(own, name, net.network_address + number, machine)
    raise UnderlayError(f"all addresses of {net} are taken by other nodes")


def _configure(there: int, place: Place) -> None:
    """The node's side of its link."""
    with network(there):
        netlink = IPRoute()
    with contextlib.closing(netlink):
        for name in ("lo", "eth0"):
            netlink.link("set", index=netlink.link_lookup(ifname=name)[0], state="up")
        index = netlink.link_lookup(ifname="eth0")[0]
        netlink.addr("add", index=index, address=str(place.address), prefixlen=PREFIX)
        netlink.route("add", dst="0.0.0.0/0", gateway=str(place.machine), oif=index)


def _open(own: str, net: IPv4Network) -> None:
    """Let the nodes reach what the machine reaches, under the machine's address."""
    forwarding.allow(_named(own))
    rules = Ruleset()
    rules.bases["out"] = BaseChain("nat", nft.POSTROUTING, 100)
    outwards = ex.output_is(own, operation=ex.NOT_EQUAL)
    rules.chains["out"] = ((*ex.in_network(net, of_source=True), *outwards, ex.masquerade()),)
    kernel = Kernel()
    try:
        kernel.load(ruleset.whole(_named(own).table, rules))
    finally:
        kernel.close()


def _drop_table(table: str) -> None:
    kernel = Kernel()
    try:
        if kernel.has_table(table):
            batch = nft.Batch(table)
            batch.delete_table()
            kernel.load(batch)
    finally:
        kernel.close()


def _named(own: str) -> Names:
    """The names under which the rules are, for those who make and remove them."""
    return Names(f"moorage-{own[1:]}", own, "", "", 0, 0)


def _names(netlink: IPRoute) -> list[str]:
    return [str(link.get_attr("IFLA_IFNAME")) for link in netlink.get_links()]


def _remove(netlink: IPRoute, name: str) -> None:
    for index in netlink.link_lookup(ifname=name) if name else ():
        try:
            netlink.link("del", index=index)
        except NetlinkError as error:
            if error.code != errno.ENODEV:
                raise OSError(error.code, f"removing {name}: {os.strerror(error.code)}") from error


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One at a time on this machine."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        raise UnderlayError(f"{what}: {os.strerror(error.code)}") from error
    except links.LinkError as error:
        raise UnderlayError(str(error)) from error
