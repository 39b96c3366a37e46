"""Rules of ResourceSlices: devices that a driver has, where they can be reached, what they share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from moorage.resources import names
from moorage.resources.checks import Errors, check_name
from moorage.resources.core.persistent_volume_rules import check_csi_driver
from moorage.resources.core.pods.scheduling_rules import check_node_selector
from moorage.resources.devices.capacity_rules import check_capacity
from moorage.resources.devices.checks import (
    EFFECTS,
    check_binding,
    check_items,
    check_label_name,
    check_pool,
    check_qualified,
)
from moorage.resources.field_errors import immutable, invalid, not_supported, required, too_long, too_many
from moorage.resources.kind import Document, FieldError
from moorage.resources.metadata import metadata_errors, metadata_update_errors

Part = Mapping[str, Any]

MOST_DEVICES, MOST_ELABORATE = 128, 64
"""Devices in a slice; and where some have taints or draw on counters."""
MOST_ATTRIBUTES = 32
"""Attributes and capacities of a device together."""
MOST_TAINTS = 16
MOST_COUNTER_SETS, MOST_COUNTERS, MOST_DRAWS = 8, 32, 2
LONGEST_VALUE = 64
_VALUES = ("bool", "bools", "int", "ints", "string", "strings", "version", "versions")
_SEMANTIC_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
).fullmatch
_ONE_PLACE = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
_ONE_PLACE_EACH = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the "
    "ResourceSlice spec"
)
_NOT_EACH = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the "
    "ResourceSlice spec"
)
_PLACES = ("nodeName", "nodeSelector", "allNodes")


def slice_errors(document: Document) -> list[FieldError]:
    """What is wrong with a ResourceSlice, whether new or changed."""
    errors = metadata_errors(document, names.dns_subdomain, namespaced=False)
    spec: Part = document.get("spec") or {}
    check_csi_driver(errors, "spec.driver", spec.get("driver", ""))
    _check_pool(errors, spec.get("pool") or {})
    _check_place(errors, spec)
    devices: Sequence[Part] = spec.get("devices") or ()
    if devices and spec.get("sharedCounters"):
        errors.append(invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
    elaborate = any(each.get("taints") or each.get("consumesCounters") for each in devices)
    limit = MOST_ELABORATE if elaborate else MOST_DEVICES
    check = partial(_check_device, placed=bool(spec.get("perDeviceNodeSelection")))
    check_items(errors, "spec.devices", devices, limit, check, lambda device: device.get("name", ""))
    shared: Sequence[Part] = spec.get("sharedCounters") or ()
    check_items(
        errors, "spec.sharedCounters", shared, MOST_COUNTER_SETS, _check_counter_set, lambda each: each.get("name", "")
    )
    return errors


def slice_update_errors(new: Document, old: Document) -> list[FieldError]:
    """What a slice stays for good: its driver's, of its pool, on its node."""
    errors = metadata_update_errors(new, old)
    after: Part = new.get("spec") or {}
    before: Part = old.get("spec") or {}
    pools = [(each.get("pool") or {}).get("name") for each in (after, before)]
    errors += immutable("spec.pool.name", *pools)
    for name in ("driver", "nodeName"):
        errors += immutable(f"spec.{name}", after.get(name), before.get(name))
    return errors


def _check_pool(errors: Errors, pool: Part) -> None:
    check_pool(errors, "spec.pool.name", pool.get("name", ""))
    count, generation = pool.get("resourceSliceCount", 0), pool.get("generation", 0)
    if count <= 0:
        errors.append(invalid("spec.pool.resourceSliceCount", count, "must be greater than zero"))
    if generation < 0:
        errors.append(invalid("spec.pool.generation", generation, "must be greater than or equal to zero"))


def _check_place(errors: Errors, spec: Part) -> None:
    found = _places(errors, "spec", spec, (*_PLACES, "perDeviceNodeSelection"))
    terms = (spec.get("nodeSelector") or {}).get("nodeSelectorTerms") or ()
    if "nodeSelector" in spec and len(terms) != 1:
        detail = "must have exactly one node selector term"
        errors.append(invalid("spec.nodeSelector.nodeSelectorTerms", terms, detail))
    if not found:
        errors.append(required("spec", _ONE_PLACE))
    elif len(found) > 1:
        detail = f"{_ONE_PLACE}, but multiple fields are set"
        errors.append(invalid("spec", "{" + ", ".join(found) + "}", detail))


def _places(errors: Errors, path: str, part: Part, allowed: Sequence[str]) -> list[str]:
    """Which of the fields are given that say where devices can be reached, in backticks."""
    found = []
    for name in allowed:
        value = part.get(name)
        if value is None:
            continue
        if value is False:
            errors.append(invalid(f"{path}.{name}", value, "must be either unset or set to true"))
            continue
        if name == "nodeName":
            if not value:
                detail = "must be either unset or set to a non-empty string"
                errors.append(invalid(f"{path}.{name}", value, detail))
                continue
            check_name(errors, f"{path}.{name}", value, names.dns_subdomain)
        elif name == "nodeSelector":
            check_node_selector(errors, f"{path}.{name}", value)
        found.append(f"`{name}`")
    return found


def _check_device(errors: Errors, path: str, device: Part, *, placed: bool) -> None:
    check_name(errors, f"{path}.name", device.get("name", ""), names.dns_label)
    attributes: Mapping[str, Part] = device.get("attributes") or {}
    capacity: Mapping[str, Part] = device.get("capacity") or {}
    if (count := len(attributes) + len(capacity)) > MOST_ATTRIBUTES:
        detail = f"the total number of attributes and capacities must not exceed {MOST_ATTRIBUTES}"
        errors.append(invalid(path, count, detail))
    for name, attribute in attributes.items():
        check_qualified(errors, f"{path}.attributes", name)
        _check_attribute(errors, f"{path}.attributes[{name}]", attribute)
    for name, amount in capacity.items():
        check_qualified(errors, f"{path}.capacity", name)
        shared = bool(device.get("allowMultipleAllocations"))
        check_capacity(errors, f"{path}.capacity[{name}]", amount, shared=shared)
    check_items(errors, f"{path}.taints", device.get("taints") or (), MOST_TAINTS, _check_taint)
    draws: Sequence[Part] = device.get("consumesCounters") or ()
    check_items(
        errors, f"{path}.consumesCounters", draws, MOST_DRAWS, _check_draw, lambda each: each.get("counterSet", "")
    )
    _check_device_place(errors, path, device, placed=placed)
    check_binding(errors, path, device)


def _check_device_place(errors: Errors, path: str, device: Part, *, placed: bool) -> None:
    if not placed:
        if any(name in device for name in _PLACES):
            errors.append(invalid(path, None, _NOT_EACH))
        return
    found = _places(errors, path, device, _PLACES)
    if not found:
        errors.append(required(path, _ONE_PLACE_EACH))
    elif len(found) > 1:
        errors.append(invalid(path, "{" + ", ".join(found) + "}", _ONE_PLACE_EACH))


def _check_attribute(errors: Errors, path: str, attribute: Part) -> None:
    given = [name for name in _VALUES if name in attribute]
    if len(given) != 1:
        errors.append(invalid(path, dict(attribute) if given else "", "exactly one value must be specified"))
    for name in given:
        values = attribute[name] if name.endswith("s") else [attribute[name]]
        for index, value in enumerate(values):
            here = f"{path}.{name}[{index}]" if name.endswith("s") else f"{path}.{name}"
            if name.startswith("version") and not _SEMANTIC_VERSION(value):
                errors.append(invalid(here, value, "must be a string compatible with semver.org spec 2.0.0"))
            if isinstance(value, str) and len(value.encode()) > LONGEST_VALUE:
                errors.append(too_long(here, LONGEST_VALUE))


def _check_taint(errors: Errors, path: str, taint: Part) -> None:
    check_label_name(errors, f"{path}.key", taint.get("key", ""))
    check_name(errors, f"{path}.value", taint.get("value", ""), names.label_value)
    effect = taint.get("effect", "")
    if not effect:
        errors.append(required(f"{path}.effect"))
    elif effect not in EFFECTS:
        errors.append(not_supported(f"{path}.effect", effect, EFFECTS))


def _check_counter_set(errors: Errors, path: str, part: Part) -> None:
    _check_counters(errors, path, part, "name")


def _check_draw(errors: Errors, path: str, part: Part) -> None:
    _check_counters(errors, path, part, "counterSet")


def _check_counters(errors: Errors, path: str, part: Part, name: str) -> None:
    if not part.get(name):
        errors.append(required(f"{path}.{name}"))
    else:
        check_name(errors, f"{path}.{name}", part[name], names.dns_label)
    counters: Mapping[str, Part] = part.get("counters") or {}
    if not counters:
        errors.append(required(f"{path}.counters"))
    if len(counters) > MOST_COUNTERS:
        errors.append(too_many(f"{path}.counters", len(counters), MOST_COUNTERS))
        return
    for each in counters:
        check_name(errors, f"{path}.counters", each, names.dns_label)
