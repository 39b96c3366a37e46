"""The admission of LimitRanges: pods and claims get what they do not say, and are refused for what is out of bounds."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.api.contracts import AdmissionRequest
from moorage.resources.core.limit_ranges import LIMIT_RANGE
from moorage.resources.kind import FieldError
from moorage_tenants.limits.ranges import claim_problems, default_containers, pod_problems
from moorage_tenants.limits.reading import Decoded, refusal

_CLAIMS = ("", "persistentvolumeclaims")
_PODS = ("", "pods")


class LimitRanger:
    """Implements ``moorage.api.contracts.Admission``. Containers of a pod cannot change but by a resize, so only that is
    looked at again.
    """

    def __init__(self) -> None:
        self._ranges = Decoded()

    async def mutate(self, request: AdmissionRequest) -> None:
        """Fill in default requests and limits."""
        if _about_pod(request) and request.document is not None:
            for limit_range in await self._ranges.all(request.view, LIMIT_RANGE, request.namespace):
                default_containers(limit_range, request.document)

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """What is out of bounds."""
        document = request.document
        if document is None or not (_about_pod(request) or _about_claim(request)) or _is_going(request):
            return ()
        problems = pod_problems if _about_pod(request) else claim_problems
        ranges = await self._ranges.all(request.view, LIMIT_RANGE, request.namespace)
        return refusal(*(problem for each in ranges for problem in problems(each, document)))


def _key(request: AdmissionRequest) -> tuple[str, str]:
    return request.kind.group, request.kind.plural


def _about_pod(request: AdmissionRequest) -> bool:
    return _key(request) == _PODS and (
        request.subresource == "resize" or (request.operation == "CREATE" and not request.subresource)
    )


def _about_claim(request: AdmissionRequest) -> bool:
    return _key(request) == _CLAIMS and not request.subresource


def _is_going(request: AdmissionRequest) -> bool:
    return request.old is not None and "deletionTimestamp" in request.old["metadata"]
