"""The admission chain: every policy in the order of the configuration."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.api.contracts import Admission, AdmissionRequest
from moorage.api.errors import ApiError, forbidden
from moorage.resources.kind import FieldError, Kind


class Chain:
    """All admissions as one."""

    def __init__(self, admissions: Sequence[Admission]) -> None:
        self._admissions = tuple(admissions)

    def __bool__(self) -> bool:
        return bool(self._admissions)

    async def mutate(self, request: AdmissionRequest) -> None:
        """Let each change ``request.document`` in place; what it changed is defaulted again."""
        for admission in self._admissions:
            await admission.mutate(request)
        if self._admissions and request.document is not None and not request.subresource:
            request.kind.default(request.document)

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """What forbids the write, of all of them."""
        errors: list[FieldError] = []
        for admission in self._admissions:
            errors.extend(await admission.validate(request))
        return errors


def refused(kind: Kind, name: str, refusals: Sequence[FieldError]) -> ApiError:
    """403: a policy forbids the write."""
    text = "; ".join(error.message if not error.path else str(error) for error in refusals)
    error = forbidden(kind.group, kind.plural, name, text)
    error.details["causes"] = [
        {"reason": each.reason, "message": each.message, "field": each.path} for each in refusals
    ]
    return error
