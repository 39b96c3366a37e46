"""When a CertificateSigningRequest is to be signed, and when it is to go. Pure: the time is an argument.

Source: ``pkg/controller/certificates/cleaner/cleaner.go``, ``certificate_controller.go``.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Sequence

from cryptography import x509

from moorage.client.objects import Document

DECIDED = 3600.0
PENDING = 24 * 3600.0
"""Seconds that a request is kept after it was decided on, and without a decision."""


def conditions_of(request: Document) -> Sequence[Document]:
    """All conditions."""
    return (request.get("status") or {}).get("conditions") or ()


def conditions(request: Document) -> dict[str, Document]:
    """The conditions that are true, by type."""
    return {each["type"]: each for each in conditions_of(request) if each.get("status") == "True"}


def wants_signature(request: Document) -> bool:
    """Whether it is approved, and nothing has come of that yet."""
    true = conditions(request)
    issued = (request.get("status") or {}).get("certificate")
    return "Approved" in true and not issued and not true.keys() & {"Denied", "Failed"}


def goes_at(request: Document) -> float:
    """When it is to be removed, in seconds since the epoch: an hour after the decision, a day without one, or with the
    certificate that it led to.
    """
    true = conditions(request)
    decided = [true[name] for name in ("Approved", "Denied", "Failed") if name in true]
    if not decided and conditions_of(request):
        return float("inf")  # somebody works on it
    if not decided:
        return _seconds(request["metadata"]["creationTimestamp"]) + PENDING
    ends = min(_seconds(each["lastUpdateTime"]) for each in decided) + DECIDED
    certificate = (request.get("status") or {}).get("certificate")
    return min(ends, _expiry(certificate)) if certificate else ends


def _expiry(text: str) -> float:
    certificates = x509.load_pem_x509_certificates(base64.b64decode(text))
    return min(each.not_valid_after_utc for each in certificates).timestamp()


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()
