"""Ways to the pods of other nodes: routes where they are on our own network, else a VXLAN tunnel. Deciding is pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any, NamedTuple

from moorage_agent.network.following import internal_address, pod_networks
from moorage_agent.network.links import Links
from moorage_agent.network.names import Names


class Way(NamedTuple):
    """How to reach a network of pods: through ``router``, or through the tunnel to that node."""

    network: IPv4Network
    router: IPv4Address
    tunnelled: bool


def ways(nodes: Iterable[Mapping[str, Any]], own: str, near: Sequence[IPv4Network]) -> list[Way]:
    """One way to each network of another node. ``near`` are the networks that are reached without a router.

    A route needs both nodes' addresses in one of them: the other node then comes to the same answer, and neither sends into a
    tunnel whose other end was not made.
    """
    every = list(nodes)
    found = []
    self = next((node for node in every if node["metadata"]["name"] == own), None)
    mine = {str(network) for network in pod_networks(self)} if self is not None else set()
    local = internal_address(self) if self is not None else None
    for node in every:
        address = internal_address(node)
        if node["metadata"]["name"] == own or address is None:
            continue
        direct = local is not None and any(address in each and local in each for each in near if each.prefixlen)
        found += [Way(each, address, not direct) for each in pod_networks(node) if str(each) not in mine]
    return sorted(found)


def apply(links: Links, wanted: Sequence[Way], names: Names, local: str, pods: IPv4Network) -> None:
    """Make the kernel's routes so. Blocking. Raises LinkError."""
    present = links.routes()
    number = 0
    for way in wanted:
        if way.tunnelled:
            number = number or links.tunnel(names.tunnel, names.tunnels, local, pods)
            router = links.peer(number, str(way.router), way.network)
            if present.get(str(way.network)) != (router, number):
                links.set_route(str(way.network), router, number)
        elif present.get(str(way.network), ("", 0))[0] != str(way.router):
            links.set_route(str(way.network), str(way.router))
    for network in set(present) - {str(way.network) for way in wanted}:
        links.drop_route(network)
    number = number or links.index(names.tunnel)
    if number:
        links.keep_peers(number, {str(way.network.network_address): str(way.router) for way in wanted if way.tunnelled})
