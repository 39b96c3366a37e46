"""certificates.k8s.io/v1: requests for certificates. Source: "Certificates and Certificate Signing Requests"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import certificate_rules as rules
from moorage.resources import names
from moorage.resources.declaring import by_name, status_of
from moorage.resources.kind import Column, Document, GroupVersionKind, Kind, ResourceKey, Subresource
from moorage.resources.printing import AGE, NAME, NONE, at, text
from moorage.resources.timestamps import human_duration

GROUP = rules.GROUP


def _fields(request: Document) -> Mapping[str, str]:
    return {"spec.signerName": at(request, "spec.signerName")}


def _requested(request: Document, _now: float) -> Any:
    seconds = at(request, "spec.expirationSeconds", None)
    return NONE if seconds is None else human_duration(seconds)


def _condition(request: Document, _now: float) -> Any:
    """As ``kubectl get csr`` puts it: Denied wins over Approved, then what became of it."""
    types = {each.get("type") for each in at(request, "status.conditions", ())}
    word = next((name for name in (rules.DENIED, rules.APPROVED) if name in types), "Pending")
    failed = f",{rules.FAILED}" if rules.FAILED in types else ""
    return word + failed + (",Issued" if at(request, "status.certificate") else "")


def _prepare_create(request: Document) -> None:
    request["status"] = {}


def _prepare_update(new: Document, old: Document) -> None:
    """What was asked for does not change: somebody may have approved it."""
    new["spec"] = old.get("spec") or {}


def _prepare_status(new: Document, old: Document, now: str) -> None:
    rules.keep_approval(new, old)
    rules.fill_in_times(new, old, now)


def _prepare_approval(new: Document, old: Document, now: str) -> None:
    """Conditions, and nothing else of the status."""
    conditions = at(new, "status.conditions", None)
    status = {key: value for key, value in (old.get("status") or {}).items() if key != "conditions"}
    new["status"] = status if conditions is None else {**status, "conditions": conditions}
    rules.fill_in_times(new, old, now)


_GVK = GroupVersionKind(GROUP, "v1", "CertificateSigningRequest")

CERTIFICATE_SIGNING_REQUEST = Kind(
    group=GROUP,
    version="v1",
    kind="CertificateSigningRequest",
    plural="certificatesigningrequests",
    singular="certificatesigningrequest",
    namespaced=False,
    schema="io.k8s.api.certificates.v1.CertificateSigningRequest",
    short_names=("csr",),
    storage=ResourceKey(GROUP, "certificatesigningrequests"),
    name_rule=names.dns_subdomain,
    subresources=by_name(
        (
            status_of(GROUP, "v1", "CertificateSigningRequest"),
            Subresource("approval", _GVK, prepare_status=_prepare_approval, validate=rules.approval_errors),
        )
    ),
    columns=(
        NAME,
        AGE,
        Column("SignerName", text("spec.signerName", NONE), description="Who is asked to sign."),
        Column("Requestor", text("spec.username"), description="Who asks."),
        Column("RequestedDuration", _requested, description="How long the certificate is to be valid."),
        Column("Condition", _condition, description="What became of it."),
    ),
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
    prepare_status=_prepare_status,
    validate=rules.errors,
    validate_update=rules.update_errors,
    validate_status_update=rules.status_errors,
    fields=_fields,
)
