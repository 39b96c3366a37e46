"""One Service's part of the table. Source: KEP-3866 (kube-proxy with nftables), KEP-1669 (terminating endpoints), KEP-2086.

For each port there is a chain that picks an endpoint, and entries in the maps that lead to it. Endpoints are data of a map, not
chains of their own: a Service costs the same few rules whatever the number of its pods.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from ipaddress import IPv4Network, ip_network
from typing import Any, NamedTuple

from moorage_agent.network.conntrack import Point
from moorage_agent.network.health import Check
from moorage_agent.network.nft import batch as nft
from moorage_agent.network.nft import expressions as ex
from moorage_agent.network.nft.batch import Element, address_data
from moorage_agent.network.nft.expressions import word
from moorage_agent.network.rules import base
from moorage_agent.network.rules.base import MASQUERADE
from moorage_agent.network.rules.ruleset import Rule, Ruleset, SetSpec

Document = Mapping[str, Any]
_PROTOCOLS = ("TCP", "UDP", "SCTP")


class Backend(NamedTuple):
    """Where a connection may go."""

    address: str
    port: int


class Choice(NamedTuple):
    """Backends of a port: of all nodes, of this one, and of all nodes that share this one's ports."""

    everywhere: tuple[Backend, ...]
    here: tuple[Backend, ...]
    outside: tuple[Backend, ...]


class Hints(NamedTuple):
    """Whom an endpoint is meant for first. Source: discovery.k8s.io/v1, ``EndpointHints``."""

    nodes: frozenset[str]
    zones: frozenset[str]


def preferred(ready: Mapping[Backend, Hints], node: str, zone: str) -> tuple[Backend, ...]:
    """The ready endpoints that a node should use: those meant for itself, else for its zone, where every endpoint has hints and
    one is meant so; else all. Source: kube-proxy's ``topologyModeFromHints`` (KEP-2433, KEP-3015).
    """
    for own, each in ((node, 0), (zone, 1)):
        chosen = tuple(backend for backend, hints in ready.items() if own in hints[each])
        if own and chosen and all(hints[each] for hints in ready.values()):
            return chosen
    return tuple(ready)


def _hints(endpoint: Document) -> Hints:
    given = endpoint.get("hints") or {}
    return Hints(
        frozenset(each["name"] for each in given.get("forNodes") or ()),
        frozenset(each["name"] for each in given.get("forZones") or ()),
    )


def backends(
    port_name: str, pieces: Iterable[Document], node: str, zone: str = "", beside: frozenset[str] = frozenset()
) -> Choice:
    """The endpoints to use for a port: the ready ones, else those that still serve while they end."""
    ready: dict[Backend, str] = {}
    hints: dict[Backend, Hints] = {}
    ending: dict[Backend, str] = {}
    for piece in pieces:
        if piece.get("addressType") != "IPv4":
            continue
        number = next(
            (port["port"] for port in piece.get("ports") or () if (port.get("name") or "") == port_name), None
        )
        if number is None:
            continue
        for endpoint in piece.get("endpoints") or ():
            conditions = endpoint.get("conditions") or {}
            backend, where = Backend(endpoint["addresses"][0], number), endpoint.get("nodeName") or ""
            if conditions.get("ready", True):
                ready[backend], hints[backend] = where, _hints(endpoint)
            elif conditions.get("serving") and conditions.get("terminating"):
                ending[backend] = where

    def on(nodes: frozenset[str]) -> tuple[Backend, ...]:
        found = [one for one, where in ready.items() if where in nodes]
        return tuple(sorted(found or [one for one, where in ending.items() if where in nodes]))

    own = frozenset((node,))
    return Choice(tuple(sorted(preferred(hints, node, zone) or ending)), on(own), on(own | beside))


def render(service: Document, pieces: Sequence[Document], facts: base.Facts) -> Ruleset:
    """The Service's chains, sets and entries."""
    result = Ruleset()
    spec, metadata = service["spec"], service["metadata"]
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") in (None, "", "None"):
        return result
    for port in spec.get("ports") or ():
        protocol = port.get("protocol") or "TCP"
        if protocol in _PROTOCOLS:
            text = f"{metadata['namespace']}/{metadata['name']}/{port.get('name') or ''}/{protocol}"
            identity = hashlib.sha256(text.encode()).hexdigest()[:12]
            choice = _choice(port, pieces, facts)
            _Port(service, port, protocol, identity, choice, facts).render(result)
    return result


def _choice(port: Document, pieces: Iterable[Document], facts: base.Facts) -> Choice:
    return backends(port.get("name") or "", pieces, facts.node, facts.zone, facts.beside)


def targets(service: Document, pieces: Sequence[Document], facts: base.Facts) -> dict[Point, frozenset[Point]]:
    """Where UDP flows to the Service's addresses and node ports may lead."""
    found: dict[Point, frozenset[Point]] = {}
    spec = service["spec"]
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") in (None, "", "None"):
        return found
    for port in spec.get("ports") or ():
        if port.get("protocol") != "UDP":
            continue
        choice = _choice(port, pieces, facts)
        allowed: frozenset[Point] = frozenset((*choice.everywhere, *choice.here, *choice.outside))
        for address in (*_own_addresses(spec), *_outside_addresses(service)):
            found[address, int(port["port"])] = allowed
        if port.get("nodePort"):
            found["", int(port["nodePort"])] = allowed
    return found


def health(service: Document, pieces: Iterable[Document], nodes: Container[str]) -> Check | None:
    """What the Service's ``healthCheckNodePort`` answers where these nodes are; None where it has none."""
    spec, metadata = service["spec"], service["metadata"]
    port = int(spec.get("healthCheckNodePort") or 0)
    if spec.get("type") != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local" or not port:
        return None
    local = {
        endpoint["addresses"][0]
        for piece in pieces
        for endpoint in piece.get("endpoints") or ()
        if endpoint.get("nodeName") in nodes and (endpoint.get("conditions") or {}).get("ready", True)
    }
    return Check(metadata["namespace"], metadata["name"], port, len(local))


def _own_addresses(spec: Document) -> list[str]:
    given: Sequence[str] = spec.get("clusterIPs") or [spec["clusterIP"]]
    return [each for each in given if ":" not in each]


def _outside_addresses(service: Document) -> list[str]:
    """External addresses, and those of the load balancer where packets keep them as their destination."""
    points = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    balanced = [each["ip"] for each in points if each.get("ip") and each.get("ipMode", "VIP") == "VIP"]
    every = [*(service["spec"].get("externalIPs") or ()), *balanced]
    return [each for each in dict.fromkeys(every) if ":" not in each]


class _Port:
    """One port of a Service."""

    def __init__(
        self, service: Document, port: Document, protocol: str, identity: str, choice: Choice, facts: base.Facts
    ) -> None:
        self._service = service
        self._spec: Document = service["spec"]
        self._port = port
        self._protocol = protocol
        self._id = identity
        self._choice = choice
        self._facts = facts
        affinity = self._spec.get("sessionAffinity") == "ClientIP"
        config = (self._spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        self._affinity = int(config.get("timeoutSeconds") or 10800) if affinity else 0

    def render(self, into: Ruleset) -> None:
        internal_local = self._spec.get("internalTrafficPolicy") == "Local"
        everywhere, here, machine = self._choice
        cluster, local, outside_local = f"all-{self._id}", f"here-{self._id}", f"machine-{self._id}"
        if everywhere:
            self._balance(into, cluster, everywhere)
        if here and internal_local:
            self._balance(into, local, here)
        if machine and self._spec.get("externalTrafficPolicy") == "Local":
            self._balance(into, outside_local, machine)
        addresses = _own_addresses(self._spec)
        if internal_local:
            self._lead(into, addresses, local if here else "", drop=bool(everywhere))
        else:
            self._lead(into, addresses, cluster if everywhere else "", drop=False)
        outside = _outside_addresses(self._service)
        node_port = int(self._port.get("nodePort") or 0)
        if outside or node_port:
            entry = self._entry(into, cluster, outside_local) if everywhere else ""
            self._lead(into, outside, entry, drop=False)
            self._lead_port(into, node_port, entry)
            self._restrict(into, outside)

    def _lead(self, into: Ruleset, addresses: Iterable[str], chain: str, *, drop: bool) -> None:
        """Lead the addresses to a chain; without one, refuse what comes (or drop it, where others could serve it)."""
        for address in addresses:
            key = base.tuple_key(address, self._protocol, self._port["port"])
            if chain:
                into.put(base.SERVICE_IPS, Element(key, ex.verdict_data(ex.GOTO, chain)))
            else:
                refusal = ex.verdict_data(ex.DROP) if drop else ex.verdict_data(ex.GOTO, base.REJECT)
                into.put(base.NO_ENDPOINTS, Element(key, refusal))

    def _lead_port(self, into: Ruleset, number: int, chain: str) -> None:
        if not number:
            return
        key = base.port_key(self._protocol, number)
        if chain:
            into.put(base.NODE_PORTS, Element(key, ex.verdict_data(ex.GOTO, chain)))
        else:
            into.put(base.NO_ENDPOINT_PORTS, Element(key, ex.verdict_data(ex.GOTO, base.REJECT)))

    def _entry(self, into: Ruleset, cluster: str, local: str) -> str:
        """The chain for what comes from outside."""
        name = f"out-{self._id}"
        mark = tuple(ex.add_mark(MASQUERADE))
        to_all, to_here = (ex.verdict(ex.GOTO, cluster),), (ex.verdict(ex.GOTO, local),)
        if self._spec.get("externalTrafficPolicy") != "Local":
            into.chains[name] = (mark, to_all)
            return name
        from_pods = tuple(ex.input_is(self._facts.prefix, prefix=True))
        from_node = tuple(ex.source_is_local())
        last: Rule = to_here if self._choice.outside else (ex.verdict(ex.DROP),)
        into.chains[name] = ((*from_pods, *to_all), (*from_node, *mark), (*from_node, *to_all), last)
        return name

    def _restrict(self, into: Ruleset, addresses: Sequence[str]) -> None:
        """``loadBalancerSourceRanges``."""
        given = [each.strip() for each in self._spec.get("loadBalancerSourceRanges") or ()]
        networks = [network for each in given if isinstance(network := ip_network(each, strict=False), IPv4Network)]
        if not given or not addresses:
            return
        name = f"from-{self._id}"
        passes = [(*ex.in_network(network, of_source=True), ex.verdict(ex.RETURN)) for network in networks]
        own = (*ex.source_is_local(), ex.verdict(ex.RETURN))
        into.chains[name] = (*passes, own, (ex.verdict(ex.DROP),))
        for address in addresses:
            key = base.tuple_key(address, self._protocol, self._port["port"])
            into.put(base.FIREWALL, Element(key, ex.verdict_data(ex.GOTO, name)))

    def _balance(self, into: Ruleset, chain: str, every: tuple[Backend, ...]) -> None:
        """A chain that sends each new connection to one of the backends."""
        numbered = f"n-{chain}"
        into.sets[numbered] = SetSpec((4,), data_size=8)
        into.elements[numbered] = {
            ex.native(number): Element(ex.native(number), address_data(base.target(*backend)))
            for number, backend in enumerate(every)
        }
        if not self._affinity:
            pick = (ex.random_number(len(every)), ex.lookup(numbered, into=word(0)), ex.redirect())
            into.chains[chain] = (pick,)
            return
        self._stick(into, chain, numbered, every)

    def _stick(self, into: Ruleset, chain: str, numbered: str, every: tuple[Backend, ...]) -> None:
        """The backend that this client had before, where it is still one; else any, which is remembered.

        The map of clients is the kernel's: it outlives changes of the endpoints, and the set of living backends tells which of
        its entries still count. The time is part of its name, for a set keeps its shape.
        """
        living, seconds = f"l-{chain}", self._affinity
        clients = f"c{seconds}-{chain}"
        into.sets[living] = SetSpec((4, 2))
        into.elements[living] = {(key := base.target(*each)): Element(key) for each in every}
        into.sets[clients] = SetSpec((4,), flags=nft.TIMEOUT | nft.EVALUATED, data_size=8, seconds=seconds)
        known = (ex.source(), ex.lookup(clients, into=word(1)), ex.lookup(living, word(1)))
        into.chains[chain] = (
            (*known, ex.refresh(clients, word(0), word(1), seconds), ex.redirect(word(1), word(2))),
            (
                ex.source(),
                ex.random_number(len(every), word(1)),
                ex.lookup(numbered, word(1), into=word(1)),
                ex.forget(clients, word(0), word(1)),
                ex.remember(clients, word(0), word(1), seconds),
                ex.redirect(word(1), word(2)),
            ),
        )
