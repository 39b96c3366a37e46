"""Workloads that roll out when a Secret or ConfigMap changes: the annotation that asks for it, and what a template refers to.

A hash of the referenced values stands in the pod template, so that another value is another template. The API server writes it
with every write of the workload; the controller only has the workload written again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from moorage.resources.field_errors import not_supported
from moorage.resources.kind import Document, FieldError

ANNOTATION = "moorage.io/rollout-on-change"
"""On a workload: "true", or which of ``secrets`` and ``configmaps`` count, separated by commas."""
HASH = "moorage.io/rollout-hash"
"""On its pod template: what the referenced values were when the template was written."""
SECRETS, CONFIG_MAPS = "secrets", "configmaps"
_VALUES: Mapping[str, frozenset[str]] = {
    "true": frozenset({SECRETS, CONFIG_MAPS}),
    "false": frozenset(),
    SECRETS: frozenset({SECRETS}),
    CONFIG_MAPS: frozenset({CONFIG_MAPS}),
}
_CONTAINERS = ("initContainers", "containers")


class Reference(NamedTuple):
    """One key of a Secret or ConfigMap that a template uses; ``key`` "" is all of them."""

    resource: str
    name: str
    key: str


def watched(workload: Document) -> frozenset[str]:
    """The resources whose changes roll ``workload`` out. Nothing where the annotation is missing or makes no sense."""
    text = (workload["metadata"].get("annotations") or {}).get(ANNOTATION, "")
    parts = [_VALUES.get(part.strip()) for part in text.split(",")] if text else []
    return frozenset().union(*(part for part in parts if part)) if None not in parts else frozenset()


def annotation_errors(workload: Document) -> list[FieldError]:
    """What is wrong with the annotation of a workload."""
    annotations: Mapping[str, str] = workload["metadata"].get("annotations") or {}
    text = annotations.get(ANNOTATION)
    if text is None or all(part.strip() in _VALUES for part in text.split(",")):
        return []
    return [not_supported(f"metadata.annotations[{ANNOTATION}]", text, _VALUES)]


def references(workload: Document) -> frozenset[Reference]:
    """What the pod template of ``workload`` takes from the resources that it watches."""
    wanted = watched(workload)
    if not wanted:
        return frozenset()
    spec = ((workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    found = {each for each in _of_pod(spec) if each.resource in wanted and each.name}
    whole = {each[:2] for each in found if not each.key}
    return frozenset(each for each in found if not each.key or each[:2] not in whole)


def _of_pod(spec: Mapping[str, Any]) -> Iterator[Reference]:
    for volume in spec.get("volumes") or ():
        yield from _of_source(SECRETS, volume.get("secret"), "secretName")
        yield from _of_source(CONFIG_MAPS, volume.get("configMap"), "name")
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _of_source(SECRETS, source.get("secret"), "name")
            yield from _of_source(CONFIG_MAPS, source.get("configMap"), "name")
    for field in _CONTAINERS:
        for container in spec.get(field) or ():
            yield from _of_environment(container)


def _of_source(resource: str, source: Mapping[str, Any] | None, field: str) -> Iterator[Reference]:
    """A volume's source: the keys of its ``items``, all where it has none."""
    if not source:
        return
    for item in source.get("items") or ({"key": ""},):
        yield Reference(resource, source.get(field) or "", item.get("key") or "")


def _of_environment(container: Mapping[str, Any]) -> Iterator[Reference]:
    for source in container.get("envFrom") or ():
        yield Reference(SECRETS, (source.get("secretRef") or {}).get("name") or "", "")
        yield Reference(CONFIG_MAPS, (source.get("configMapRef") or {}).get("name") or "", "")
    for variable in container.get("env") or ():
        value = variable.get("valueFrom") or {}
        for resource, field in ((SECRETS, "secretKeyRef"), (CONFIG_MAPS, "configMapKeyRef")):
            if found := value.get(field):
                yield Reference(resource, found.get("name") or "", found.get("key") or "")
