"""The admission of priorities: a pod's class becomes a number, and only one class is the default.

Source: "Pod Priority and Preemption" in the Kubernetes documentation; the messages are those of its ``Priority`` plugin.
"""

from __future__ import annotations

from collections.abc import Sequence

from moorage.api.contracts import AdmissionRequest
from moorage.resources.kind import Document, FieldError
from moorage.resources.scheduling import PREEMPT, PRIORITY_CLASS
from moorage_tenants.limits.reading import Decoded, refusal


class Priorities:
    """Implements ``moorage.api.contracts.Admission``."""

    def __init__(self) -> None:
        self._classes = Decoded()

    async def mutate(self, request: AdmissionRequest) -> None:
        """Resolve the class of a new pod; keep what an update of a pod leaves out."""
        if not _is_pod(request) or request.document is None:
            return
        spec = request.document.setdefault("spec", {})
        if request.operation == "CREATE":
            await self._resolve(request, spec)
        elif request.old is not None:
            before = request.old.get("spec") or {}
            for name in ("priority", "preemptionPolicy"):
                if name in before:
                    spec.setdefault(name, before[name])

    async def _resolve(self, request: AdmissionRequest, spec: Document) -> None:
        if not spec.get("priorityClassName"):
            found = await self._default(request)
            if found is not None:
                spec["priorityClassName"] = found["metadata"]["name"]
        else:
            found = await self._classes.get(request.view, PRIORITY_CLASS, "", spec["priorityClassName"])
            if found is None:
                return
        spec.setdefault("priority", 0 if found is None else found["value"])
        spec.setdefault("preemptionPolicy", PREEMPT if found is None else found["preemptionPolicy"])

    async def _default(self, request: AdmissionRequest) -> Document | None:
        """The class of pods that name none: the lowest, should there be several."""
        classes = await self._classes.all(request.view, PRIORITY_CLASS, None)
        return min(
            (each for each in classes if each.get("globalDefault")), key=lambda each: each["value"], default=None
        )

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """A class that is not there, numbers of one's own, a second default."""
        if request.document is None or request.subresource:
            return ()
        if _is_pod(request):
            return await self._pod_problems(request) if request.operation == "CREATE" else ()
        if (request.kind.group, request.kind.plural) == ("scheduling.k8s.io", "priorityclasses"):
            return await self._class_problems(request)
        return ()

    async def _pod_problems(self, request: AdmissionRequest) -> Sequence[FieldError]:
        assert request.document is not None
        spec = request.document["spec"]
        name = spec.get("priorityClassName")
        found = await self._classes.get(request.view, PRIORITY_CLASS, "", name) if name else None
        if name and found is None:
            return refusal(f"no PriorityClass with name {name} was found")
        priority, policy = (found["value"], found["preemptionPolicy"]) if found is not None else (0, PREEMPT)
        if spec.get("priority", priority) != priority:
            return refusal(
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
                f"priority admission controller computed {priority} from the given PriorityClass name"
            )
        if spec.get("preemptionPolicy", policy) != policy:
            return refusal(
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name"
            )
        return ()

    async def _class_problems(self, request: AdmissionRequest) -> Sequence[FieldError]:
        assert request.document is not None
        if not request.document.get("globalDefault"):
            return ()
        name = request.document["metadata"].get("name")
        for each in await self._classes.all(request.view, PRIORITY_CLASS, None):
            other = each["metadata"]["name"]
            if each.get("globalDefault") and other != name:
                return refusal(f"PriorityClass {other} is already marked as default. Only one default can exist")
        return ()


def _is_pod(request: AdmissionRequest) -> bool:
    return (request.kind.group, request.kind.plural) == ("", "pods") and not request.subresource
