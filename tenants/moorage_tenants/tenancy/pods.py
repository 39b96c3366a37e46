"""Pods of a tenant: where their images come from, which nodes they run on, which class they have, what they mount.

The same rules hold for the templates that pods are made from, so that a refusal comes where its cause was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from posixpath import normpath
from typing import Any

from moorage.resources.kind import Document, FieldError, ResourceKey
from moorage.resources.tenancy import GROUP
from moorage_tenants.tenancy.objects import storage_class_refusals
from moorage_tenants.tenancy.policy import Policy
from moorage_tenants.tenancy.refusals import beyond, refuse

Part = Mapping[str, Any]

PODS = ResourceKey("", "pods")
TEMPLATES: Mapping[ResourceKey, str] = {
    ResourceKey("", "podtemplates"): "template",
    ResourceKey("", "replicationcontrollers"): "spec.template",
    ResourceKey("apps", "daemonsets"): "spec.template",
    ResourceKey("apps", "deployments"): "spec.template",
    ResourceKey("apps", "replicasets"): "spec.template",
    ResourceKey("apps", "statefulsets"): "spec.template",
    ResourceKey("batch", "cronjobs"): "spec.jobTemplate.spec.template",
    ResourceKey("batch", "jobs"): "spec.template",
}
"""Where each kind that makes pods keeps their template."""
_SYSTEM_CLASSES = "system-"
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def mutate_pod(policy: Policy, pod: Document) -> None:
    """Give a new pod what its tenant's pods have: nodes, tolerations, a priority class."""
    spec = pod.setdefault("spec", {})
    if policy.selector:
        spec["nodeSelector"] = {**policy.selector, **(spec.get("nodeSelector") or {})}
    present = spec.get("tolerations") or []
    missing = [each for each in policy.tolerations if each not in present]
    if missing:
        spec["tolerations"] = [*present, *missing]
    if not spec.get("priorityClassName") and (default := policy.default("priorityClasses")):
        spec["priorityClassName"] = default


def pod_refusals(policy: Policy, spec: Part, path: str) -> list[FieldError]:
    """What the tenant's rules have against a pod's spec at ``path``."""
    errors: list[FieldError] = []
    if policy.registries is not None:
        errors += _image_refusals(policy, spec, path)
    errors += _placement_refusals(policy, spec, path)
    errors += _priority_refusals(policy, spec.get("priorityClassName", ""), path)
    errors += _volume_refusals(policy, spec.get("volumes") or (), f"{path}.volumes")
    return errors


def _images(spec: Part, path: str) -> Iterator[tuple[str, str]]:
    for field in _CONTAINERS:
        for index, container in enumerate(spec.get(field) or ()):
            yield f"{path}.{field}[{index}].image", container.get("image", "")
    for index, volume in enumerate(spec.get("volumes") or ()):
        if reference := (volume.get("image") or {}).get("reference"):
            yield f"{path}.volumes[{index}].image.reference", reference


def _image_refusals(policy: Policy, spec: Part, path: str) -> list[FieldError]:
    allowed = policy.registries
    assert allowed is not None
    # A template may leave the image to what starts it; the pod itself has one, or its kind's rules refuse it.
    return [
        beyond(
            here,
            policy.name,
            f'use the image "{image}"',
            "spec.registries.allowed",
            allowed,
            "push the image to one of these and name it there",
        )
        for here, image in _images(spec, path)
        if image and image not in allowed
    ]


def _placement_refusals(policy: Policy, spec: Part, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    chosen = spec.get("nodeSelector") or {}
    for key, value in policy.selector.items():
        if chosen.get(key, value) != value:
            what = f"run pods on nodes with {key}={chosen[key]}"
            remedy = f"leave {key} out of the node selector"
            errors.append(
                beyond(f"{path}.nodeSelector[{key}]", policy.name, what, "spec.nodePools.selector", value, remedy)
            )
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        if toleration not in policy.tolerations and _opens_reserved(toleration):
            text = (
                f'tenant "{policy.name}" may not tolerate the taints of nodes that are reserved for tenants '
                f"({GROUP}/..., or every key); name the taints that are meant, or ask an administrator to add "
                f"this one to spec.nodePools.tolerations: kubectl edit tenant {policy.name}"
            )
            errors.append(refuse(f"{path}.tolerations[{index}]", text))
    return errors


def _opens_reserved(toleration: Part) -> bool:
    """Whether it tolerates a taint that keeps a node for a tenant (its key's prefix is ours)."""
    key = toleration.get("key", "")
    return not key or key.startswith(f"{GROUP}/")


def _priority_refusals(policy: Policy, name: str, path: str) -> list[FieldError]:
    if not name:
        return []
    allowed = policy.priorities
    if (not name.startswith(_SYSTEM_CLASSES)) if allowed is None else (name in allowed):
        return []
    shown = "all that do not start with system-" if allowed is None else allowed
    what, remedy = f'use the priority class "{name}"', "name one of these"
    return [beyond(f"{path}.priorityClassName", policy.name, what, "spec.priorityClasses.allowed", shown, remedy)]


def _volume_refusals(policy: Policy, volumes: Sequence[Part], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, volume in enumerate(volumes):
        host = volume.get("hostPath")
        if host is not None and not _below(host.get("path", ""), policy.host_paths):
            what = f'mount the path "{host.get("path", "")}" of a node'
            shown = ", ".join(policy.host_paths) or "none"
            remedy = "use a PersistentVolumeClaim, an emptyDir or a ConfigMap"
            errors.append(
                beyond(f"{path}[{index}].hostPath.path", policy.name, what, "spec.hostPaths.allowed", shown, remedy)
            )
        claim = ((volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}).get("spec")
        if claim:
            errors += storage_class_refusals(policy, claim, f"{path}[{index}].ephemeral.volumeClaimTemplate.spec")
    return errors


def _below(path: str, prefixes: Sequence[str]) -> bool:
    whole = normpath(path)
    return ".." not in path.split("/") and any(
        whole == prefix or whole.startswith(f"{prefix}/") for prefix in map(normpath, prefixes)
    )


def node_refusals(policy: Policy, pod: Document, node_labels: Mapping[str, str] | None) -> list[FieldError]:
    """What stands against a pod that names its node itself, past the scheduler. None: there is no such node."""
    name = (pod.get("spec") or {}).get("nodeName", "")
    labels = node_labels or {}
    if not name or all(labels.get(key) == value for key, value in policy.selector.items()):
        return []
    wanted = ",".join(f"{key}={value}" for key, value in sorted(policy.selector.items()))
    what, remedy = f'run pods on the node "{name}"', "leave nodeName to the scheduler"
    return [beyond("spec.nodeName", policy.name, what, "spec.nodePools.selector", wanted, remedy)]


def template_of(key: ResourceKey, document: Document) -> tuple[Part, str] | None:
    """The pod spec that objects of this kind are made to make, and its path."""
    path = TEMPLATES.get(key)
    if path is None:
        return None
    found: Any = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    spec = found.get("spec") if isinstance(found, Mapping) else None
    return (spec, f"{path}.spec") if isinstance(spec, Mapping) else None
