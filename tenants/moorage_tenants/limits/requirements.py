"""What a quota asks of a pod beside fitting in: where it counts CPU or memory, every container must say how much of it.

Kubernetes asks this of CPU and memory only, for compatibility; source: the pod evaluator of its quota plugin. A Tenant's
quota asks the same: a container that says nothing would count nothing, and the quota would bind nobody.
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
from moorage_tenants.tenancy.policy import namespace_policy

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
        problems = failures(await self._quotas.all(request.view, RESOURCE_QUOTA, request.namespace), pod)
        policy = await namespace_policy(request.view, request.namespace)
        if policy is not None and (missing := missing_of((policy.spec.get("quota") or {}).get("hard") or {}, pod)):
            problems.append(
                f'failed quota of tenant "{policy.name}": must specify {missing}. Let the container request it; '
                "spec.defaultRequests of the tenant does so for all that do not"
            )
        return refusal(*problems)


def missing_of(hard: Mapping[str, Any], pod: Document) -> str:
    """What containers of the pod must say for a quota of ``hard``: ``limits.cpu for: a,b; requests.memory for: a``."""
    spec: Mapping[str, Any] = pod.get("spec") or {}
    return "" if spec.get("resources") else _missing(spec, sorted(_NEEDED.keys() & hard.keys()))


def failures(quotas: Iterable[Document], pod: Document) -> list[str]:
    """``failed quota: NAME: must specify limits.cpu for: c`` for each quota that the pod must say more for."""
    found = []
    of_pod: Mapping[str, Any] | None = None
    for quota in quotas:
        hard = (quota.get("spec") or {}).get("hard") or {}
        missing = missing_of(hard, pod)
        if not missing:
            continue
        of_pod = of_pod if of_pod is not None else pod_class(pod.get("spec") or {})
        if matches(matcher(quota["spec"]), of_pod):
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
