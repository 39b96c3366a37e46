"""Rules of a claim's status: which devices it was given, who uses it, what drivers say of the devices."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from moorage.resources import names
from moorage.resources.checks import Errors, check_name
from moorage.resources.core.persistent_volume_rules import check_csi_driver
from moorage.resources.core.pods.scheduling_rules import check_node_selector
from moorage.resources.devices.checks import (
    LONGEST_PARAMETERS,
    MOST_CONFIGURATIONS,
    check_binding,
    check_items,
    check_pool,
    check_raw,
    check_toleration,
    check_uid,
)
from moorage.resources.devices.claim_rules import Names, check_configurations, check_reference, names_of
from moorage.resources.field_errors import forbidden, immutable, invalid, not_supported, required, too_long, too_many
from moorage.resources.kind import Document, FieldError
from moorage.resources.metadata import metadata_update_errors

Part = Mapping[str, Any]
Identity = tuple[str, str, str, str]

MOST_RESULTS = 32
MOST_USERS = 256
MOST_CONDITIONS = 8
MOST_ADDRESSES = 16
SOURCES = ("FromClaim", "FromClass")
_LENGTHS = {"interfaceName": 256, "hardwareAddress": 128}


def status_errors(new: Document, old: Document) -> list[FieldError]:
    """What is wrong with a write of a claim's status."""
    errors = metadata_update_errors(new, old)
    after: Part = new.get("status") or {}
    before: Part = old.get("status") or {}
    users: Sequence[Part] = after.get("reservedFor") or ()
    check_items(errors, "status.reservedFor", users, MOST_USERS, _check_user, lambda user: user.get("uid", ""))
    given = {identity_of(each) for each in results_of(after)}
    states: Sequence[Part] = after.get("devices") or ()
    check_items(errors, "status.devices", states, len(states), partial(_check_state, given=given), identity_of)
    _check_users(errors, new, users, before.get("reservedFor") or ())
    allocation = after.get("allocation")
    if allocation is not None and before.get("allocation") is not None:
        errors += immutable("status.allocation", allocation, before["allocation"])
    elif allocation is not None:
        requests = names_of((new.get("spec") or {}).get("devices") or {})
        _check_allocation(errors, "status.allocation", allocation, requests)
    return errors


def results_of(status: Part) -> Sequence[Part]:
    """The devices that a claim was given."""
    return ((status.get("allocation") or {}).get("devices") or {}).get("results") or ()


def identity_of(device: Part) -> Identity:
    """Driver, pool, name, and the share of a device that several claims have."""
    return (device.get("driver", ""), device.get("pool", ""), device.get("device", ""), device.get("shareID", ""))


def forget_released(new: Document, old: Document) -> None:
    """What drivers said of devices goes with the devices."""
    status = new.get("status") or {}
    kept = {identity_of(each)[:3] for each in results_of(status)}
    gone = {identity_of(each)[:3] for each in results_of(old.get("status") or {})} - kept
    left = [each for each in status.get("devices") or () if identity_of(each)[:3] not in gone]
    if left:
        status["devices"] = left
    else:
        status.pop("devices", None)


def _check_user(errors: Errors, path: str, user: Part) -> None:
    errors.extend(required(f"{path}.{name}") for name in ("resource", "name", "uid") if not user.get(name))


def _check_users(errors: Errors, claim: Document, users: Sequence[Part], before: Sequence[Part]) -> None:
    if not users:
        return
    if (claim.get("status") or {}).get("allocation") is None:
        errors.append(forbidden("status.reservedFor", "may not be specified when `allocated` is not set"))
    elif claim["metadata"].get("deletionTimestamp") and any(user not in before for user in users):
        detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        errors.append(forbidden("status.reservedFor", detail))


def _check_allocation(errors: Errors, path: str, allocation: Part, requests: Names) -> None:
    devices: Part = allocation.get("devices") or {}
    results: Sequence[Part] = devices.get("results") or ()
    here = f"{path}.devices"
    check_items(errors, f"{here}.results", results, MOST_RESULTS, partial(_check_result, requests=requests))
    given: Sequence[Part] = devices.get("config") or ()
    for index, each in enumerate(given):
        source = each.get("source", "")
        if not source:
            errors.append(required(f"{here}.config[{index}].source"))
        elif source not in SOURCES:
            errors.append(not_supported(f"{here}.config[{index}].source", source, SOURCES))
    check_configurations(errors, f"{here}.config", given, requests, 2 * MOST_CONFIGURATIONS)
    if "nodeSelector" in allocation:
        check_node_selector(errors, f"{path}.nodeSelector", allocation["nodeSelector"])


def _check_result(errors: Errors, path: str, result: Part, *, requests: Names) -> None:
    check_reference(errors, f"{path}.request", result.get("request", ""), requests=requests)
    _check_device(errors, path, result)
    check_binding(errors, path, result)
    for index, toleration in enumerate(result.get("tolerations") or ()):
        check_toleration(errors, f"{path}.tolerations[{index}]", toleration)


def _check_device(errors: Errors, path: str, device: Part) -> None:
    check_csi_driver(errors, f"{path}.driver", device.get("driver", ""))
    check_pool(errors, f"{path}.pool", device.get("pool", ""))
    check_name(errors, f"{path}.device", device.get("device", ""), names.dns_label)
    if "shareID" in device:
        check_uid(errors, f"{path}.shareID", device["shareID"])


def _check_state(errors: Errors, path: str, state: Part, *, given: set[Identity]) -> None:
    _check_device(errors, path, state)
    identity = identity_of(state)
    if identity not in given:
        errors.append(invalid(path, "/".join(filter(None, identity)), "must be an allocated device in the claim"))
    conditions: Sequence[Part] = state.get("conditions") or ()
    if len(conditions) > MOST_CONDITIONS:
        errors.append(too_many(f"{path}.conditions", len(conditions), MOST_CONDITIONS))
    if "data" in state:
        check_raw(errors, f"{path}.data", state["data"], LONGEST_PARAMETERS)
    _check_network(errors, f"{path}.networkData", state.get("networkData") or {})


def _check_network(errors: Errors, path: str, network: Part) -> None:
    for name, limit in _LENGTHS.items():
        if len(network.get(name, "").encode()) > limit:
            errors.append(too_long(f"{path}.{name}", limit))
    check_items(errors, f"{path}.ips", network.get("ips") or (), MOST_ADDRESSES, _check_address, str)


def _check_address(errors: Errors, path: str, address: str) -> None:
    try:
        ipaddress.ip_interface(address)
    except ValueError:
        sound = False
    else:
        sound = "/" in address
    if not sound:
        detail = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        errors.append(invalid(path, address, detail))
