"""Rules of CertificateSigningRequests. Source: ``pkg/apis/certificates/validation`` and ``pkg/registry/certificates``.

The cryptography library is imported where a certificate is looked at: most processes that know of kinds never do.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.field_errors import duplicate, forbidden, invalid, not_supported, required, too_long
from moorage.resources.kind import Document, FieldError
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import at

GROUP = "certificates.k8s.io"
APPROVED, DENIED, FAILED = "Approved", "Denied", "Failed"
LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
SHORTEST = 600
"""Seconds of ``spec.expirationSeconds``, at least."""
USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
_LASTING = (APPROVED, DENIED, FAILED)
"""Conditions that are either true or not there, and stay."""
_DECISIONS = (APPROVED, DENIED)
_LONGEST_PATH = names.SUBDOMAIN_LENGTH + names.LABEL_LENGTH + 1
_CONDITIONS = "status.conditions"


def errors(request: Document) -> list[FieldError]:
    """Rules of the whole object."""
    found = metadata_errors(request, names.dns_subdomain, namespaced=False)
    spec: dict[str, Any] = request.get("spec") or {}
    if problem := request_problem(spec.get("request", "")):
        found.append(invalid("spec.request", spec.get("request", ""), problem))
    found += _usage_errors(spec.get("usages") or ())
    found += signer_errors("spec.signerName", spec.get("signerName", ""))
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < SHORTEST:
        detail = "may not specify a duration less than 600 seconds (10 minutes)"
        found.append(invalid("spec.expirationSeconds", seconds, detail))
    found += _condition_errors(at(request, _CONDITIONS, ()))
    certificate = at(request, "status.certificate")
    if certificate and (problem := _chain_problem(certificate)):
        found.append(invalid("status.certificate", "<certificate data>", problem))
    return found


def update_errors(new: Document, old: Document) -> list[FieldError]:
    """What an update of the main resource may not change: neither decisions nor the certificate."""
    return _kept(new, old, decides=False, issues=False)


def approval_errors(new: Document, old: Document) -> list[FieldError]:
    """``/approval`` decides, and issues nothing."""
    return _kept(new, old, decides=True, issues=False)


def status_errors(new: Document, old: Document) -> list[FieldError]:
    """``/status`` issues, and decides nothing."""
    return [*errors(new), *_kept(new, old, decides=False, issues=True)]


def signer_errors(path: str, signer: str) -> list[FieldError]:
    """``example.com/signer-name``: a domain of two labels or more, and a path of subdomains."""
    if not signer:
        return [required(path)]
    if signer == LEGACY_SIGNER:
        return [invalid(path, signer, "the legacy signerName is not allowed via this API version")]
    segments = signer.split("/")
    if len(segments) != 2:
        return [
            invalid(path, signer, "must be a fully qualified domain and path of the form 'example.com/signer-name'")
        ]
    domain, rest = segments
    found: list[FieldError] = []
    if len(domain) > names.SUBDOMAIN_LENGTH:
        found.append(too_long(path, names.SUBDOMAIN_LENGTH))
    found += _label_errors(path, domain, names.dns_label)
    if "." not in domain:
        found.append(invalid(path, domain, "should be a domain with at least two segments separated by dots"))
    found += _label_errors(path, rest, names.dns_subdomain)
    if len(signer) > (longest := names.SUBDOMAIN_LENGTH + _LONGEST_PATH + 1):
        found.append(too_long(path, longest))
    return found


def request_problem(text: str) -> str | None:
    """What is wrong with a certificate request (PKCS#10 in PEM, in base64), or None."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    pem = base64.b64decode(text)
    if not pem[pem.find(b"-----BEGIN ") :].startswith(b"-----BEGIN CERTIFICATE REQUEST-----"):
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        request = x509.load_pem_x509_csr(pem)
        # What is asked for is looked at, too: a name that cannot be read could not be judged by who approves it.
        _ = (request.subject, list(request.extensions))
        return None if request.is_signature_valid else "x509: the signature does not belong to the public key"
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        return f"x509: malformed certificate request: {error}"


def keep_approval(new: Document, old: Document) -> None:
    """Who writes ``/status`` need not repeat decisions: where their number is the same, the stored ones stay."""
    written: list[Document] = list(at(new, _CONDITIONS, ()))
    stored = at(old, _CONDITIONS, ())
    for decision in _DECISIONS:
        places = [index for index, each in enumerate(written) if each.get("type") == decision]
        kept = [each for each in stored if each.get("type") == decision]
        if len(places) == len(kept):
            for index, condition in zip(places, kept, strict=True):
                written[index] = condition
    if written:
        new["status"] = {**new["status"], "conditions": written}


def fill_in_times(new: Document, old: Document, now: str) -> None:
    """Each condition says when it was written, and since when it is so."""
    conditions = at(new, _CONDITIONS, ())
    if not conditions:
        return
    since = {
        (each.get("type"), each.get("status")): each["lastTransitionTime"]
        for each in reversed(at(old, _CONDITIONS, ()))
        if each.get("lastTransitionTime")
    }
    filled = [
        {
            **each,
            "lastUpdateTime": each.get("lastUpdateTime") or now,
            "lastTransitionTime": each.get("lastTransitionTime")
            or since.get((each.get("type"), each.get("status")), now),
        }
        for each in conditions
    ]
    new["status"] = {**new["status"], "conditions": filled}


def _kept(new: Document, old: Document, *, decides: bool, issues: bool) -> list[FieldError]:
    found = metadata_update_errors(new, old)
    for name in _LASTING:
        before = [each for each in at(old, _CONDITIONS, ()) if each.get("type") == name]
        after = [each for each in at(new, _CONDITIONS, ()) if each.get("type") == name]
        may = decides or name not in _DECISIONS
        if len(after) < len(before):
            found.append(forbidden(_CONDITIONS, f'updates may not remove a condition of type "{name}"'))
        elif len(after) > len(before) and not may:
            found.append(forbidden(_CONDITIONS, f'updates may not add a condition of type "{name}"'))
        elif after != before and not may:
            found.append(forbidden(_CONDITIONS, f'updates may not modify a condition of type "{name}"'))
    held, given = at(old, "status.certificate"), at(new, "status.certificate")
    if held != given:
        if not issues:
            found.append(forbidden("status.certificate", "updates may not set certificate content"))
        elif held:
            found.append(forbidden("status.certificate", "updates may not modify existing certificate content"))
    return found


def _usage_errors(usages: Sequence[str]) -> list[FieldError]:
    if not usages:
        return [required("spec.usages")]
    found = []
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            found.append(not_supported(f"spec.usages[{index}]", usage, USAGES))
        if usage in usages[:index]:
            found.append(duplicate(f"spec.usages[{index}]", usage))
    return found


def _condition_errors(conditions: Sequence[Document]) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        path = f"{_CONDITIONS}[{index}]"
        name, status = condition.get("type", ""), condition.get("status", "")
        allowed = ("True",) if name in _LASTING else ("False", "True", "Unknown")
        if not name:
            found.append(required(f"{path}.type"))
        if not status:
            found.append(required(f"{path}.status"))
        elif status not in allowed:
            found.append(not_supported(f"{path}.status", status, allowed))
        if name in _DECISIONS and seen & (set(_DECISIONS) - {name}):
            found.append(invalid(f"{path}.type", name, "Approved and Denied conditions are mutually exclusive"))
        if name in seen:
            found.append(duplicate(f"{path}.type", name))
        seen.add(name)
    return found


def _chain_problem(text: str) -> str | None:
    """``status.certificate`` holds certificates in PEM, and no other block."""
    from cryptography import x509

    pem = base64.b64decode(text)
    if pem.count(b"-----BEGIN ") != pem.count(b"-----BEGIN CERTIFICATE-----"):
        return "only CERTIFICATE PEM blocks are allowed"
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        return str(error)
    return None if found else "must contain at least one CERTIFICATE PEM block"


def _label_errors(path: str, text: str, rule: Callable[[str], str | None]) -> list[FieldError]:
    """One error, for the first part of ``text`` between dots that is none."""
    for label in text.split("."):
        if problem := rule(label):
            return [invalid(path, text, f'validating label "{label}": {problem}')]
    return []
