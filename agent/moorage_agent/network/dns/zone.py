"""Which names there are in the cluster's domain, and what they stand for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, NamedTuple

Document = Mapping[str, Any]
VERSION = "1.1.0"


class Record(NamedTuple):
    """``kind`` is A, AAAA, SRV, CNAME, PTR or TXT; ``name`` and the names in ``text`` are relative to nothing (no final dot)."""

    name: str
    kind: str
    text: str


@dataclass(slots=True)
class Answer:
    """``exists`` False is NXDOMAIN. ``more`` goes into the additional section. ``alias`` is left to be resolved elsewhere."""

    exists: bool
    records: list[Record] = field(default_factory=list)
    more: list[Record] = field(default_factory=list)
    alias: str = ""


def _kind(address: str) -> str:
    return "AAAA" if ":" in address else "A"


class _Host(NamedTuple):
    name: str
    address: str


class Zone:
    """``domain`` without dots at its ends. Services by (namespace, name); slices by the same."""

    def __init__(self, domain: str = "cluster.local") -> None:
        self.domain = domain
        self._services: dict[tuple[str, str], Document] = {}
        self._slices: dict[tuple[str, str], dict[str, Document]] = {}
        self._reverse: dict[str, set[str]] = {}
        self._of_service: dict[tuple[str, str], list[tuple[str, str]]] = {}

    def set_service(self, namespace: str, name: str, service: Document | None) -> None:
        """A Service as it is now; None: it is gone."""
        if service is None:
            self._services.pop((namespace, name), None)
        else:
            self._services[namespace, name] = service
        self._index(namespace, name)

    def set_slice(self, namespace: str, service: str, name: str, piece: Document | None) -> None:
        """A slice of a Service as it is now; None: it is gone."""
        pieces = self._slices.setdefault((namespace, service), {})
        if piece is None:
            pieces.pop(name, None)
            if not pieces:
                del self._slices[namespace, service]
        else:
            pieces[name] = piece
        self._index(namespace, service)

    def holds(self, name: str) -> bool:
        """Whether ``name`` (lower case) is ours to answer."""
        return name == self.domain or name.endswith(f".{self.domain}")

    def answer(self, name: str, kind: str) -> Answer:
        """What is known of ``name`` (lower case, in the domain) for a question of ``kind``."""
        labels = name[: -len(self.domain) - 1].split(".") if name != self.domain else []
        if not labels:
            return Answer(True)
        if labels == ["dns-version"]:
            return Answer(True, [Record(name, "TXT", VERSION)] if kind == "TXT" else [])
        match labels:
            case [*rest, namespace, "svc"] if rest:
                return self._service(name, kind, rest, namespace)
            case [dashed, _namespace, "pod"]:
                return self._pod(name, kind, dashed)
            case ["svc"] | ["pod"]:
                return Answer(True)
            case [namespace, "svc"]:
                return Answer(any(key[0] == namespace for key in self._services))
        return Answer(False)

    def pointer(self, address: str) -> list[str] | None:
        """Names of an address of ours, or None where it is not known."""
        names = self._reverse.get(address)
        return sorted(names) if names else None

    def _service(self, name: str, kind: str, rest: Sequence[str], namespace: str) -> Answer:
        service = self._services.get((namespace, rest[-1]))
        if service is None:
            return Answer(False)
        spec, before = service["spec"], rest[:-1]
        if spec.get("type") == "ExternalName":
            target = spec.get("externalName", "").removesuffix(".").lower()
            return Answer(True, [Record(name, "CNAME", target)], alias=target) if not before else Answer(False)
        full = f"{rest[-1]}.{namespace}.svc.{self.domain}"
        hosts = list(self._hosts(namespace, rest[-1], full))
        headless = spec.get("clusterIP") == "None"
        if not before:
            return self._addresses(
                name, kind, [host.address for host in hosts] if headless else _own(spec), service, full
            )
        if len(before) == 2 and before[0].startswith("_") and before[1].startswith("_"):
            return self._ports(name, kind, service, hosts if headless else None, full, before[0][1:], before[1][1:])
        if len(before) == 1 and before[0].startswith("_"):
            return Answer(
                any((port.get("protocol") or "TCP").lower() == before[0][1:] for port in spec.get("ports") or ())
            )
        if len(before) == 1 and headless:
            mine = [host.address for host in hosts if host.name == f"{before[0]}.{full}"]
            return self._plain(name, kind, mine) if mine else Answer(False)
        return Answer(False)

    def _addresses(self, name: str, kind: str, addresses: Sequence[str], service: Document, full: str) -> Answer:
        headless = service["spec"].get("clusterIP") == "None"
        if headless and not addresses:
            return Answer(False)
        if kind == "SRV":
            namespace, own = service["metadata"]["namespace"], service["metadata"]["name"]
            hosts = list(self._hosts(namespace, own, full)) if headless else None
            return self._ports(name, kind, service, hosts, full, "", "")
        return self._plain(name, kind, addresses)

    @staticmethod
    def _plain(name: str, kind: str, addresses: Iterable[str]) -> Answer:
        unique = dict.fromkeys(addresses)
        return Answer(True, [Record(name, kind, each) for each in unique if kind == _kind(each)])

    def _ports(
        self,
        name: str,
        kind: str,
        service: Document,
        hosts: Sequence[_Host] | None,
        full: str,
        port_name: str,
        protocol: str,
    ) -> Answer:
        """SRV records of the port with this name and protocol (of all where they are empty)."""
        metadata = service["metadata"]
        numbers = self._numbers(metadata["namespace"], metadata["name"], service, hosts is not None)
        wanted = [
            number
            for own, own_protocol, number in numbers
            if (not protocol or own_protocol.lower() == protocol) and (not port_name or own == port_name)
        ]
        if not wanted:
            return Answer(False)
        targets = [_Host(full, each) for each in _own(service["spec"])] if hosts is None else list(hosts)
        answer = Answer(True)
        if kind != "SRV":
            return answer
        share = max(1, 100 // max(1, len(targets)))
        pairs = dict.fromkeys((number, target.name) for number in wanted for target in targets)
        answer.records = [Record(name, "SRV", f"0 {share} {number} {target}") for number, target in pairs]
        answer.more = list(dict.fromkeys(Record(each.name, _kind(each.address), each.address) for each in targets))
        return answer

    def _numbers(self, namespace: str, name: str, service: Document, headless: bool) -> list[tuple[str, str, int]]:
        """(name, protocol, number) of each port: the Service's own, or for a headless one those of its endpoints."""
        if not headless:
            ports = service["spec"].get("ports") or ()
            return [(port.get("name") or "", port.get("protocol") or "TCP", port["port"]) for port in ports]
        found: dict[tuple[str, str, int], None] = {}
        for piece in self._slices.get((namespace, name), {}).values():
            for port in piece.get("ports") or ():
                if port.get("port"):
                    found[port.get("name") or "", port.get("protocol") or "TCP", port["port"]] = None
        return list(found)

    def _hosts(self, namespace: str, name: str, full: str) -> Iterable[_Host]:
        """The endpoints that are published, each under its own name."""
        for piece in self._slices.get((namespace, name), {}).values():
            for endpoint in piece.get("endpoints") or ():
                if not (endpoint.get("conditions") or {}).get("ready", True):
                    continue
                for address in endpoint["addresses"]:
                    own = endpoint.get("hostname") or address.replace(".", "-").replace(":", "-")
                    yield _Host(f"{own}.{full}", address)

    @staticmethod
    def _pod(name: str, kind: str, dashed: str) -> Answer:
        """``10-1-2-3.NAMESPACE.pod``: the address that the name says."""
        try:
            address = str(IPv4Address(dashed.replace("-", ".")))
        except ValueError:
            return Answer(False)
        return Answer(True, [Record(name, "A", address)] if kind == "A" else [])

    def _index(self, namespace: str, name: str) -> None:
        """Keep names findable by address."""
        for address, known in self._of_service.pop((namespace, name), ()):
            self._reverse[address].discard(known)
            if not self._reverse[address]:
                del self._reverse[address]
        service = self._services.get((namespace, name))
        if service is None or service["spec"].get("type") == "ExternalName":
            return
        full = f"{name}.{namespace}.svc.{self.domain}"
        if service["spec"].get("clusterIP") == "None":
            entries = [(host.address, host.name) for host in self._hosts(namespace, name, full)]
        else:
            entries = [(address, full) for address in _own(service["spec"])]
        self._of_service[namespace, name] = entries
        for address, known in entries:
            self._reverse.setdefault(address, set()).add(known)


def _own(spec: Document) -> list[str]:
    """A Service's own addresses."""
    given = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return [each for each in given if each != "None"]
