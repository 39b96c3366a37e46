"""Choosing ranges for nodes. Pure. Source: Kubernetes' ``pkg/controller/nodeipam/ipam/cidrset``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, ip_network
from typing import Any

NODE_PREFIX = 24
"""Length of a node's range: 254 addresses, for the 110 pods of a node and those that end meanwhile."""


class Exhausted(Exception):
    """Every range of the cluster's network is taken."""


def choose(nodes: Iterable[Mapping[str, Any]], cluster: IPv4Network, prefix: int = NODE_PREFIX) -> dict[str, str]:
    """A free range for each node that has none, by the node's name; older nodes first. Raises Exhausted."""
    taken: list[IPv4Network] = []
    waiting: list[tuple[str, str]] = []
    for node in nodes:
        metadata, spec = node["metadata"], node.get("spec") or {}
        given = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
        if given:
            networks = (ip_network(text, strict=False) for text in given)
            taken += [network for network in networks if isinstance(network, IPv4Network)]
        elif not metadata.get("deletionTimestamp"):
            waiting.append((metadata.get("creationTimestamp") or "", metadata["name"]))
    if not waiting:
        return {}
    free = (each for each in cluster.subnets(new_prefix=max(prefix, cluster.prefixlen)) if not _meets(each, taken))
    found: dict[str, str] = {}
    for _, name in sorted(waiting):
        network = next(free, None)
        if network is None:
            raise Exhausted(f"no range of {cluster} is left for node {name}; every /{prefix} of it is taken")
        found[name] = str(network)
    return found


def _meets(network: IPv4Network, others: Iterable[IPv4Network]) -> bool:
    return any(network.overlaps(other) for other in others)
