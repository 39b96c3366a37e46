"""PolicyRules (NetworkPolicies with their selectors resolved) as chains and sets, for the pods of this node.

A pod that any policy is about takes only what one of its policies allows (and likewise for what it sends). The node itself
always reaches its pods. Source: networking.k8s.io/v1, "NetworkPolicy".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Any, NamedTuple

from moorage.resources.label_selector import matches
from moorage_agent.network.nft import batch as nft
from moorage_agent.network.nft import expressions as ex
from moorage_agent.network.nft.batch import Element
from moorage_agent.network.rules import base
from moorage_agent.network.rules.ruleset import Rule, Ruleset, SetSpec

Document = Mapping[str, Any]
_ADMIT = (ex.verdict(ex.ACCEPT),)


class OwnPod(NamedTuple):
    """A pod of this node, as the node knows it: a policy holds for it before anybody has resolved that."""

    namespace: str
    address: str
    labels: Mapping[str, str]


def render(policies: Iterable[Document], node: str, own: Iterable[OwnPod] = ()) -> Ruleset:
    """The rules of all policies for the pods on ``node``; ``own`` are those of them that it connected."""
    pods: dict[str, list[OwnPod]] = {}
    for pod in own:
        pods.setdefault(pod.namespace, []).append(pod)
    result = Ruleset()
    incoming: dict[str, set[str]] = {}
    outgoing: dict[str, set[str]] = {}
    for policy in policies:
        spec = policy["spec"]
        metadata = policy["metadata"]
        named = [each["address"] for each in spec.get("targets") or () if each.get("node") == node]
        known = pods.get(metadata["namespace"], ())
        mine = dict.fromkeys(
            [*named, *(each.address for each in known if matches(spec.get("podSelector"), each.labels))]
        )
        identity = _short(f"{metadata['namespace']}/{metadata['name']}")
        for direction, isolates, collected in (
            ("ingress", "isolatesIngress", incoming),
            ("egress", "isolatesEgress", outgoing),
        ):
            if not mine or not spec.get(isolates):
                continue
            chain = f"{direction}-{identity}"
            result.chains[chain] = tuple(_rules(result, chain, spec.get(direction) or (), direction == "ingress"))
            for address in mine:
                collected.setdefault(address, set()).add(chain)
    _isolate(result, base.ISOLATED_IN, incoming)
    _isolate(result, base.ISOLATED_OUT, outgoing)
    return result


def _isolate(result: Ruleset, name: str, chains: Mapping[str, set[str]]) -> None:
    """Lead each pod to a chain that asks all its policies, and drops what none of them allowed."""
    result.elements.setdefault(name, {})
    for address, several in chains.items():
        every = sorted(several)
        chain = f"pod-{_short(' '.join(every))}"
        from_node = ((*ex.source_is_local(), ex.verdict(ex.ACCEPT)),) if name == base.ISOLATED_IN else ()
        asked = tuple((ex.verdict(ex.JUMP, each),) for each in every)
        result.chains[chain] = (*from_node, *asked, (ex.verdict(ex.DROP),))
        key = IPv4Address(address).packed
        result.put(name, Element(key, ex.verdict_data(ex.GOTO, chain)))


def _rules(result: Ruleset, chain: str, rules: Sequence[Document], incoming: bool) -> Iterable[Rule]:
    for number, rule in enumerate(rules):
        peers = _peers(result, f"{chain}-{number}", rule, incoming)
        if peers is None:
            continue
        if rule.get("anyPort"):
            yield (*peers, *_ADMIT)
        for index, port in enumerate(rule.get("ports") or ()):
            yield (*peers, *_port(result, f"{chain}-{number}-{index}", port), *_ADMIT)


def _peers(result: Ruleset, name: str, rule: Document, incoming: bool) -> Rule | None:
    """What matches the peers; None where there can be none."""
    if rule.get("anyPeer"):
        return ()
    networks = [IPv4Network(address) for address in rule.get("addresses") or () if ":" not in address]
    for block in rule.get("blocks") or ():
        networks += _without(block["cidr"], block.get("except") or ())
    if not networks:
        return None
    result.sets[name] = SetSpec((4,), flags=nft.INTERVAL)
    result.elements[name] = base.interval_elements(networks)
    return (ex.source() if incoming else ex.destination(), ex.lookup(name))


def _port(result: Ruleset, name: str, port: Document) -> Rule:
    parts: list[bytes] = [*ex.is_protocol(ex.PROTOCOLS[port.get("protocol") or "TCP"])]
    first, last = port.get("port"), port.get("endPort")
    if first is not None:
        parts.append(ex.destination_port())
        if last is None:
            parts.append(ex.compare(int(first).to_bytes(2, "big")))
        else:
            parts.append(ex.compare(int(first).to_bytes(2, "big"), ex.GREATER_EQUAL))
            parts.append(ex.compare(int(last).to_bytes(2, "big"), ex.LESS_EQUAL))
    if "addresses" in port:
        result.sets[name] = SetSpec((4,))
        packed = [IPv4Address(each).packed for each in port["addresses"] if ":" not in each]
        result.elements[name] = {each: Element(each) for each in packed}
        parts += [ex.destination(), ex.lookup(name)]
    return tuple(parts)


def _without(cidr: str, excepted: Iterable[str]) -> list[IPv4Network]:
    """A block without its exceptions."""
    block = ip_network(cidr, strict=False)
    if not isinstance(block, IPv4Network):
        return []
    left = [block]
    for text in excepted:
        hole = ip_network(text, strict=False)
        if isinstance(hole, IPv4Network):
            left = [part for one in left for part in _minus(one, hole)]
    return left


def _minus(network: IPv4Network, hole: IPv4Network) -> list[IPv4Network]:
    if not network.overlaps(hole):
        return [network]
    return list(network.address_exclude(hole)) if hole != network and hole.subnet_of(network) else []


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
