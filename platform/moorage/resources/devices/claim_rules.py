"""Rules of what a claim asks for: requests, constraints over what they get, configuration of what they get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from moorage.resources import names
from moorage.resources.checks import Errors, check_name
from moorage.resources.devices.checks import (
    MOST_CONFIGURATIONS,
    MOST_REQUESTS,
    check_items,
    check_opaque,
    check_qualified,
    check_selectors,
    check_toleration,
)
from moorage.resources.field_errors import invalid, not_supported, required

Part = Mapping[str, Any]
Names = Mapping[str, frozenset[str]]
"""Names of a claim's requests, each with those of its alternatives."""

MODES = ("All", "ExactCount")
MOST_ALTERNATIVES = 8
MOST_CONSTRAINTS = 32
_ONE_KIND = "exactly one of `exactly` or `firstAvailable` is required"
_NO_REQUEST = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"


def default_devices(devices: dict[str, Any]) -> None:
    """Fill in how many devices each request is for, and how its tolerations compare."""
    for request in devices.get("requests") or ():
        for part in (request.get("exactly"), *(request.get("firstAvailable") or ())):
            if part is None:
                continue
            if not part.get("allocationMode"):
                part["allocationMode"] = "ExactCount"
            if part["allocationMode"] == "ExactCount" and not part.get("count"):
                part["count"] = 1
            for toleration in part.get("tolerations") or ():
                if not toleration.get("operator"):
                    toleration["operator"] = "Equal"


def names_of(devices: Part) -> Names:
    """What references to requests may say."""
    return {
        request.get("name", ""): frozenset(each.get("name", "") for each in request.get("firstAvailable") or ())
        for request in devices.get("requests") or ()
    }


def check_devices(errors: Errors, path: str, devices: Part) -> None:
    """``spec.devices`` of a claim."""
    known = names_of(devices)
    requests: Sequence[Part] = devices.get("requests") or ()
    check_items(errors, f"{path}.requests", requests, MOST_REQUESTS, _check_request, _name)
    constraints: Sequence[Part] = devices.get("constraints") or ()
    check_items(
        errors, f"{path}.constraints", constraints, MOST_CONSTRAINTS, partial(_check_constraint, requests=known)
    )
    check_configurations(errors, f"{path}.config", devices.get("config") or (), known, MOST_CONFIGURATIONS)


def check_configurations(errors: Errors, path: str, given: Sequence[Part], requests: Names, limit: int) -> None:
    """Configurations, each for some of the claim's requests."""
    check_items(errors, path, given, limit, partial(_check_configuration, requests=requests))


def check_reference(errors: Errors, path: str, name: str, *, requests: Names) -> None:
    """The name of a request, or of an alternative as ``request/alternative``."""
    request, _, rest = name.partition("/")
    if "/" in rest:
        errors.append(invalid(path, name, _NO_REQUEST))
        return
    for part in name.split("/"):
        check_name(errors, path, part, names.dns_label)
    if request not in requests or ("/" in name and rest not in requests[request]):
        errors.append(invalid(path, name, _NO_REQUEST))


def _name(part: Part) -> str:
    return str(part.get("name", ""))


def _check_request(errors: Errors, path: str, request: Part) -> None:
    check_name(errors, f"{path}.name", request.get("name", ""), names.dns_label)
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable")
    if exactly is None and not alternatives:
        errors.append(required(path, _ONE_KIND))
    elif exactly is not None and alternatives:
        errors.append(invalid(path, None, f"{_ONE_KIND}, but multiple fields are set"))
    elif exactly is not None:
        _check_wanted(errors, f"{path}.exactly", exactly)
    else:
        check_items(errors, f"{path}.firstAvailable", alternatives or (), MOST_ALTERNATIVES, _check_alternative, _name)


def _check_alternative(errors: Errors, path: str, wanted: Part) -> None:
    check_name(errors, f"{path}.name", wanted.get("name", ""), names.dns_label)
    _check_wanted(errors, path, wanted)


def _check_wanted(errors: Errors, path: str, wanted: Part) -> None:
    name = wanted.get("deviceClassName", "")
    if not name:
        errors.append(required(f"{path}.deviceClassName"))
    else:
        check_name(errors, f"{path}.deviceClassName", name, names.dns_subdomain)
    check_selectors(errors, f"{path}.selectors", wanted.get("selectors") or ())
    mode, count = wanted["allocationMode"], wanted.get("count", 0)
    if mode == "All" and count:
        errors.append(invalid(f"{path}.count", count, f"must not be specified when allocationMode is '{mode}'"))
    elif mode == "ExactCount" and count <= 0:
        errors.append(invalid(f"{path}.count", count, "must be greater than zero"))
    elif mode not in MODES:
        errors.append(not_supported(f"{path}.allocationMode", mode, MODES))
    for index, toleration in enumerate(wanted.get("tolerations") or ()):
        check_toleration(errors, f"{path}.tolerations[{index}]", toleration)


def _check_constraint(errors: Errors, path: str, constraint: Part, *, requests: Names) -> None:
    _check_references(errors, path, constraint, requests)
    for name in ("matchAttribute", "distinctAttribute"):
        if name in constraint:
            check_qualified(errors, f"{path}.{name}", constraint[name], fully=True)
            return
    errors.append(required(path, 'exactly one of "matchAttribute" or "distinctAttribute" is required'))


def _check_configuration(errors: Errors, path: str, configuration: Part, *, requests: Names) -> None:
    _check_references(errors, path, configuration, requests)
    check_opaque(errors, path, configuration)


def _check_references(errors: Errors, path: str, part: Part, requests: Names) -> None:
    given: Sequence[str] = part.get("requests") or ()
    check_items(errors, f"{path}.requests", given, MOST_REQUESTS, partial(check_reference, requests=requests), str)
