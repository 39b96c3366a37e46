"""Endpoints: the addresses behind a Service, in the form that EndpointSlices replaced. Source: pkg/apis/core/validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.addresses import check_not_special
from moorage.resources.checks import PROTOCOLS, Errors, check_choice, check_name, check_port_number
from moorage.resources.declaring import CORE
from moorage.resources.field_errors import required
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, NONE

Part = Mapping[str, Any]
SHOWN = 3
"""Addresses that a cell of ``kubectl get`` shows."""


def shortened(items: Sequence[str]) -> str:
    """The first three, and how many more there are."""
    if not items:
        return NONE
    more = f" + {len(items) - SHOWN} more..." if len(items) > SHOWN else ""
    return ",".join(items[:SHOWN]) + more


def _cell(endpoints: Document, _now: float) -> Any:
    found: list[str] = []
    for subset in endpoints.get("subsets", ()):
        addresses = [each.get("ip", "") for each in subset.get("addresses", ())]
        ports = subset.get("ports", ())
        found += [f"{ip}:{port.get('port', 0)}" for port in ports for ip in addresses] if ports else addresses
    return shortened(found)


def _default(endpoints: Document) -> None:
    for subset in endpoints.get("subsets", ()):
        for port in subset.get("ports", ()):
            if not port.get("protocol"):
                port["protocol"] = "TCP"


def _check_address(errors: Errors, path: str, address: Part) -> None:
    check_not_special(errors, f"{path}.ip", address.get("ip", ""))
    if address.get("hostname"):
        check_name(errors, f"{path}.hostname", address["hostname"], names.dns_label)
    if "nodeName" in address:
        check_name(errors, f"{path}.nodeName", address["nodeName"], names.dns_subdomain)


def _check_port(errors: Errors, path: str, port: Part, *, alone: bool) -> None:
    if port.get("name"):
        check_name(errors, f"{path}.name", port["name"], names.dns_label)
    elif not alone:
        errors.append(required(f"{path}.name"))
    check_port_number(errors, f"{path}.port", port.get("port", 0))
    check_choice(errors, f"{path}.protocol", port.get("protocol"), PROTOCOLS)
    if port.get("appProtocol"):
        check_name(errors, f"{path}.appProtocol", port["appProtocol"], names.qualified_name)


def _errors(endpoints: Document) -> list[FieldError]:
    errors = metadata_errors(endpoints, names.dns_subdomain, namespaced=True)
    for index, subset in enumerate(endpoints.get("subsets", ())):
        here = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            errors.append(required(here, "must specify `addresses` or `notReadyAddresses`"))
        for field in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(field, ())):
                _check_address(errors, f"{here}.{field}[{number}]", address)
        ports = subset.get("ports", ())
        for number, port in enumerate(ports):
            _check_port(errors, f"{here}.ports[{number}]", port, alone=len(ports) == 1)
    return errors


ENDPOINTS = Kind(
    group="",
    version="v1",
    kind="Endpoints",
    plural="endpoints",
    singular="endpoints",
    namespaced=True,
    schema=f"{CORE}.Endpoints",
    short_names=("ep",),
    storage=ResourceKey("", "endpoints"),
    allow_create_on_update=True,
    name_rule=names.dns_subdomain,
    columns=(NAME, Column("Endpoints", _cell, description="The first addresses, with their ports."), AGE),
    default=_default,
    validate=_errors,
    validate_update=metadata_update_errors,
)
