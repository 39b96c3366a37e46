"""What a quota asks of a pod beside fitting in: where it counts CPU or memory, every container must say how much of it.

Kubernetes asks this of CPU and memory only, for compatibility; source: the pod evaluator of its quota plugin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moorage.api.contracts import AdmissionRequest
from moorage.resources.core.quotas import RESOURCE_QUOTA
from moorage.resources.kind import Document, FieldError
from moorage_tenants.limits.classes import matches, pod_class
from moorage_tenants.limits.hard import matcher
from moorage_tenants.limits.reading import Decoded, refusal

_NEEDED: Mapping[str, tuple[str, str]] = {
    "cpu": ("requests", "cpu"),
    "memory": ("requests", "memory"),
    "requests.cpu": ("requests", "cpu"),
    "requests.memory": ("requests", "memory"),
    "limits.cpu": ("limits", "cpu"),
    "limits.memory": ("limits", "memory"),
}
"""Resource of a quota -> where containers say how much of it they take."""


class QuotaRequirements:
    """Implements ``moorage.api.contracts.Admission``."""

    def __init__(self) -> None:
        self._quotas = Decoded()

    async def mutate(self, request: AdmissionRequest) -> None:
        """Nothing to change."""

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """Quotas of the namespace that need to know more of the pod."""
        pod = request.document
        if pod is None or (request.kind.group, request.kind.plural) != ("", "pods"):
            return ()
        if request.subresource != "resize" and (request.operation != "CREATE" or request.subresource):
            return ()
        quotas = await self._quotas.all(request.view, RESOURCE_QUOTA, request.namespace)
        return refusal(*failures(quotas, pod)) if quotas else ()


def failures(quotas: Iterable[Document], pod: Document) -> list[str]:
    """``failed quota: NAME: must specify limits.cpu for: c`` for each quota that the pod must say more for."""
    spec: Mapping[str, Any] = pod.get("spec") or {}
    if spec.get("resources"):
        return []
    found = []
    of_pod: Mapping[str, Any] | None = None
    for quota in quotas:
        hard = (quota.get("spec") or {}).get("hard") or {}
        needed = sorted(_NEEDED.keys() & hard.keys())
        if not needed:
            continue
        of_pod = of_pod if of_pod is not None else pod_class(pod)
        if not matches(matcher(quota["spec"]), of_pod):
            continue
        if missing := _missing(spec, needed):
            found.append(f"failed quota: {quota['metadata']['name']}: must specify {missing}")
    return found


def _missing(spec: Mapping[str, Any], needed: Sequence[str]) -> str:
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    parts = []
    for resource in needed:
        which, name = _NEEDED[resource]
        silent = {
            str(each.get("name", ""))
            for each in containers
            if name not in ((each.get("resources") or {}).get(which) or {})
        }
        if silent:
            parts.append(f"{resource} for: {','.join(sorted(silent))}")
    return "; ".join(parts)
