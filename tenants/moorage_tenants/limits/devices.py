"""The admission of claims of devices: access for administration only in namespaces that are for it (KEP-5018).

Source: Kubernetes' ``pkg/registry/resource/utils.go``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from moorage.api.contracts import AdmissionRequest
from moorage.resources.core.namespaces import NAMESPACE
from moorage.resources.devices.kinds import GROUP
from moorage.resources.field_errors import forbidden
from moorage.resources.kind import FieldError
from moorage.resources.printing import at
from moorage_tenants.limits.reading import Decoded

LABEL = "resource.kubernetes.io/admin-access"
_REFUSED = f"admin access to devices requires the `{LABEL}: true` label on the containing namespace"
_DEVICES = {"resourceclaims": "spec.devices", "resourceclaimtemplates": "spec.spec.devices"}


class Devices:
    """Implements ``moorage.api.contracts.Admission``."""

    def __init__(self) -> None:
        self._namespaces = Decoded()

    async def mutate(self, request: AdmissionRequest) -> None:
        """Nothing."""

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """What a namespace would have to be marked for: of a new claim or template, or of devices that a claim is given."""
        if request.kind.group != GROUP or request.kind.plural not in _DEVICES or request.document is None:
            return ()
        if request.subresource == "status":
            paths = list(_granted(request.document, request.old or {}))
        elif request.operation == "CREATE":
            paths = list(_asked(request.document, _DEVICES[request.kind.plural]))
        else:
            return ()  # what a claim asks for does not change
        if not paths:
            return ()
        namespace = await self._namespaces.get(request.view, NAMESPACE, "", request.namespace)
        if namespace is not None and at(namespace, "metadata.labels", {}).get(LABEL) == "true":
            return ()
        return [forbidden(path, _REFUSED) for path in paths]


def _asked(document: Mapping[str, Any], path: str) -> Iterator[str]:
    for index, request in enumerate(at(document, f"{path}.requests", ())):
        if at(request, "exactly.adminAccess", False):
            yield f"{path}.requests[{index}].adminAccess"


def _granted(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[str]:
    path = "status.allocation.devices.results"
    before: Sequence[Mapping[str, Any]] = at(old, path, ())
    for index, result in enumerate(at(new, path, ())):
        if result.get("adminAccess") and result not in before:
            yield f"{path}[{index}].adminAccess"
