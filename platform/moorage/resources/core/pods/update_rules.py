"""What may change of a pod once it is there. Source: "Pods", "Pod update and replacement"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.addresses import check_ip
from moorage.resources.checks import LARGEST_INT32, Errors, check_name
from moorage.resources.core.pods.prepare import MIRROR
from moorage.resources.core.pods.restart_rules import may_all_restart, may_restart
from moorage.resources.core.pods.scheduling_rules import check_tolerations
from moorage.resources.field_errors import duplicate, forbidden, immutable, invalid
from moorage.resources.kind import Document, FieldError
from moorage.resources.metadata import metadata_update_errors

Part = Mapping[str, Any]

_CHANGEABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_SYSTEM_CONDITIONS = frozenset({"PodScheduled", "Ready", "Initialized"})


def _without(spec: Part, *dropped: str) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key not in dropped}


def _without_images(containers: Sequence[Part]) -> list[dict[str, Any]]:
    return [_without(each, "image") for each in containers]


def _check_containers(errors: Errors, path: str, new: Sequence[Part], old: Sequence[Part]) -> bool:
    """Whether the lists can be compared one by one."""
    if len(new) != len(old):
        errors.append(forbidden(path, "pod updates may not add or remove containers"))
        return False
    return True


def _check_deadline(errors: Errors, new: Part, old: Part) -> None:
    path, after, before = (
        "spec.activeDeadlineSeconds",
        new.get("activeDeadlineSeconds"),
        old.get("activeDeadlineSeconds"),
    )
    if after is None:
        if before is not None:
            errors.append(invalid(path, None, "must not update from a positive integer to nil value"))
    elif not 0 <= after <= LARGEST_INT32:
        errors.append(invalid(path, after, f"must be between 0 and {LARGEST_INT32}, inclusive"))
    elif before is not None and before < after:
        errors.append(invalid(path, after, "must be less than or equal to previous value"))


def _check_tolerations(errors: Errors, new: Sequence[Part], old: Sequence[Part]) -> None:
    kept = [_without(each, "tolerationSeconds") for each in new]
    if any(_without(each, "tolerationSeconds") not in kept for each in old):
        detail = "existing toleration can not be modified except its tolerationSeconds"
        errors.append(forbidden("spec.tolerations", detail))
    else:
        check_tolerations(errors, "spec.tolerations", new)


def _check_gates(errors: Errors, new: Sequence[Part], old: Sequence[Part]) -> None:
    known = {each.get("name") for each in old}
    for index, gate in enumerate(new):
        if gate.get("name") not in known:
            detail = f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            errors.append(forbidden(f"spec.schedulingGates[{index}].name", detail))


def _comparable(spec: Part) -> dict[str, Any]:
    """``spec`` without what may change."""
    rest = _without(spec, "activeDeadlineSeconds", "tolerations", "schedulingGates")
    for name in ("containers", "initContainers"):
        if name in rest:
            rest[name] = _without_images(rest[name])
    return rest


def _changed(path: str, new: Any, old: Any) -> list[str]:
    """Paths at which two documents differ, as deep as objects and lists of one length go."""
    if isinstance(new, dict) and isinstance(old, dict):
        found: list[str] = []
        for key in sorted({*new, *old}):
            if new.get(key) != old.get(key):
                found += _changed(f"{path}.{key}", new.get(key), old.get(key))
        return found
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return [
            each
            for index, (after, before) in enumerate(zip(new, old, strict=True))
            if after != before
            for each in _changed(f"{path}[{index}]", after, before)
        ]
    return [path]


def _check_mirror(errors: Errors, after: str | None, before: str | None) -> None:
    """A pod stays what it is: the mirror of a static pod, or none."""
    path = f"metadata.annotations[{MIRROR}]"
    if before is None and after is not None:
        errors.append(forbidden(path, "may not add mirror pod annotation"))
    elif after != before:
        errors.append(forbidden(path, "may not remove or update mirror pod annotation"))


def _allow_gated(new: dict[str, Any], old: dict[str, Any]) -> None:
    """A gated pod's node selector and node affinity may be narrowed: what is only added does not count as a change."""
    before, after = old.get("nodeSelector") or {}, new.get("nodeSelector") or {}
    if before.items() <= after.items():
        new.pop("nodeSelector", None)
        old.pop("nodeSelector", None)


def update_errors(new: Document, old: Document) -> list[FieldError]:
    """What an update may not change; the rules of pods apply besides."""
    errors = metadata_update_errors(new, old)
    _check_mirror(errors, *((each["metadata"].get("annotations") or {}).get(MIRROR) for each in (new, old)))
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after == before:
        return errors
    for name in ("containers", "initContainers"):
        if not _check_containers(errors, f"spec.{name}", after.get(name, ()), before.get(name, ())):
            return errors
    _check_deadline(errors, after, before)
    _check_tolerations(errors, after.get("tolerations", ()), before.get("tolerations", ()))
    _check_gates(errors, after.get("schedulingGates", ()), before.get("schedulingGates", ()))
    compared, standing = _comparable(after), _comparable(before)
    if standing.get("terminationGracePeriodSeconds", 0) < 0 and compared.get("terminationGracePeriodSeconds") == 1:
        compared["terminationGracePeriodSeconds"] = standing["terminationGracePeriodSeconds"]
    if before.get("schedulingGates"):
        _allow_gated(compared, standing)
    if compared != standing:
        listed = ", ".join(_changed("spec", compared, standing))
        detail = f"pod updates may not change fields other than {_CHANGEABLE}\nchanged: {listed}"
        errors.append(forbidden("spec", detail))
    return errors


def _check_transitions(errors: Errors, name: str, new: Part, old: Part, spec: Part, part: str) -> None:
    """What has ended may run again only where its policy or a rule of its own says so."""
    policy = spec.get("restartPolicy", "Always")
    if policy == "Always" or may_all_restart(spec):
        return
    containers = {each.get("name"): each for each in spec.get(part, ())}
    states = {each.get("name"): each for each in new.get(name, ())}
    for index, before in enumerate(old.get(name, ())):
        ended = (before.get("state") or {}).get("terminated")
        after = states.get(before.get("name"))
        if ended is None or after is None:
            continue
        if may_restart(containers.get(before.get("name"), {}), policy, ended.get("exitCode", 0)):
            continue
        if (after.get("state") or {}).get("terminated") is None:
            detail = "may not be transitioned to non-terminated state"
            errors.append(forbidden(f"status.{name}[{index}].state", detail))


def _check_addresses(errors: Errors, name: str, status: Part) -> None:
    seen: set[str] = set()
    for index, each in enumerate(status.get(name, ())):
        address = each.get("ip", "")
        check_ip(errors, f"status.{name}[{index}]", address)
        if address in seen:
            errors.append(duplicate(f"status.{name}[{index}]", each))
        seen.add(address)


def status_update_errors(new: Document, old: Document) -> list[FieldError]:
    """What an update of the status may not do."""
    errors = metadata_update_errors(new, old)
    after, before, spec = new.get("status") or {}, old.get("status") or {}, old.get("spec") or {}
    for index, condition in enumerate(after.get("conditions", ())):
        if condition.get("type") not in _SYSTEM_CONDITIONS:
            check_name(errors, f"status.conditions[{index}].type", condition.get("type", ""), names.qualified_name)
    nominated = after.get("nominatedNodeName", "")
    if nominated and nominated != before.get("nominatedNodeName"):
        check_name(errors, "status.nominatedNodeName", nominated, names.dns_subdomain)
    errors += immutable("status.qosClass", after.get("qosClass", before.get("qosClass")), before.get("qosClass"))
    _check_transitions(errors, "containerStatuses", after, before, spec, "containers")
    _check_transitions(errors, "initContainerStatuses", after, before, spec, "initContainers")
    _check_addresses(errors, "podIPs", after)
    _check_addresses(errors, "hostIPs", after)
    host_ips = after.get("hostIPs")
    if host_ips and after.get("hostIP") != host_ips[0].get("ip"):
        errors.append(invalid("status.hostIPs[0].ip", host_ips[0].get("ip", ""), "must be equal to `hostIP`"))
    return errors
