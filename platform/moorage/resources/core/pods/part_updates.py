"""Updates of a part of a pod: ``/ephemeralcontainers`` adds containers to look at it with, ``/resize`` changes its resources.

Source: "Ephemeral Containers" (KEP-277), "Resize CPU and Memory Resources" (KEP-1287),
``ValidatePodEphemeralContainersUpdate`` and ``ValidatePodResize``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources.core.pods.amounts import is_sidecar, qos_class
from moorage.resources.core.pods.prepare import MIRROR
from moorage.resources.field_errors import forbidden, invalid
from moorage.resources.kind import Document, FieldError
from moorage.resources.metadata import metadata_update_errors

Part = Mapping[str, Any]

_RESIZABLE = ("cpu", "memory")
_AMOUNTS = ("requests", "limits")


def only_ephemeral_containers(new: Document, old: Document) -> Document:
    """The stored pod with the ephemeral containers of ``new``."""
    spec = dict(old["spec"])
    wanted = (new.get("spec") or {}).get("ephemeralContainers")
    if wanted:
        spec["ephemeralContainers"] = wanted
    else:
        spec.pop("ephemeralContainers", None)
    return _narrowed(new, old, spec)


def ephemeral_container_errors(new: Document, old: Document) -> list[FieldError]:
    """They may be added, and stay as they are."""
    errors = metadata_update_errors(new, old)
    path = "spec.ephemeralContainers"
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return [*errors, forbidden("", "static pods do not support ephemeral containers")]
    after = {each.get("name"): each for each in new["spec"].get("ephemeralContainers") or ()}
    for before in old["spec"].get("ephemeralContainers") or ():
        name = before.get("name")
        if name not in after:
            errors.append(forbidden(path, f'existing ephemeral containers "{name}" may not be removed'))
        elif after[name] != before:
            errors.append(forbidden(path, f'existing ephemeral containers "{name}" may not be changed'))
    return errors


def only_resources(new: Document, old: Document) -> Document:
    """The stored pod with the containers' resources of ``new``."""
    spec = dict(old["spec"])
    given = new.get("spec") or {}
    for part in ("containers", "initContainers"):
        if part in spec:
            wanted = {each.get("name"): each for each in given.get(part) or ()}
            spec[part] = [_resized(each, wanted.get(each.get("name"), each)) for each in spec[part]]
    return _narrowed(new, old, spec)


def resize_errors(new: Document, old: Document) -> list[FieldError]:
    """Amounts of CPU and memory may change; the class of the pod's quality of service may not."""
    errors = metadata_update_errors(new, old)
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return [*errors, forbidden("", "static pods cannot be resized")]
    status = old.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return [*errors, forbidden("", "terminated pods cannot be resized")]
    for part in ("containers", "initContainers"):
        pairs = zip(new["spec"].get(part) or (), old["spec"].get(part) or (), strict=True)
        for index, (after, before) in enumerate(pairs):
            errors += _container_errors(f"spec.{part}[{index}].resources", after, before)
    wanted, present = qos_class(new), status.get("qosClass") or qos_class(old)
    if wanted != present:
        detail = "Pod QOS Class may not change as a result of resizing"
        errors.append(invalid("spec", wanted, f"{detail} (it is {present})"))
    return errors


def _container_errors(path: str, after: Part, before: Part) -> list[FieldError]:
    new, old = after.get("resources") or {}, before.get("resources") or {}
    if new == old:
        return []
    errors: list[FieldError] = []
    if "initContainers" in path and not is_sidecar(after):
        errors.append(forbidden(path, "resources of init containers may not be changed, other than of sidecars"))
    for which in _AMOUNTS:
        wanted, held = new.get(which) or {}, old.get(which) or {}
        changed = [name for name in sorted({*wanted, *held}) if wanted.get(name) != held.get(name)]
        if any(name not in _RESIZABLE for name in changed):
            errors.append(forbidden(f"{path}.{which}", "only cpu and memory resources are mutable"))
        if any(name not in wanted for name in changed):
            errors.append(forbidden(f"{path}.{which}", f"resource {which} cannot be removed"))
    if new.get("claims") != old.get("claims"):
        errors.append(forbidden(f"{path}.claims", "only cpu and memory resources are mutable"))
    return errors


def _resized(container: Part, wanted: Part) -> dict[str, Any]:
    result = dict(container)
    if "resources" in wanted:
        result["resources"] = wanted["resources"]
    return result


def _narrowed(new: Document, old: Document, spec: dict[str, Any]) -> Document:
    """The stored pod with ``spec``, and those parts of its metadata that name it and say who wrote."""
    metadata = dict(old["metadata"])
    for name in ("name", "namespace", "uid", "resourceVersion", "managedFields"):
        if name in new["metadata"]:
            metadata[name] = new["metadata"][name]
    return {**old, "metadata": metadata, "spec": spec}
