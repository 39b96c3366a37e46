"""Which Service gets which address of the pool. Pure. Source: core/v1 Service, "LoadBalancer"; KEP-1860 (ipMode)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from moorage.client.objects import Document, is_deleting


class Change(NamedTuple):
    """What a Service's status should say: the address, "" for none; ``problem`` where there should be one."""

    service: Document
    address: str
    problem: str = ""


def addresses(service: Document) -> list[str]:
    """What the status says now."""
    points = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [str(each["ip"]) for each in points if each.get("ip")]


def wants(service: Document) -> bool:
    """Whether we are to give the Service an address; one with a class of its own is somebody else's."""
    spec = service["spec"]
    return spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass") and not is_deleting(service)


def changes(services: Iterable[Document], pool: Sequence[IPv4Network]) -> list[Change]:
    """All that is to be written. Who has an address keeps it; of the others older ones come first."""
    every = sorted(services, key=_age)
    ours = {id(each): [one for one in addresses(each) if _within(one, pool)] for each in every}
    taken = {held[0] for each in every if wants(each) and (held := ours[id(each)])}
    found: list[Change] = []
    for service in every:
        held = ours[id(service)]
        if not wants(service):
            if held:
                found.append(Change(service, ""))
        elif not held and not addresses(service):
            change = _given(service, pool, taken)
            taken.add(change.address)
            found.append(change)
    return found


def _given(service: Document, pool: Sequence[IPv4Network], taken: set[str]) -> Change:
    asked = service["spec"].get("loadBalancerIP") or ""
    if asked:
        if not _within(asked, pool):
            return Change(service, "", f"spec.loadBalancerIP {asked} is not in the pool {_text(pool)}")
        if asked in taken:
            return Change(service, "", f"spec.loadBalancerIP {asked} is another Service's already")
        return Change(service, asked)
    free = next((str(each) for network in pool for each in _usable(network) if str(each) not in taken), "")
    return Change(service, free, "" if free else f"every address of the pool {_text(pool)} is taken")


def _usable(network: IPv4Network) -> Iterable[IPv4Address]:
    return network.hosts() if network.prefixlen < 31 else iter(network)


def _within(address: str, pool: Sequence[IPv4Network]) -> bool:
    try:
        return any(IPv4Address(address) in network for network in pool)
    except ValueError:
        return False


def _text(pool: Sequence[IPv4Network]) -> str:
    return ", ".join(str(each) for each in pool)


def _age(service: Document) -> tuple[str, str, str]:
    metadata = service["metadata"]
    return metadata.get("creationTimestamp") or "", metadata.get("namespace") or "", metadata["name"]
