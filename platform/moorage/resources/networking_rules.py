"""Rules of NetworkPolicies. Source: Kubernetes' ``pkg/apis/networking/validation``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from moorage.resources import names
from moorage.resources.addresses import check_cidr
from moorage.resources.checks import (
    PORT_RANGE,
    PROTOCOLS,
    Errors,
    check_port,
)
from moorage.resources.field_errors import forbidden, invalid, not_supported, required
from moorage.resources.kind import Document, FieldError
from moorage.resources.label_selector import selector_errors
from moorage.resources.metadata import metadata_errors

Part = Mapping[str, Any]

_SUBSET = "must be a strict subset of `cidr`"


def network_policy_errors(policy: Document) -> list[FieldError]:
    """What is wrong with a NetworkPolicy."""
    errors = metadata_errors(policy, names.dns_subdomain, namespaced=True)
    spec: Part = policy.get("spec") or {}
    errors += selector_errors("spec.podSelector", spec.get("podSelector"))
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            here = f"spec.{direction}[{index}]"
            for number, port in enumerate(rule.get("ports") or ()):
                _check_policy_port(errors, f"{here}.ports[{number}]", port)
            for number, peer in enumerate(rule.get(peers) or ()):
                _check_peer(errors, f"{here}.{peers}[{number}]", peer)
    types: Sequence[str] = spec.get("policyTypes") or ()
    if len(types) > 2:
        errors.append(invalid("spec.policyTypes", list(types), "may not specify more than two policyTypes"))
        return errors
    for index, each in enumerate(types):
        if each not in ("Ingress", "Egress"):
            errors.append(not_supported(f"spec.policyTypes[{index}]", each, ("Ingress", "Egress")))
    return errors


def _check_policy_port(errors: Errors, path: str, port: Part) -> None:
    protocol = port.get("protocol")
    if protocol is not None and protocol not in PROTOCOLS:
        errors.append(not_supported(f"{path}.protocol", protocol, PROTOCOLS))
    number, end = port.get("port"), port.get("endPort")
    if number is None:
        if end is not None:
            errors.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified"))
        return
    check_port(errors, f"{path}.port", number)
    if end is None:
        return
    if not isinstance(number, int):
        errors.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
        return
    if end < number:
        errors.append(invalid(f"{path}.endPort", number, "must be greater than or equal to `port`"))
    if not 1 <= end <= 65535:
        errors.append(invalid(f"{path}.endPort", end, PORT_RANGE))


def _check_peer(errors: Errors, path: str, peer: Part) -> None:
    given = [name for name in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(name) is not None]
    for name in ("podSelector", "namespaceSelector"):
        errors += selector_errors(f"{path}.{name}", peer.get(name))
    if "ipBlock" in given:
        _check_ip_block(errors, f"{path}.ipBlock", peer["ipBlock"])
    if not given:
        errors.append(required(path, "must specify a peer"))
    elif len(given) > 1 and "ipBlock" in given:
        errors.append(forbidden(path, "may not specify both ipBlock and another peer"))


def _check_ip_block(errors: Errors, path: str, block: Part) -> None:
    network = block.get("cidr", "")
    if not network:
        errors.append(required(f"{path}.cidr"))
        return
    check_cidr(errors, f"{path}.cidr", network)
    whole = _network(network)
    if whole is None:
        return
    for index, text in enumerate(block.get("except") or ()):
        here = f"{path}.except[{index}]"
        check_cidr(errors, here, text)
        part = _network(text)
        if part is not None and (
            part.version != whole.version or part.network_address not in whole or whole.prefixlen >= part.prefixlen
        ):
            errors.append(invalid(here, text, _SUBSET))


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None
