"""discovery.k8s.io/v1: EndpointSlices. Source: pkg/apis/discovery/validation, KEP-752, KEP-1672."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import names
from moorage.resources.addresses import IP_MESSAGE, check_not_special, parse_ip
from moorage.resources.checks import PROTOCOLS, Errors, check_choice, check_name, check_port_number
from moorage.resources.core.endpoints import shortened
from moorage.resources.field_errors import duplicate, immutable, invalid, not_supported, required, too_many
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, text

GROUP = "discovery.k8s.io"
_FAMILIES = ("FQDN", "IPv4", "IPv6")
_MOST_ENDPOINTS, _MOST_ADDRESSES, _MOST_PORTS, _MOST_ZONES = 1000, 100, 20000, 8


def _ports(piece: Document, _now: float) -> Any:
    ports = piece.get("ports", ())
    return shortened([str(port.get("port") or "*") for port in ports]) if ports else "<unset>"


def _addresses(piece: Document, _now: float) -> Any:
    found = [address for endpoint in piece.get("endpoints", ()) for address in endpoint.get("addresses", ())]
    return shortened(found) if found else "<unset>"


def _default(piece: Document) -> None:
    for port in piece.get("ports", ()):
        port.setdefault("name", "")
        if not port.get("protocol"):
            port["protocol"] = "TCP"


def _check_address(errors: Errors, path: str, address: str, family: str) -> None:
    if family == "FQDN":
        check_name(errors, path, address, names.dns_subdomain)
        return
    parsed = parse_ip(address)
    if parsed is None:
        errors.append(invalid(path, address, IP_MESSAGE))
        return
    if parsed.version != (6 if family == "IPv6" else 4):
        errors.append(invalid(path, address, f"must be an {family} address"))
        return
    check_not_special(errors, path, address)


def _check_endpoint(errors: Errors, path: str, endpoint: Mapping[str, Any], family: str) -> None:
    addresses = endpoint.get("addresses", ())
    if not addresses:
        errors.append(required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > _MOST_ADDRESSES:
        errors.append(too_many(f"{path}.addresses", len(addresses), _MOST_ADDRESSES))
    if family in _FAMILIES:
        for index, address in enumerate(addresses):
            _check_address(errors, f"{path}.addresses[{index}]", address, family)
    if endpoint.get("nodeName"):
        check_name(errors, f"{path}.nodeName", endpoint["nodeName"], names.dns_subdomain)
    if endpoint.get("hostname"):
        check_name(errors, f"{path}.hostname", endpoint["hostname"], names.dns_label)
    hints = (endpoint.get("hints") or {}).get("forZones", ())
    if len(hints) > _MOST_ZONES:
        errors.append(too_many(f"{path}.hints.forZones", len(hints), _MOST_ZONES))
    for index, zone in enumerate(hints):
        check_name(errors, f"{path}.hints.forZones[{index}].name", zone.get("name", ""), names.label_value)


def _check_ports(errors: Errors, piece: Document) -> None:
    ports = piece.get("ports", ())
    if len(ports) > _MOST_PORTS:
        errors.append(too_many("ports", len(ports), _MOST_PORTS))
        return
    seen: set[str] = set()
    for index, port in enumerate(ports):
        here, name = f"ports[{index}]", port.get("name", "")
        if name:
            check_name(errors, f"{here}.name", name, names.dns_label)
        if name in seen:
            errors.append(duplicate(f"{here}.name", name))
        seen.add(name)
        check_choice(errors, f"{here}.protocol", port.get("protocol"), PROTOCOLS)
        if "port" in port:
            check_port_number(errors, f"{here}.port", port["port"])
        if port.get("appProtocol"):
            check_name(errors, f"{here}.appProtocol", port["appProtocol"], names.qualified_name)


def _errors(piece: Document) -> list[FieldError]:
    errors = metadata_errors(piece, names.dns_subdomain, namespaced=True)
    family = piece.get("addressType", "")
    if not family:
        errors.append(required("addressType"))
    elif family not in _FAMILIES:
        errors.append(not_supported("addressType", family, _FAMILIES))
    endpoints = piece.get("endpoints", ())
    if len(endpoints) > _MOST_ENDPOINTS:
        errors.append(too_many("endpoints", len(endpoints), _MOST_ENDPOINTS))
    else:
        for index, endpoint in enumerate(endpoints):
            _check_endpoint(errors, f"endpoints[{index}]", endpoint, family)
    _check_ports(errors, piece)
    return errors


def _update_errors(new: Document, old: Document) -> list[FieldError]:
    errors = metadata_update_errors(new, old)
    return errors + immutable("addressType", new.get("addressType", ""), old.get("addressType", ""))


ENDPOINT_SLICE = Kind(
    group=GROUP,
    version="v1",
    kind="EndpointSlice",
    plural="endpointslices",
    singular="endpointslice",
    namespaced=True,
    schema="io.k8s.api.discovery.v1.EndpointSlice",
    storage=ResourceKey(GROUP, "endpointslices"),
    has_generation=True,
    allow_create_on_update=True,
    name_rule=names.dns_subdomain,
    columns=(
        NAME,
        Column("AddressType", text("addressType"), description="The family of the addresses."),
        Column("Ports", _ports, description="The first ports."),
        Column("Endpoints", _addresses, description="The first addresses."),
        AGE,
    ),
    default=_default,
    validate=_errors,
    validate_update=_update_errors,
)
