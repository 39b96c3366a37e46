"""Rules of containers: names, images, ports; init containers and sidecars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moorage.resources import names
from moorage.resources.checks import PORT_RANGE, PROTOCOLS, Errors, check_choice
from moorage.resources.core.pods.env_rules import check_env, check_env_files, check_env_from
from moorage.resources.core.pods.handler_rules import check_lifecycle, check_probes, check_stop_signal
from moorage.resources.core.pods.mount_rules import check_devices, check_mounts
from moorage.resources.core.pods.resource_rules import check_requirements
from moorage.resources.core.pods.restart_rules import check_restarts
from moorage.resources.core.pods.security_rules import check_container_context
from moorage.resources.field_errors import duplicate, forbidden, invalid, not_found, required

Part = Mapping[str, Any]

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_RESIZED = ("cpu", "memory")
_RESIZE_POLICIES = ("NotRequired", "RestartContainer")
_NOT_FOR_INIT = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
_NOT_FOR_EPHEMERAL = (
    "ports",
    "resources",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "restartPolicy",
    "restartPolicyRules",
    "resizePolicy",
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the rules of a container need to know of its pod."""

    volumes: Mapping[str, Part]
    claims: Sequence[str]
    grace: int | None
    host_users: bool
    restart_policy: str
    system: str


def _check_ports(errors: Errors, path: str, ports: Sequence[Part]) -> None:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        if name := port.get("name"):
            if problems := names.port_name(name):
                errors.extend(invalid(f"{path}[{index}].name", name, problem) for problem in problems)
            elif name in seen:
                errors.append(duplicate(f"{path}[{index}].name", name))
            else:
                seen.add(name)
        number = port.get("containerPort", 0)
        if not number:
            errors.append(required(f"{path}[{index}].containerPort"))
        elif not 1 <= number <= 65535:
            errors.append(invalid(f"{path}[{index}].containerPort", number, PORT_RANGE))
        host_port = port.get("hostPort", 0)
        if host_port and not 1 <= host_port <= 65535:
            errors.append(invalid(f"{path}[{index}].hostPort", host_port, PORT_RANGE))
        if port.get("protocol") not in PROTOCOLS:
            check_choice(errors, f"{path}[{index}].protocol", port.get("protocol"), PROTOCOLS)


def _check_resizing(errors: Errors, path: str, policies: Sequence[Part], restart_policy: str) -> None:
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        name, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if name in seen:
            errors.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)
        check_choice(errors, path, name, _RESIZED)
        check_choice(errors, path, restart, _RESIZE_POLICIES)
        if restart_policy == "Never" and restart != "NotRequired":
            errors.append(invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'"))


def _check_common(errors: Errors, path: str, container: Part, around: Surroundings) -> None:
    name = container.get("name", "")
    if not name:
        errors.append(required(f"{path}.name"))
    elif problem := names.dns_label(name):
        errors.append(invalid(f"{path}.name", name, problem))
    if not container.get("image"):
        errors.append(required(f"{path}.image"))
    if container.get("terminationMessagePolicy") not in _MESSAGE_POLICIES:
        policy = container.get("terminationMessagePolicy")
        check_choice(errors, f"{path}.terminationMessagePolicy", policy, _MESSAGE_POLICIES)
    if "ports" in container:
        _check_ports(errors, f"{path}.ports", container["ports"])
    if "env" in container:
        check_env(errors, f"{path}.env", container["env"])
        check_env_files(errors, f"{path}.env", container["env"], around.volumes)
    if "envFrom" in container:
        check_env_from(errors, f"{path}.envFrom", container["envFrom"])
    if "volumeMounts" in container:
        check_mounts(errors, f"{path}.volumeMounts", around.volumes, container)
    if "volumeDevices" in container:
        check_devices(errors, f"{path}.volumeDevices", around.volumes, container["volumeDevices"])
    if container.get("imagePullPolicy") not in _PULL_POLICIES:
        check_choice(errors, f"{path}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
    if container.get("resources"):
        check_requirements(errors, f"{path}.resources", container["resources"], around.claims)
    if "resizePolicy" in container:
        _check_resizing(errors, f"{path}.resizePolicy", container["resizePolicy"], around.restart_policy)
    if "securityContext" in container:
        context = container["securityContext"]
        check_container_context(errors, f"{path}.securityContext", context, host_users=around.host_users)


def _check_helpers(errors: Errors, path: str, container: Part, around: Surroundings) -> None:
    if "lifecycle" in container:
        check_lifecycle(errors, f"{path}.lifecycle", container["lifecycle"], around.grace)
        check_stop_signal(errors, f"{path}.lifecycle", container["lifecycle"], around.system)
    check_probes(errors, path, container, around.grace)


def _check_host_ports(errors: Errors, path: str, containers: Sequence[Part]) -> None:
    seen: set[str] = set()
    for index, container in enumerate(containers):
        for number, port in enumerate(container.get("ports", ())):
            host_port = port.get("hostPort", 0)
            if host_port:
                key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{host_port}"
                if key in seen:
                    errors.append(duplicate(f"{path}[{index}].ports[{number}].hostPort", key))
                seen.add(key)


def check_containers(errors: Errors, path: str, containers: Sequence[Part], around: Surroundings) -> None:
    """``containers``."""
    if not containers:
        errors.append(required(path))
        return
    seen: set[str] = set()
    for index, container in enumerate(containers):
        here = f"{path}[{index}]"
        _check_common(errors, here, container, around)
        name = container.get("name", "")
        if name in seen:
            errors.append(duplicate(f"{here}.name", name))
        seen.add(name)
        _check_helpers(errors, here, container, around)
        check_restarts(errors, here, container)
    _check_host_ports(errors, path, containers)


def check_init_containers(
    errors: Errors, path: str, containers: Sequence[Part], others: Sequence[Part], around: Surroundings
) -> None:
    """``initContainers``; ``others`` are the regular ones, whose names they may not share."""
    seen = {each.get("name", "") for each in others}
    for index, container in enumerate(containers):
        here = f"{path}[{index}]"
        _check_common(errors, here, container, around)
        policy = container.get("restartPolicy")
        check_restarts(errors, here, container)
        name = container.get("name", "")
        if name in seen:
            errors.append(duplicate(f"{here}.name", name))
        elif name:
            seen.add(name)
        _check_host_ports(errors, path, [container])
        if policy == "Always":
            _check_helpers(errors, here, container, around)
            continue
        detail = "may not be set for init containers without restartPolicy=Always"
        errors.extend(forbidden(f"{here}.{each}", detail) for each in _NOT_FOR_INIT if each in container)


def check_ephemeral_containers(errors: Errors, path: str, spec: Part, around: Surroundings) -> None:
    """``ephemeralContainers``: added to a running pod to look at it."""
    others = {each.get("name", "") for each in (*spec.get("containers", ()), *spec.get("initContainers", ()))}
    seen = set(others)
    for index, container in enumerate(spec["ephemeralContainers"]):
        here = f"{path}[{index}]"
        _check_common(errors, here, container, around)
        name, target = container.get("name", ""), container.get("targetContainerName", "")
        if name in seen:
            errors.append(duplicate(f"{here}.name", name))
        seen.add(name)
        if target and target not in others:
            errors.append(not_found(f"{here}.targetContainerName", target))
        detail = "cannot be set for an Ephemeral Container"
        errors.extend(forbidden(f"{here}.{each}", detail) for each in _NOT_FOR_EPHEMERAL if container.get(each))
