"""The admission of claims and volumes: claims without a class get the default one, those whose class allows it may grow, and
what is in use is kept until it is not (``moorage.controllers.protection`` lets it go).

Source: the ``DefaultStorageClass``, ``PersistentVolumeClaimResize`` and ``StorageObjectInUseProtection`` plugins of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Sequence

from moorage.api.contracts import AdmissionRequest
from moorage.resources import quantity
from moorage.resources.core.access_modes import has_class, storage_class_of
from moorage.resources.kind import FieldError
from moorage.resources.printing import at
from moorage.resources.storage import (
    CLAIM_PROTECTION,
    CLASS_PROTECTION,
    STORAGE_CLASS,
    VOLUME_PROTECTION,
    default_class,
)
from moorage_tenants.limits.reading import Decoded, refusal

_PROTECTION = {
    ("", "persistentvolumeclaims"): CLAIM_PROTECTION,
    ("", "persistentvolumes"): VOLUME_PROTECTION,
    ("storage.k8s.io", "volumeattributesclasses"): CLASS_PROTECTION,
}
_SIZE = "spec.resources.requests.storage"


class Claims:
    """Implements ``moorage.api.contracts.Admission``."""

    def __init__(self) -> None:
        self._classes = Decoded()

    async def mutate(self, request: AdmissionRequest) -> None:
        """Protect what is new; name the default class, where the claim names none and there is one."""
        claim = request.document
        if claim is None or request.operation != "CREATE" or request.subresource:
            return
        if finalizer := _PROTECTION.get((request.kind.group, request.kind.plural)):
            finalizers = claim.setdefault("metadata", {}).setdefault("finalizers", [])
            if finalizer not in finalizers:
                finalizers.append(finalizer)
        if not _is_claim(request):
            return
        spec = claim.setdefault("spec", {})
        if has_class(claim):
            return
        if (name := await self._default(request)) is not None:
            spec["storageClassName"] = name

    async def _default(self, request: AdmissionRequest) -> str | None:
        """The class of claims that name none."""
        return default_class(await self._classes.all(request.view, STORAGE_CLASS, None))

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """Growth that nobody would carry out."""
        new, old = request.document, request.old
        if not _is_claim(request) or new is None or old is None:
            return ()
        if quantity.compare(at(new, _SIZE, "0"), at(old, _SIZE, "0")) <= 0:
            return ()
        if at(old, "status.phase") != "Bound":
            return refusal("Only bound persistent volume claims can be expanded")
        found = await self._classes.get(request.view, STORAGE_CLASS, "", storage_class_of(new))
        if found is None or not found.get("allowVolumeExpansion"):
            return refusal(
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
                "support resize"
            )
        return ()


def _is_claim(request: AdmissionRequest) -> bool:
    return (request.kind.group, request.kind.plural) == ("", "persistentvolumeclaims") and not request.subresource
