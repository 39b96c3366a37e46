"""Rules of a container's mounts and block devices: they name volumes of the pod, each path once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources.checks import Errors, check_local_path
from moorage.resources.field_errors import forbidden, invalid, not_found, not_supported, required

Part = Mapping[str, Any]

_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")


def _check_propagation(errors: Errors, path: str, mount: Part, container: Part) -> None:
    value = mount.get("mountPropagation")
    if value is None:
        return
    if value not in _PROPAGATIONS:
        errors.append(not_supported(f"{path}.mountPropagation", value, _PROPAGATIONS))
    elif value == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        detail = "Bidirectional mount propagation is available only to privileged containers"
        errors.append(forbidden(f"{path}.mountPropagation", detail))


def _check_recursive(errors: Errors, path: str, mount: Part) -> None:
    value = mount.get("recursiveReadOnly")
    if value is None or value == "Disabled":
        return
    if value not in _RECURSIVE:
        errors.append(not_supported(f"{path}.recursiveReadOnly", value, _RECURSIVE))
        return
    if not mount.get("readOnly"):
        detail = "may only be specified when readOnly is true"
        errors.append(forbidden(f"{path}.recursiveReadOnly", detail))
    if mount.get("mountPropagation", "None") != "None":
        detail = "may only be specified when mountPropagation is None or not specified"
        errors.append(forbidden(f"{path}.recursiveReadOnly", detail))


def _check_sub_paths(errors: Errors, path: str, here: str, mount: Part, volume: Part) -> None:
    for name in ("subPath", "subPathExpr"):
        value = mount.get(name)
        if not value:
            continue
        if "image" in volume and name == "subPathExpr":
            errors.append(invalid(f"{here}.{name}", value, "not allowed in image volume sources"))
        if name == "subPathExpr" and mount.get("subPath"):
            errors.append(invalid(f"{here}.{name}", value, "subPathExpr and subPath are mutually exclusive"))
        check_local_path(errors, f"{path}.{name}", value)


def check_mounts(errors: Errors, path: str, volumes: Mapping[str, Part], container: Part) -> None:
    """``volumeMounts`` at ``path``; ``volumes`` are the pod's sound volumes by name."""
    devices: Mapping[str, str] = {
        each.get("name", ""): each.get("devicePath", "") for each in container.get("volumeDevices", ())
    }
    targets: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts", ())):
        here = f"{path}[{index}]"
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.append(required(f"{here}.name"))
        if name not in volumes:
            errors.append(not_found(f"{here}.name", name))
        if not target:
            errors.append(required(f"{here}.mountPath"))
        if target in targets:
            errors.append(invalid(f"{here}.mountPath", target, "must be unique"))
        targets.add(target)
        if name in devices:
            errors.append(invalid(f"{here}.name", name, "must not already exist in volumeDevices"))
        if target in devices.values():
            errors.append(invalid(f"{here}.mountPath", target, "must not already exist as a path in volumeDevices"))
        _check_sub_paths(errors, path, here, mount, volumes.get(name, {}))
        _check_propagation(errors, path, mount, container)
        _check_recursive(errors, path, mount)


def check_devices(errors: Errors, path: str, volumes: Mapping[str, Part], devices: Sequence[Part]) -> None:
    """``volumeDevices`` at ``path``."""
    names: set[str] = set()
    targets: set[str] = set()
    for index, device in enumerate(devices):
        here = f"{path}[{index}]"
        name, target = device.get("name", ""), device.get("devicePath", "")
        if not name:
            errors.append(required(f"{here}.name"))
        if name in names:
            errors.append(invalid(f"{here}.name", name, "must be unique"))
        if name not in volumes:
            errors.append(not_found(f"{here}.name", name))
        elif not volumes[name].keys() & {"persistentVolumeClaim", "ephemeral"}:
            detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid(f"{here}.name", name, detail))
        if not target:
            errors.append(required(f"{here}.devicePath"))
        if target in targets:
            errors.append(invalid(f"{here}.devicePath", target, "must be unique"))
        if ".." in target.split("/"):
            errors.append(invalid(f"{here}.devicePath", target, "can not contain backsteps ('..')"))
        names.add(name)
        targets.add(target)
