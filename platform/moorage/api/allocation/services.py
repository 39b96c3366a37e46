"""Gives Services their addresses and node ports, and frees them with the Service or with its change of type.

``mutate`` chooses and writes into the document, so that validation, charge and bytes know it; ``companions`` are the
IPAddress and NodePort objects that are created and deleted in the same commit. Two that choose the same meet at the unique
name: the second one's commit fails as a whole and is planned again.

Source: pkg/registry/core/service/{storage,ipallocator,portallocator}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from ipaddress import ip_address
from typing import Any

from moorage.api.allocation import ranges
from moorage.api.contracts import AdmissionRequest, Companion, View
from moorage.api.errors import ApiError, invalid
from moorage.resources.core.service_defaults import (
    WITH_PORTS_ON_NODES,
    checks_health,
    prepare_create,
    prepare_update,
)
from moorage.resources.field_errors import invalid as invalid_value
from moorage.resources.kind import Document, FieldError, GroupVersionKind, Kind
from moorage.resources.registry import Registry
from moorage.resources.service_addresses import GROUP, OWN_GROUP, port_name

Spec = dict[str, Any]
MANAGED_BY = "ipallocator.k8s.io"
_LABELS = {"ipaddress.kubernetes.io/managed-by": MANAGED_BY}
_ALLOCATED = "provided port is already allocated"


class ServiceAllocation:
    """An Admission and a source of Companions, for Services."""

    def __init__(self, registry: Registry) -> None:
        self._service = _kind(registry, "", "Service")
        self._range = _kind(registry, GROUP, "ServiceCIDR")
        self._address = _kind(registry, GROUP, "IPAddress")
        self._port = _kind(registry, OWN_GROUP, "NodePort")

    async def mutate(self, request: AdmissionRequest) -> None:
        """Choose what the Service needs and does not have. Raises ApiError 422 where a wish cannot be had."""
        document = request.document
        if request.kind.gvk != self._service.gvk or request.subresource or document is None:
            return
        if request.operation == "CREATE":
            prepared = deepcopy(document)
            prepare_create(prepared)
            before: Spec = {}
        else:
            assert request.old is not None
            before = request.old.get("spec") or {}
            prepared = {"spec": deepcopy(document["spec"])}
            prepare_update(prepared, request.old)
        spec: Spec = prepared["spec"]
        await self._addresses(request, spec, before)
        await self._ports(request, spec, before)
        document["spec"] = spec

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """Nothing is forbidden here."""
        return ()

    async def companions(self, request: AdmissionRequest, gone: bool) -> Sequence[Companion]:
        """Implements ``moorage.api.contracts.Companions``: take what is new, free what is no longer used."""
        if request.kind.gvk != self._service.gvk:
            return ()
        old = _spec(request.old) if request.operation != "CREATE" else {}
        new = {} if gone else _spec(request.document) if request.document is not None else old
        where = {"namespace": request.namespace, "name": _name(request)}
        return [*self._taken_addresses(where, old, new), *self._taken_ports(where, old, new)]

    def _taken_addresses(self, where: Mapping[str, str], old: Spec, new: Spec) -> list[Companion]:
        before, after = _own_addresses(old), _own_addresses(new)
        freed = [Companion("delete", self._address, "", each) for each in before if each not in after]
        taken = [
            Companion("create", self._address, "", each, _address_document(each, where))
            for each in after
            if each not in before
        ]
        return freed + taken

    def _taken_ports(self, where: Mapping[str, str], old: Spec, new: Spec) -> list[Companion]:
        before, after = _own_ports(old), _own_ports(new)
        freed = [Companion("delete", self._port, "", port_name(*each)) for each in before if each not in after]
        taken = [
            Companion("create", self._port, "", port_name(*each), _port_document(*each, where))
            for each in after
            if each not in before
        ]
        return freed + taken

    async def _addresses(self, request: AdmissionRequest, spec: Spec, before: Spec) -> None:
        """Fill in ``clusterIP``, ``clusterIPs`` and ``ipFamilies``."""
        if spec.get("type") == "ExternalName" or "None" in (spec.get("clusterIPs") or [spec.get("clusterIP")]):
            _headless_families(spec)
            return
        networks = await self._networks(request.view)
        wanted = _families(spec, networks)
        given: list[str] = list(spec.get("clusterIPs") or ())
        had = _own_addresses(before)
        for index, address in enumerate(given):
            if address not in had:
                await self._check_address(request, index, address, networks)
        given += [await self._free_address(request, name, networks) for name in wanted[len(given) :]]
        if given:
            spec["clusterIP"], spec["clusterIPs"] = given[0], given
            spec["ipFamilies"] = [_family_of(each) for each in given]

    async def _networks(self, view: View) -> list[ranges.Network]:
        """All ranges that are not being taken away, the oldest first."""
        documents = [entry.document() for entry in await view.entries(self._range, None)]
        living = [each for each in documents if "deletionTimestamp" not in each["metadata"]]
        living.sort(key=lambda each: (each["metadata"].get("creationTimestamp", ""), each["metadata"]["name"]))
        return [network for each in living for network in ranges.networks(each["spec"].get("cidrs", ()))]

    async def _check_address(
        self, request: AdmissionRequest, index: int, text: str, networks: Sequence[ranges.Network]
    ) -> None:
        """An address that the user asked for. Raises ApiError 422."""
        path = f"spec.clusterIPs[{index}]"
        try:
            address = ip_address(text)
        except ValueError:
            return  # the kind's own rules say so better
        if not any(ranges.usable(network, address) for network in networks):
            valid = ", ".join(map(str, networks))
            detail = f"failed to allocate IP {text}: the provided network does not match the current range"
            detail = f"{detail}; valid ranges: {valid}" if valid else detail
            raise self._refusal(request, invalid_value(path, [text], detail))
        if await request.view.get(self._address, "", str(address)) is not None:
            detail = f"failed to allocate IP {text}: provided IP is already allocated"
            raise self._refusal(request, invalid_value(path, [text], detail))

    async def _free_address(self, request: AdmissionRequest, family: str, networks: Sequence[ranges.Network]) -> str:
        async def taken(text: str) -> bool:
            return await request.view.get(self._address, "", text) is not None

        for network in networks:
            if ranges.family(network) == family:
                found = await ranges.free_address(network, taken)
                if found is not None:
                    return found
        raise ApiError(
            500,
            f"Internal error occurred: failed to allocate a serviceIP: no {family} address is free; "
            "add a range with a ServiceCIDR object",
        )

    async def _ports(self, request: AdmissionRequest, spec: Spec, before: Spec) -> None:
        """Fill in node ports, and the port of health checks."""
        if spec.get("type") in WITH_PORTS_ON_NODES:
            await self._node_ports(request, spec, set(_own_ports(before)))
        if not checks_health(spec):
            return
        number = spec.get("healthCheckNodePort")
        if number and number != before.get("healthCheckNodePort"):
            await self._check_port(request, "spec.healthCheckNodePort", "TCP", number)
        elif not number:
            spec["healthCheckNodePort"] = await self._free_port(request, {"TCP"}, set(_own_ports(spec)))

    async def _node_ports(self, request: AdmissionRequest, spec: Spec, had: set[tuple[str, int]]) -> None:
        chosen: dict[int, set[str]] = {}
        wants = spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True)
        for index, port in enumerate(spec.get("ports", ())):
            number, protocol = port.get("nodePort"), port.get("protocol", "TCP")
            if number:
                if (protocol, number) not in had:
                    await self._check_port(request, f"spec.ports[{index}].nodePort", protocol, number)
                chosen.setdefault(port["port"], set()).add(protocol)
        taken = set(_own_ports(spec))
        for port in spec.get("ports", ()) if wants else ():
            if port.get("nodePort"):
                continue
            # One number serves the same port of several protocols (DNS over TCP and UDP), as in Kubernetes.
            protocol = port.get("protocol", "TCP")
            same = [
                each["nodePort"]
                for each in spec["ports"]
                if each.get("nodePort") and each["port"] == port["port"] and (protocol, each["nodePort"]) not in taken
            ]
            if same and await request.view.get(self._port, "", port_name(protocol, same[0])) is None:
                port["nodePort"] = same[0]
            else:
                port["nodePort"] = await self._free_port(request, {protocol}, taken)
            taken.add((protocol, port["nodePort"]))

    async def _check_port(self, request: AdmissionRequest, path: str, protocol: str, number: int) -> None:
        if number not in ranges.NODE_PORTS:
            return  # the kind's own rules say so better
        if await request.view.get(self._port, "", port_name(protocol, number)) is not None:
            raise self._refusal(request, invalid_value(path, number, _ALLOCATED))

    async def _free_port(self, request: AdmissionRequest, protocols: set[str], chosen: set[tuple[str, int]]) -> int:
        async def taken(number: int) -> bool:
            for protocol in protocols:
                if (protocol, number) in chosen:
                    return True
                if await request.view.get(self._port, "", port_name(protocol, number)) is not None:
                    return True
            return False

        found = await ranges.free_port(taken)
        if found is None:
            raise ApiError(500, "Internal error occurred: failed to allocate a nodePort: range is full")
        return found

    def _refusal(self, request: AdmissionRequest, error: FieldError) -> ApiError:
        return invalid(self._service.group, self._service.kind, _name(request), [error])


def _kind(registry: Registry, group: str, name: str) -> Kind:
    kind = registry.by_kind(GroupVersionKind(group, "v1", name))
    if kind is None:
        raise RuntimeError(f"the kind {name} is not served; Services cannot be given addresses")
    return kind


def _spec(document: Document | None) -> Spec:
    return (document or {}).get("spec") or {}


def _name(request: AdmissionRequest) -> str:
    metadata = (request.document or request.old or {}).get("metadata") or {}
    return str(metadata.get("name") or request.name)


def _own_addresses(spec: Spec) -> list[str]:
    """Addresses that the Service has taken."""
    if spec.get("type") == "ExternalName":
        return []
    given = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return [str(ip_address(each)) for each in given if each != "None"]


def _own_ports(spec: Spec) -> list[tuple[str, int]]:
    """(protocol, number) of each port on nodes that the Service has taken, once."""
    found = {
        (str(port.get("protocol") or "TCP"), int(port["nodePort"]))
        for port in spec.get("ports", ())
        if port.get("nodePort")
    }
    if spec.get("healthCheckNodePort"):
        found.add(("TCP", int(spec["healthCheckNodePort"])))
    return sorted(found)


def _family_of(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def _headless_families(spec: Spec) -> None:
    if spec.get("type") != "ExternalName":
        spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]


def _families(spec: Spec, networks: Sequence[ranges.Network]) -> list[str]:
    """The families that the Service wants an address of, in order."""
    served = list(dict.fromkeys(ranges.family(network) for network in networks)) or ["IPv4"]
    asked = [_family_of(each) for each in spec.get("clusterIPs") or ()] or list(spec.get("ipFamilies") or served[:1])
    policy = spec.get("ipFamilyPolicy") or "SingleStack"
    if policy == "SingleStack":
        return asked[:1]
    wanted = list(dict.fromkeys([*asked, *served]))
    return [each for each in wanted if each in served or each in asked][:2]


def _address_document(address: str, where: Mapping[str, str]) -> Document:
    labels = {**_LABELS, "ipaddress.kubernetes.io/ip-family": _family_of(address)}
    parent = {"group": "", "resource": "services", **where}
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "IPAddress",
        "metadata": {"name": address, "labels": labels},
        "spec": {"parentRef": parent},
    }


def _port_document(protocol: str, number: int, where: Mapping[str, str]) -> Document:
    spec = {"namespace": where["namespace"], "service": where["name"], "port": number, "protocol": protocol}
    return {
        "apiVersion": f"{OWN_GROUP}/v1",
        "kind": "NodePort",
        "metadata": {"name": port_name(protocol, number)},
        "spec": spec,
    }
