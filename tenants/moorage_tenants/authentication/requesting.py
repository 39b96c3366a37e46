"""CertificateSigningRequests: who asks is written by the server, and who decides and signs needs a right to that signer.

Source: the admissions CertificateApproval, CertificateSigning and CertificateSubjectRestriction
(``plugin/pkg/admission/certificates``), ``pkg/registry/certificates/certificates/strategy.go``.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from moorage.api.contracts import AdmissionRequest, Attributes, Authorizer, Identity
from moorage.api.errors import ApiError, forbidden
from moorage.resources.certificates import CERTIFICATE_SIGNING_REQUEST as CSR
from moorage.resources.kind import Document, FieldError

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
MASTERS = "system:masters"
_REQUESTER = ("username", "uid", "groups", "extra")


class CertificateRequests:
    """Implements ``moorage.api.contracts.Admission`` for CertificateSigningRequests."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def mutate(self, request: AdmissionRequest) -> None:
        """Write down who asks, whatever the request says about that."""
        if request.kind.storage != CSR.storage or request.operation != "CREATE" or request.document is None:
            return
        spec: dict[str, Any] = request.document.setdefault("spec", {})
        for field in _REQUESTER:
            spec.pop(field, None)
        spec.update(_requester(request.identity))

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """Raises ApiError 403 for who may not decide or sign, and for a name that nobody may be signed into."""
        document, old = request.document, request.old
        if request.kind.storage != CSR.storage or document is None:
            return ()
        if old is None:
            if _signer(document) == CLIENT_SIGNER and MASTERS in _organizations(document):
                raise _refused(request, f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")
        elif request.subresource == "approval":
            await self._require(request, "approve", _signer(old))
        elif request.subresource == "status" and _outcome(document) != _outcome(old):
            await self._require(request, "sign", _signer(old))
        return ()

    async def _require(self, request: AdmissionRequest, verb: str, signer: str) -> None:
        """A right to the signer, or to all of its domain."""
        for name in (signer, f"{signer.partition('/')[0]}/*"):
            attributes = Attributes(request.identity, verb, CSR.group, "signers", name=name, view=request.view)
            if (await self._authorizer.authorise(attributes)).allowed:
                return
        raise _refused(request, f'user not permitted to {verb} requests with signerName "{signer}"')


def _requester(identity: Identity) -> Document:
    found: Document = {"username": identity.name, "groups": sorted(identity.groups)}
    if identity.uid:
        found["uid"] = identity.uid
    if identity.extra:
        found["extra"] = {key: list(values) for key, values in identity.extra.items()}
    return found


def _signer(document: Document) -> str:
    return str(document["spec"]["signerName"])


def _outcome(document: Document) -> tuple[object, object]:
    status = document.get("status") or {}
    return status.get("certificate"), status.get("conditions")


def _organizations(document: Document) -> set[str]:
    request = x509.load_pem_x509_csr(base64.b64decode(document["spec"]["request"]))
    return {str(each.value) for each in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)}


def _refused(request: AdmissionRequest, why: str) -> ApiError:
    return forbidden(CSR.group, CSR.plural, request.name, why)
