"""From a NetworkPolicy, namespaces and pods to its PolicyRules. Pure. Source: networking.k8s.io/v1, "NetworkPolicy"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from moorage.client.objects import Document
from moorage.client.resource import NETWORK_POLICIES, POLICY_RULES
from moorage.controllers.endpoints.found import find_port
from moorage.controllers.pods import FINISHED, phase
from moorage.resources.label_selector import matches

PodsOf = Callable[[str], Iterable[Document]]
DIRECTIONS = (("ingress", "from", "Ingress", "isolatesIngress"), ("egress", "to", "Egress", "isolatesEgress"))


class Spaces(NamedTuple):
    """Namespaces by name (their labels), and the pods of each."""

    labels: Mapping[str, Mapping[str, str]]
    pods: PodsOf


def concerns(pod: Document) -> tuple[object, ...] | None:
    """What of a pod policies depend on; None for one that has no address of its own."""
    status, spec = pod.get("status") or {}, pod["spec"]
    if spec.get("hostNetwork") or not status.get("podIP") or phase(pod) in FINISHED:
        return None
    return status["podIP"], spec.get("nodeName"), pod["metadata"].get("labels")


def reached_namespaces(policy: Document, labels: Mapping[str, Mapping[str, str]]) -> set[str]:
    """Namespaces whose pods the policy's targets or peers are among."""
    found = {policy["metadata"]["namespace"]}
    for peer in _peers(policy["spec"]):
        selector = peer.get("namespaceSelector")
        if selector is not None:
            found |= {name for name, own in labels.items() if matches(selector, own)}
    return found


def resolve(policy: Document, spaces: Spaces) -> Document:
    """The PolicyRules of a policy."""
    metadata, spec = policy["metadata"], policy["spec"]
    namespace = metadata["namespace"]
    selector = spec.get("podSelector") or {}
    targets = [pod for pod in spaces.pods(namespace) if _is_peer(pod, selector)]
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    resolved: Document = {
        "podSelector": selector,
        "targets": sorted(
            ({"address": pod["status"]["podIP"], "node": pod["spec"].get("nodeName") or ""} for pod in targets),
            key=lambda each: str(each["address"]),
        ),
    }
    for direction, peers, kind, isolates in DIRECTIONS:
        if kind in types:
            resolved[isolates] = True
            rules = spec.get(direction) or ()
            resolved[direction] = [_rule(rule, peers, namespace, targets, spaces) for rule in rules]
    owner = {
        "apiVersion": NETWORK_POLICIES.api_version,
        "kind": NETWORK_POLICIES.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }
    return {
        "apiVersion": POLICY_RULES.api_version,
        "kind": POLICY_RULES.kind,
        "metadata": {"name": metadata["name"], "namespace": namespace, "ownerReferences": [owner]},
        "spec": resolved,
    }


def _peers(spec: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for direction, peers, _, _ in DIRECTIONS:
        for rule in spec.get(direction) or ():
            yield from rule.get(peers) or ()


def _is_peer(pod: Document, selector: Mapping[str, Any]) -> bool:
    return concerns(pod) is not None and matches(selector, pod["metadata"].get("labels"))


def _rule(rule: Mapping[str, Any], peers: str, namespace: str, targets: Sequence[Document], spaces: Spaces) -> Document:
    made: Document = {}
    given = rule.get(peers) or ()
    found: dict[str, Document] = {}
    for peer in given:
        if peer.get("ipBlock"):
            made.setdefault("blocks", []).append(dict(peer["ipBlock"]))
        else:
            found |= {pod["status"]["podIP"]: pod for pod in _selected(peer, namespace, spaces)}
    if not given:
        made["anyPeer"] = True
    elif found:
        made["addresses"] = sorted(found)
    ports = rule.get("ports") or ()
    if not ports:
        made["anyPort"] = True
        return made
    # The port is the receiver's: the target's where something comes in, the peer's where something goes out.
    receivers = targets if peers == "from" else _receivers(given, found, spaces)
    made["ports"] = [each for port in ports for each in _ports(port, receivers)]
    return made


def _selected(peer: Mapping[str, Any], namespace: str, spaces: Spaces) -> Iterable[Document]:
    names = [namespace]
    if peer.get("namespaceSelector") is not None:
        names = [name for name, own in spaces.labels.items() if matches(peer["namespaceSelector"], own)]
    selector = peer.get("podSelector") or {}
    return (pod for name in names for pod in spaces.pods(name) if _is_peer(pod, selector))


def _receivers(given: Sequence[object], found: Mapping[str, Document], spaces: Spaces) -> Iterable[Document]:
    if given:
        return list(found.values())
    return [pod for name in spaces.labels for pod in spaces.pods(name) if concerns(pod) is not None]


def _ports(port: Mapping[str, Any], receivers: Iterable[Document]) -> Iterable[Document]:
    """One entry; for a port by name one for each number that receivers have under it."""
    protocol, number = port.get("protocol") or "TCP", port.get("port")
    if number is None or isinstance(number, int):
        entry: Document = {"protocol": protocol}
        if number is not None:
            entry["port"] = number
        if port.get("endPort"):
            entry["endPort"] = port["endPort"]
        yield entry
        return
    by_number: dict[int, list[str]] = {}
    for pod in receivers:
        own = find_port(pod, number, protocol)
        if own is not None:
            by_number.setdefault(own, []).append(pod["status"]["podIP"])
    for own, addresses in sorted(by_number.items()):
        yield {"protocol": protocol, "port": own, "addresses": sorted(addresses)}
