"""What Services take from shared ranges: networking.k8s.io/v1 ServiceCIDR and IPAddress, and node ports of our own.

An address or port is taken by creating its object in the commit that writes the Service: the name is unique, so the database
decides between two that want the same. Source: KEP-1880, pkg/apis/networking/validation.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from moorage.resources import names
from moorage.resources.addresses import CIDR_MESSAGE, IP_MESSAGE
from moorage.resources.declaring import by_name, status_of
from moorage.resources.field_errors import immutable, invalid, required
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, at, text

GROUP = "networking.k8s.io"
OWN_GROUP = "network.moorage.io"
_API = "io.k8s.api.networking.v1"


def _cidr_errors(path: str, value: str) -> list[FieldError]:
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        return [invalid(path, value, CIDR_MESSAGE)]
    if "/" not in value:
        return [invalid(path, value, CIDR_MESSAGE)]
    if str(network) != value:
        return [invalid(path, value, f'must be in canonical form ("{network}")')]
    return []


def _range_errors(ranges: Document) -> list[FieldError]:
    errors = metadata_errors(ranges, names.dns_subdomain, namespaced=False)
    cidrs = at(ranges, "spec.cidrs", ())
    if not cidrs:
        return [*errors, required("spec.cidrs", "at least one CIDR required")]
    if len(cidrs) > 2:
        detail = "may only hold up to 2 values"
        return [*errors, invalid("spec", ranges["spec"], detail)]
    wrong = [error for index, cidr in enumerate(cidrs) for error in _cidr_errors(f"spec.cidrs[{index}]", cidr)]
    if not wrong and len(cidrs) == 2 and len({ip_network(cidr).version for cidr in cidrs}) < 2:
        detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        wrong = [invalid("spec.cidrs", list(cidrs), detail)]
    return errors + wrong


def _range_update_errors(new: Document, old: Document) -> list[FieldError]:
    errors = metadata_update_errors(new, old)
    after, before = list(at(new, "spec.cidrs", ())), list(at(old, "spec.cidrs", ()))
    if len(before) == 1 and len(after) == 2 and after[0] == before[0]:
        return errors
    return errors + immutable("spec.cidrs", after, before)


def _is_address(name: str) -> str | None:
    try:
        address = ip_address(name)
    except ValueError:
        return IP_MESSAGE
    return None if str(address) == name else f'must be in canonical form ("{address}")'


def _address_errors(address: Document) -> list[FieldError]:
    errors = metadata_errors(address, _is_address, namespaced=False)
    parent = at(address, "spec.parentRef", None)
    if not parent:
        return [*errors, required("spec.parentRef")]
    if not parent.get("resource"):
        errors.append(required("spec.parentRef.resource"))
    elif problem := names.path_segment(parent["resource"]):
        errors.append(invalid("spec.parentRef.resource", parent["resource"], problem))
    if not parent.get("name"):
        errors.append(required("spec.parentRef.name"))
    elif problem := names.path_segment(parent["name"]):
        errors.append(invalid("spec.parentRef.name", parent["name"], problem))
    return errors


def _address_update_errors(new: Document, old: Document) -> list[FieldError]:
    errors = metadata_update_errors(new, old)
    return errors + immutable("spec.parentRef", at(new, "spec.parentRef", None), at(old, "spec.parentRef", None))


def _parent(address: Document, _now: float) -> Any:
    parent = at(address, "spec.parentRef", {})
    parts = (parent.get("group"), parent.get("resource"), parent.get("namespace"), parent.get("name"))
    return "/".join(part for part in parts if part) or "<none>"


def _cidrs(ranges: Document, _now: float) -> Any:
    return ",".join(at(ranges, "spec.cidrs", ()))


SERVICE_CIDR = Kind(
    group=GROUP,
    version="v1",
    kind="ServiceCIDR",
    plural="servicecidrs",
    singular="servicecidr",
    namespaced=False,
    schema=f"{_API}.ServiceCIDR",
    storage=ResourceKey(GROUP, "servicecidrs"),
    name_rule=names.dns_subdomain,
    subresources=by_name((status_of(GROUP, "v1", "ServiceCIDR"),)),
    columns=(NAME, Column("CIDRs", _cidrs, description="The ranges that addresses of Services come from."), AGE),
    validate=_range_errors,
    validate_update=_range_update_errors,
    validate_status_update=metadata_update_errors,
)
IP_ADDRESS = Kind(
    group=GROUP,
    version="v1",
    kind="IPAddress",
    plural="ipaddresses",
    singular="ipaddress",
    namespaced=False,
    schema=f"{_API}.IPAddress",
    short_names=("ip",),
    storage=ResourceKey(GROUP, "ipaddresses"),
    has_generation=True,
    name_rule=_is_address,
    columns=(NAME, Column("ParentRef", _parent, description="What the address belongs to."), AGE),
    validate=_address_errors,
    validate_update=_address_update_errors,
)


def port_name(protocol: str, number: int) -> str:
    """The name of a node port's object."""
    return f"{protocol.lower()}-{number}"


NODE_PORT = Kind(
    group=OWN_GROUP,
    version="v1",
    kind="NodePort",
    plural="nodeports",
    singular="nodeport",
    namespaced=False,
    schema="io.moorage.network.v1.NodePort",
    storage=ResourceKey(OWN_GROUP, "nodeports"),
    name_rule=names.dns_label,
    columns=(
        NAME,
        Column("Namespace", text("spec.namespace"), description="The namespace of the Service that has the port."),
        Column("Service", text("spec.service"), description="The Service that has the port."),
        AGE,
    ),
    validate=lambda port: metadata_errors(port, names.dns_label, namespaced=False),
    validate_update=metadata_update_errors,
)
