"""Rules and defaults of nodes: taints, addresses, amounts, pod networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.addresses import check_cidr, parse_ip
from moorage.resources.checks import Errors, check_name
from moorage.resources.core.pods.resource_rules import check_amount
from moorage.resources.core.pods.scheduling_rules import TAINT_EFFECTS
from moorage.resources.field_errors import duplicate, forbidden, invalid, not_supported, required, shown
from moorage.resources.kind import Document, FieldError
from moorage.resources.metadata import metadata_errors, metadata_update_errors

Part = Mapping[str, Any]


def default(node: Document) -> None:
    """What may be allocated is all that there is, where nothing else is said; ``podCIDR`` is the first of ``podCIDRs``."""
    status = node.get("status")
    if status and "capacity" in status and "allocatable" not in status:
        status["allocatable"] = dict(status["capacity"])
    spec = node.setdefault("spec", {})
    if spec.get("podCIDRs"):
        spec["podCIDR"] = spec["podCIDRs"][0]
    elif spec.get("podCIDR"):
        spec["podCIDRs"] = [spec["podCIDR"]]


def check_taints(errors: Errors, path: str, taints: Sequence[Part]) -> None:
    """Taints: one for each key and effect."""
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        here, key, effect = f"{path}[{index}]", taint.get("key", ""), taint.get("effect", "")
        check_name(errors, f"{here}.key", key, names.qualified_name)
        check_name(errors, f"{here}.value", taint.get("value", ""), names.label_value)
        if not effect:
            errors.append(required(f"{here}.effect"))
        elif effect not in TAINT_EFFECTS:
            errors.append(not_supported(f"{here}.effect", effect, TAINT_EFFECTS))
        if (key, effect) in seen:
            message = f"Duplicate value: {shown(taint)}: taints must be unique by key and effect pair"
            errors.append(FieldError(here, "FieldValueDuplicate", message))
        seen.add((key, effect))


def _check_amounts(errors: Errors, status: Part) -> None:
    for which in ("capacity", "allocatable"):
        for name, text in (status.get(which) or {}).items():
            check_amount(errors, f"status.{which}.{name}", name, text)


def _check_networks(errors: Errors, networks: Sequence[str]) -> None:
    path = "spec.podCIDRs"
    for index, network in enumerate(networks):
        check_cidr(errors, f"{path}[{index}]", network)
        if network in networks[:index]:
            errors.append(duplicate(f"{path}[{index}]", network))
    if len(networks) > 1:
        addresses = [parse_ip(network.partition("/")[0]) for network in networks]
        if len(networks) > 2 or len({address.version for address in addresses if address}) < 2:
            errors.append(invalid(path, list(networks), "may specify no more than one CIDR for each IP family"))


def _state_errors(node: Document) -> list[FieldError]:
    errors: Errors = []
    spec, status = node.get("spec") or {}, node.get("status") or {}
    if "taints" in spec:
        check_taints(errors, "metadata.taints", spec["taints"])
    _check_amounts(errors, status)
    seen: list[Part] = []
    for index, address in enumerate(status.get("addresses", ())):
        if address in seen:
            errors.append(duplicate(f"status.addresses[{index}]", address))
        seen.append(address)
    return errors


def node_errors(node: Document) -> list[FieldError]:
    """What is wrong with a node, whether new or changed."""
    errors = metadata_errors(node, names.dns_subdomain, namespaced=False) + _state_errors(node)
    _check_networks(errors, (node.get("spec") or {}).get("podCIDRs", ()))
    return errors


def update_errors(new: Document, old: Document) -> list[FieldError]:
    """What is settled once it is set."""
    errors = metadata_update_errors(new, old)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if before.get("podCIDRs") and after.get("podCIDRs") != before["podCIDRs"]:
        detail = 'node updates may not change podCIDR except from "" to valid'
        errors.append(forbidden("spec.podCIDRs", detail))
    if before.get("providerID") and after.get("providerID") != before["providerID"]:
        detail = 'node updates may not change providerID except from "" to valid'
        errors.append(forbidden("spec.providerID", detail))
    if after.get("externalID") != before.get("externalID"):
        errors.append(forbidden("spec.externalID", "may not be updated"))
    return errors
