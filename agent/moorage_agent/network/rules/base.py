"""The part of the table that is always there: hooks, translation of sources, guards against pods that pretend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from moorage_agent.network.nft import batch as nft
from moorage_agent.network.nft import expressions as ex
from moorage_agent.network.nft.batch import Element, address_data
from moorage_agent.network.nft.expressions import word
from moorage_agent.network.rules.ruleset import BaseChain, Rule, Ruleset, SetSpec

MASQUERADE = 0x100000
"""The bit of a packet's mark that asks for this node's address as its source."""
SERVICE_IPS, NODE_PORTS, HOST_PORTS, HOST_IP_PORTS = "service-ips", "node-ports", "host-ports", "host-ip-ports"
NO_ENDPOINTS, NO_ENDPOINT_PORTS, FIREWALL = "no-endpoints", "no-endpoint-ports", "firewall"
NODES = "nodes"
CLUSTER_NETS, HAIRPIN, ISOLATED_IN, ISOLATED_OUT = "cluster-nets", "hairpin", "isolated-in", "isolated-out"
SERVICES, REJECT = "services", "reject"
VXLAN_PORT = 8472
LOOPBACK = IPv4Network("127.0.0.0/8")


class Facts(NamedTuple):
    """What the rules need to know of the node. ``prefix`` is how the names of the pods' interfaces begin."""

    node: str
    prefix: str
    gateway: IPv4Address
    pods: IPv4Network
    services: tuple[IPv4Network, ...]
    cluster: tuple[IPv4Network, ...]
    """Pod networks of all nodes, and addresses of nodes: what is reached without translation."""
    zone: str = ""
    """The node's topology.kubernetes.io/zone."""
    beside: frozenset[str] = frozenset()
    """Other nodes of the cluster in the same network of this machine: each has its own rules there, the ports are common."""
    beside_pods: tuple[IPv4Network, ...] = ()
    tunnels: int = 0
    """The number of the cluster's tunnels."""
    nodes: tuple[IPv4Address, ...] = ()
    """Addresses of all nodes: only they may send into the tunnel."""


class HostPort(NamedTuple):
    """A port of a pod published on the node. ``host_ip`` "" stands for every address."""

    protocol: str
    port: int
    target: str
    target_port: int
    host_ip: str = ""


def tuple_key(address: str, protocol: str, port: int) -> bytes:
    """Key of address, protocol and port."""
    return IPv4Address(address).packed + port_key(protocol, port)


def port_key(protocol: str, port: int) -> bytes:
    """Key of protocol and port."""
    return bytes((ex.PROTOCOLS[protocol], 0, 0, 0)) + port.to_bytes(2, "big") + b"\0\0"


def target(address: str, port: int) -> bytes:
    """Address and port as two words of data."""
    return IPv4Address(address).packed + port.to_bytes(2, "big") + b"\0\0"


def ranges(networks: Iterable[IPv4Network]) -> list[tuple[int, int]]:
    """Ranges (first, last) that do not touch each other."""
    result: list[tuple[int, int]] = []
    spans = ((int(each.network_address), int(each.broadcast_address)) for each in networks)
    for low, high in sorted(spans):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], high))
        else:
            result.append((low, high))
    return result


def interval_elements(networks: Iterable[IPv4Network]) -> dict[bytes, Element]:
    """Networks as elements of an interval set."""
    found: dict[bytes, Element] = {}
    for low, high in ranges(networks):
        start = low.to_bytes(4, "big")
        found[start] = Element(start)
        if high < 2**32 - 1:
            end = (high + 1).to_bytes(4, "big")
            found[end + b"end"] = Element(end, flags=nft.INTERVAL_END)
    return found


def base(facts: Facts, pods: Iterable[str], host_ports: Sequence[HostPort]) -> Ruleset:
    """Hooks, sets, and what is known of this node's pods: their addresses, and the ports that they publish."""
    result = Ruleset()
    _sets(result)
    _hooks(result)
    result.chains |= {
        SERVICES: _services(facts),
        "prerouting": (_jump(SERVICES),),
        "output": (_jump(SERVICES),),
        "postrouting": _postrouting(facts),
        "guard": _guard(facts),
        "tunnel-guard": _tunnel_guard(facts),
        "firewall-in": (_by_tuple(FIREWALL),),
        "filter-forward": _unserved(),
        "filter-input": _unserved(),
        "filter-output": _unserved(),
        "policy-out": _policy_out(),
        "policy-to-node": _policy_out(),
        "policy-in": _policy_in(),
        REJECT: (
            (*ex.is_protocol(ex.TCP), ex.reset()),
            (ex.reject(),),
        ),
    }
    result.elements[NODES] = {each.packed: Element(each.packed) for each in facts.nodes}
    result.elements[CLUSTER_NETS] = interval_elements([*facts.cluster, facts.pods])
    packed = [IPv4Address(each).packed for each in pods]
    result.elements[HAIRPIN] = {each + each: Element(each + each) for each in packed}
    for port in host_ports:
        data = address_data(target(port.target, port.target_port))
        if port.host_ip in ("", "0.0.0.0"):  # noqa: S104 - compared, not bound
            result.put(HOST_PORTS, Element(port_key(port.protocol, port.port), data))
        else:
            result.put(HOST_IP_PORTS, Element(tuple_key(port.host_ip, port.protocol, port.port), data))
    return result


def _sets(result: Ruleset) -> None:
    address, by_tuple, by_port = (4,), (4, 1, 2), (1, 2)
    result.sets |= {
        SERVICE_IPS: SetSpec(by_tuple, verdicts=True),
        NODE_PORTS: SetSpec(by_port, verdicts=True),
        HOST_PORTS: SetSpec(by_port, data_size=8),
        HOST_IP_PORTS: SetSpec(by_tuple, data_size=8),
        NO_ENDPOINTS: SetSpec(by_tuple, verdicts=True),
        NO_ENDPOINT_PORTS: SetSpec(by_port, verdicts=True),
        FIREWALL: SetSpec(by_tuple, verdicts=True),
        CLUSTER_NETS: SetSpec(address, flags=nft.INTERVAL),
        NODES: SetSpec(address),
        HAIRPIN: SetSpec((4, 4)),
        ISOLATED_IN: SetSpec(address, verdicts=True),
        ISOLATED_OUT: SetSpec(address, verdicts=True),
    }
    for name in result.sets:
        result.elements.setdefault(name, {})


def _hooks(result: Ruleset) -> None:
    """Translation of destinations a little before Docker's, so that what is ours is ours."""
    result.bases |= {
        "guard": BaseChain("filter", nft.PREROUTING, -310),
        "firewall-in": BaseChain("filter", nft.PREROUTING, -110),
        "prerouting": BaseChain("nat", nft.PREROUTING, -105),
        "output": BaseChain("nat", nft.OUTPUT, -105),
        "filter-output": BaseChain("filter", nft.OUTPUT, -10),
        "tunnel-guard": BaseChain("filter", nft.INPUT, -11),
        "filter-input": BaseChain("filter", nft.INPUT, -10),
        "filter-forward": BaseChain("filter", nft.FORWARD, -10),
        "policy-to-node": BaseChain("filter", nft.INPUT, -9),
        "policy-out": BaseChain("filter", nft.FORWARD, -9),
        "policy-in": BaseChain("filter", nft.FORWARD, -8),
        "postrouting": BaseChain("nat", nft.POSTROUTING, 95),
    }


def _jump(chain: str) -> Rule:
    return (ex.verdict(ex.JUMP, chain),)


def load_tuple() -> Rule:
    """Destination address, protocol and port in words 0 to 2."""
    return (ex.destination(word(0)), ex.protocol(word(1)), ex.destination_port(word(2)))


def _by_tuple(name: str) -> Rule:
    return (*load_tuple(), ex.lookup(name, word(0), into=ex.VERDICT_REGISTER))


def _by_port(name: str) -> Rule:
    load = (ex.protocol(word(0)), ex.destination_port(word(1)))
    return (*ex.destination_is_local(), *load, ex.lookup(name, word(0), into=ex.VERDICT_REGISTER))


def _services(facts: Facts) -> tuple[Rule, ...]:
    # Who reaches a Service's address from outside of the cluster must get the answer from there too.
    strangers = tuple(
        (
            *ex.in_network(network, of_source=False),
            ex.source(),
            ex.lookup(CLUSTER_NETS, inverted=True),
            ex.fib_source_type(),
            ex.compare(ex.native(ex.LOCAL), ex.NOT_EQUAL),
            *ex.add_mark(MASQUERADE),
        )
        for network in facts.services
    )
    host_ip_ports = (*load_tuple(), ex.lookup(HOST_IP_PORTS, word(0), into=word(0)), ex.redirect())
    load = (ex.protocol(word(0)), ex.destination_port(word(1)))
    host_ports = (*ex.destination_is_local(), *load, ex.lookup(HOST_PORTS, word(0), into=word(0)), ex.redirect())
    # Pods of a node beside are led by its own rules, which know what is local to them.
    others = tuple((*ex.in_network(each, of_source=True), ex.verdict(ex.RETURN)) for each in facts.beside_pods)
    return (
        *others,
        *strangers,
        _by_tuple(SERVICE_IPS),
        host_ip_ports,
        host_ports,
        _by_port(NODE_PORTS),
    )


def _postrouting(facts: Facts) -> tuple[Rule, ...]:
    to_pods = ex.output_is(facts.prefix, prefix=True)
    as_gateway = (ex.immediate(facts.gateway.packed), ex.translate_source())
    # What this machine's programs send to a port at a loopback address leaves it only where a pod has the port.
    from_loopback = ex.in_network(LOOPBACK, of_source=True)
    return (
        (*to_pods, *from_loopback, *as_gateway),
        (*ex.output_is("lo", operation=ex.NOT_EQUAL), *from_loopback, ex.masquerade()),
        (*to_pods, *ex.take_mark(MASQUERADE), *as_gateway),
        (*ex.take_mark(MASQUERADE), ex.masquerade()),
        (ex.source(word(0)), ex.destination(word(1)), ex.lookup(HAIRPIN), *as_gateway),
        (
            *ex.in_network(facts.pods, of_source=True),
            ex.destination(),
            ex.lookup(CLUSTER_NETS, inverted=True),
            *ex.output_is(facts.prefix, prefix=True, operation=ex.NOT_EQUAL),
            ex.masquerade(),
        ),
    )


def _guard(facts: Facts) -> tuple[Rule, ...]:
    """Pods may neither speak to the node's loopback addresses (CVE-2020-8558) nor under another's address."""
    from_pods = ex.input_is(facts.prefix, prefix=True)
    return (
        (*from_pods, *ex.in_network(LOOPBACK, of_source=False), ex.verdict(ex.DROP)),
        (*from_pods, *ex.no_way_back(), ex.verdict(ex.DROP)),
        (*from_pods, *_into_tunnel(facts), ex.verdict(ex.DROP)),
    )


def _into_tunnel(facts: Facts) -> Rule:
    """Go on only for packets of the cluster's tunnels: who could write such, could send under any pod's address."""
    number = facts.tunnels.to_bytes(3, "big")
    port = (ex.destination_port(), ex.compare(VXLAN_PORT.to_bytes(2, "big")))
    return (*ex.is_protocol(ex.UDP), *port, ex.tunnel_number(), ex.compare(number))


def _tunnel_guard(facts: Facts) -> tuple[Rule, ...]:
    return ((*_into_tunnel(facts), ex.source(), ex.lookup(NODES, inverted=True), ex.verdict(ex.DROP)),)


def _unserved() -> tuple[Rule, ...]:
    return (_by_tuple(NO_ENDPOINTS), _by_port(NO_ENDPOINT_PORTS))


def _policy_out() -> tuple[Rule, ...]:
    established = (*ex.state_is(ex.ESTABLISHED_RELATED), ex.verdict(ex.ACCEPT))
    return (established, (ex.source(), ex.lookup(ISOLATED_OUT, into=ex.VERDICT_REGISTER)))


def _policy_in() -> tuple[Rule, ...]:
    established = (*ex.state_is(ex.ESTABLISHED_RELATED), ex.verdict(ex.ACCEPT))
    return (established, (ex.destination(), ex.lookup(ISOLATED_IN, into=ex.VERDICT_REGISTER)))
