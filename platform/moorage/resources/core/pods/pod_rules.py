"""Rules of whole pods and of pod templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from moorage.resources import names
from moorage.resources.checks import Errors
from moorage.resources.core.pods.prepare import MIRROR
from moorage.resources.core.pods.spec_rules import check_pod_spec
from moorage.resources.field_errors import forbidden, invalid, not_supported, required
from moorage.resources.kind import Document, FieldError
from moorage.resources.label_selector import label_errors
from moorage.resources.metadata import annotation_errors, metadata_errors

Part = Mapping[str, Any]

LONGEST_KNOWN = 16 * 1024
"""Bytes of a spec up to which what is wrong with it is remembered."""
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def _check_deletion_cost(errors: Errors, path: str, annotations: Mapping[str, str]) -> None:
    cost = annotations.get(_DELETION_COST)
    if cost is None:
        return
    try:
        sound = -(2**31) <= int(cost) < 2**31 and cost == str(int(cost))
    except ValueError:
        sound = False
    if not sound:
        errors.append(invalid(f"{path}[{_DELETION_COST}]", cost, "must be a 32bit integer"))


def _check_images(errors: Errors, path: str, containers: Sequence[Part]) -> None:
    for index, container in enumerate(containers):
        image = container.get("image", "")
        if image != image.strip():
            errors.append(invalid(f"{path}[{index}].image", image, "must not have leading or trailing whitespace"))


def pod_errors(pod: Document) -> list[FieldError]:
    """What is wrong with a pod, whether new or changed."""
    errors = metadata_errors(pod, names.dns_subdomain, namespaced=True)
    annotations = (pod.get("metadata") or {}).get("annotations")
    if annotations:
        _check_deletion_cost(errors, "metadata.annotations", annotations)
    spec: Part = pod.get("spec") or {}
    if annotations and MIRROR in annotations and not spec.get("nodeName"):
        detail = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(invalid(f"metadata.annotations[{MIRROR}]", "", detail))
    errors += _spec_errors(spec, (pod.get("metadata") or {}).get("name", ""))
    return errors


def _spec_errors(spec: Part, name: str) -> Sequence[FieldError]:
    """What is wrong with the spec of a pod called ``name``. Most specs have been seen before: pods come from templates."""
    encoded = orjson.dumps(spec)
    if len(encoded) > LONGEST_KNOWN:
        return _judged(spec, name)
    try:
        # Only claims made from templates in the pod are named after it.
        _find_sound(encoded, name if b'"ephemeral"' in encoded else "")
    except _Unsound as found:
        return found.errors
    return ()


class _Unsound(Exception):
    """What is wrong is not remembered: there is no end to what can be, and nobody's quota counts it."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(len(errors))
        self.errors = errors


@lru_cache(1024)
def _find_sound(spec: bytes, name: str) -> None:
    """Raises _Unsound."""
    if errors := _judged(orjson.loads(spec), name):
        raise _Unsound(errors)


def _judged(spec: Part, name: str) -> list[FieldError]:
    errors: list[FieldError] = []
    check_pod_spec(errors, "spec", spec, is_pod=True, name=name)
    _check_images(errors, "spec.containers", spec.get("containers", ()))
    if "initContainers" in spec:
        _check_images(errors, "spec.initContainers", spec["initContainers"])
    if spec.get("schedulingGates") and spec.get("nodeName"):
        errors.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return errors


def check_template(errors: Errors, path: str, template: Part) -> None:
    """A pod template, after defaulting."""
    metadata: Part = template.get("metadata") or {}
    if "labels" in metadata:
        errors += label_errors(f"{path}.labels", metadata["labels"])
    if "annotations" in metadata:
        errors += annotation_errors(f"{path}.annotations", metadata["annotations"])
        _check_deletion_cost(errors, f"{path}.annotations", metadata["annotations"])
    spec: Part = template.get("spec") or {}
    check_pod_spec(errors, f"{path}.spec", spec, is_pod=False)
    if "ephemeralContainers" in spec:
        errors.append(forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"))


def binding_errors(binding: Document) -> list[FieldError]:
    """What is wrong with a binding: its target is a node."""
    target: Part = binding.get("target") or {}
    errors: list[FieldError] = []
    if target.get("kind", "") not in ("", "Node"):
        errors.append(not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(required("target.name"))
    return errors
