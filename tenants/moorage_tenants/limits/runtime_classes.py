"""The admission of runtime classes: a pod that names one gets its overhead and goes where the class says.

Source: "Runtime Class" in the Kubernetes documentation; the messages are those of its ``RuntimeClass`` plugin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.api.contracts import AdmissionRequest
from moorage.resources import quantity
from moorage.resources.kind import Document, FieldError
from moorage.resources.node import RUNTIME_CLASS
from moorage_tenants.limits.reading import Decoded, refusal

Amounts = Mapping[str, str]


class RuntimeClasses:
    """Implements ``moorage.api.contracts.Admission``."""

    def __init__(self) -> None:
        self._classes = Decoded()

    async def mutate(self, request: AdmissionRequest) -> None:
        """Take over what the class says."""
        found = await self._named(request)
        if found is None or request.document is None:
            return
        spec = request.document["spec"]
        if overhead := _overhead(found):
            spec.setdefault("overhead", dict(overhead))
        scheduling = found.get("scheduling") or {}
        selector = scheduling.get("nodeSelector")
        if selector and not _conflict(found, spec):
            spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), **selector}
        tolerations = list(spec.get("tolerations") or ())
        missing = [dict(each) for each in scheduling.get("tolerations") or () if each not in tolerations]
        if missing:
            spec["tolerations"] = tolerations + missing

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """A class that is not there, or that the pod contradicts."""
        if not _is_new_pod(request):
            return ()
        assert request.document is not None
        spec = request.document["spec"]
        found = await self._named(request)
        name = spec.get("runtimeClassName")
        if name and found is None:
            return refusal(f'pod rejected: RuntimeClass "{name}" not found')
        overhead = _overhead(found) if found is not None else {}
        given: Amounts = spec.get("overhead") or {}
        if given and not overhead:
            return refusal("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
        if not _same(given, overhead):
            return refusal("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
        conflict = _conflict(found, spec) if found is not None else ""
        return refusal(conflict) if conflict else ()

    async def _named(self, request: AdmissionRequest) -> Document | None:
        if not _is_new_pod(request):
            return None
        assert request.document is not None
        name = (request.document.get("spec") or {}).get("runtimeClassName")
        return await self._classes.get(request.view, RUNTIME_CLASS, "", name) if name else None


def _is_new_pod(request: AdmissionRequest) -> bool:
    about_pod = (request.kind.group, request.kind.plural) == ("", "pods") and not request.subresource
    return about_pod and request.operation == "CREATE" and request.document is not None


def _overhead(runtime: Document) -> Amounts:
    return (runtime.get("overhead") or {}).get("podFixed") or {}


def _same(left: Amounts, right: Amounts) -> bool:
    return left.keys() == right.keys() and all(not quantity.compare(left[name], right[name]) for name in left)


def _conflict(runtime: Document, spec: Mapping[str, Any]) -> str:
    """What the pod's node selector says otherwise than the class, "" for nothing."""
    given: Mapping[str, str] = spec.get("nodeSelector") or {}
    for key, value in sorted(((runtime.get("scheduling") or {}).get("nodeSelector") or {}).items()):
        if given.get(key, value) != value:
            return (
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {given[key]}"
            )
    return ""
