"""Signing CertificateSigningRequests: what signers accept, what a certificate says, when requests are signed and removed."""

from __future__ import annotations

import base64
import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from moorage.controllers.certificates import plan, signers
from moorage.controllers.certificates.authority import SHORTEST, Authority, BadAuthority
from moorage.supervisor import pki

NOW = 1_800_000_000.0
AT = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
CLIENT = {"digital signature", "client auth"}
SERVING = {"digital signature", "server auth"}


def asked(name: str, *organizations: str, names: tuple[x509.GeneralName, ...] = ()) -> x509.CertificateSigningRequest:
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    subject += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = pki.ensure(tmp_path_factory.mktemp("pki"), ["localhost"], AT)
    return Authority.read(made.client_ca_certificate, made.client_ca_key)


NODE = ("system:node:n", "system:nodes")
HOST = (x509.DNSName("n.example.com"),)


@pytest.mark.parametrize(
    ("signer", "request_", "usages", "refusal"),
    [
        (signers.CLIENT, asked("ann"), CLIENT, ""),
        (signers.CLIENT, asked("ann"), CLIENT | {"key encipherment"}, ""),
        (signers.CLIENT, asked("ann"), {"digital signature"}, "missing required usage"),
        (signers.CLIENT, asked("ann"), CLIENT | {"cert sign"}, "invalid usage for client certificate: cert sign"),
        (signers.NODE_CLIENT, asked(*NODE), CLIENT, ""),
        (signers.NODE_CLIENT, asked(*NODE), SERVING, "usages did not match"),
        (signers.NODE_CLIENT, asked(*NODE, "system:masters"), CLIENT, "subject organization is not system:nodes"),
        (signers.NODE_CLIENT, asked("ann", "system:nodes"), CLIENT, "does not begin with system:node:"),
        (signers.NODE_CLIENT, asked(*NODE, names=HOST), CLIENT, "DNS subjectAltNames are not allowed"),
        (signers.NODE_SERVING, asked(*NODE, names=HOST), SERVING, ""),
        (signers.NODE_SERVING, asked(*NODE), SERVING, "at least one DNS or IP subjectAltName is required"),
        (signers.NODE_SERVING, asked(*NODE, names=(*HOST, x509.RFC822Name("a@b.c"))), SERVING, "email subjectAltNames"),
    ],
)
def test_what_signers_accept(
    signer: str, request_: x509.CertificateSigningRequest, usages: set[str], refusal: str
) -> None:
    said = signers.refusal(signer, request_, usages)
    assert (refusal in said) if refusal else said == ""


def test_a_certificate_has_the_names_and_purposes_that_were_asked_for(authority: Authority) -> None:
    request = asked("system:node:n", "system:nodes", names=HOST)
    signed = x509.load_pem_x509_certificate(authority.sign(request, ["digital signature", "server auth"], 3600, NOW))
    signed.verify_directly_issued_by(authority.certificate)
    assert signed.subject == request.subject
    assert signed.public_key() == request.public_key()
    found = {type(each.value): each.value for each in signed.extensions}
    assert found[x509.BasicConstraints] == x509.BasicConstraints(ca=False, path_length=None)
    assert found[x509.ExtendedKeyUsage] == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    assert found[x509.SubjectAlternativeName] == x509.SubjectAlternativeName(HOST)
    usage = found[x509.KeyUsage]
    assert isinstance(usage, x509.KeyUsage)
    assert (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign) == (True, False, False)


def test_a_certificate_that_says_nothing_of_its_key_has_no_key_usage(authority: Authority) -> None:
    """``usages: [client auth]`` is what most people write; an empty key usage makes a certificate that OpenSSL refuses."""
    signed = x509.load_pem_x509_certificate(authority.sign(asked("ann"), ["client auth"], None, NOW))
    with pytest.raises(x509.ExtensionNotFound):
        signed.extensions.get_extension_for_class(x509.KeyUsage)
    purposes = signed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert purposes == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])


@pytest.mark.parametrize(
    ("seconds", "lasts"), [(None, 365 * 86_400), (10**9, 365 * 86_400), (7200, 7200), (1, SHORTEST)]
)
def test_how_long_a_certificate_lasts(authority: Authority, seconds: int | None, lasts: int) -> None:
    signed = x509.load_pem_x509_certificate(authority.sign(asked("ann"), sorted(CLIENT), seconds, NOW))
    assert signed.not_valid_after_utc == AT + datetime.timedelta(seconds=lasts)
    assert signed.not_valid_before_utc == AT - datetime.timedelta(minutes=5)


def test_nothing_outlives_its_authority(authority: Authority) -> None:
    ends = authority.certificate.not_valid_after_utc
    signed = authority.sign(asked("ann"), sorted(CLIENT), None, ends.timestamp() - 100)
    assert x509.load_pem_x509_certificate(signed).not_valid_after_utc == ends


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, ["localhost"])
    with pytest.raises(BadAuthority, match="is not the key of"):
        Authority.read(made.client_ca_certificate, made.ca_key)
    with pytest.raises(BadAuthority, match="cannot be read"):
        Authority.read(made.client_ca_key, tmp_path / "nothing")


def stamp(ago: float) -> str:
    return datetime.datetime.fromtimestamp(NOW - ago, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def document(*conditions: str, ago: float = 0, certificate: bytes = b"") -> dict[str, Any]:
    status: dict[str, Any] = {
        "conditions": [{"type": each, "status": "True", "lastUpdateTime": stamp(ago)} for each in conditions]
    }
    if certificate:
        status["certificate"] = base64.b64encode(certificate).decode()
    return {"metadata": {"name": "r", "creationTimestamp": stamp(ago)}, "status": status}


def test_only_what_is_approved_and_open_is_signed() -> None:
    assert plan.wants_signature(document("Approved"))
    assert not plan.wants_signature(document())
    assert not plan.wants_signature(document("Denied"))
    assert not plan.wants_signature(document("Approved", "Failed"))
    assert not plan.wants_signature(document("Approved", certificate=b"x"))


@pytest.mark.parametrize(
    ("conditions", "keeps"),
    [
        ((), 24 * 3600),
        (("Approved",), 3600),
        (("Denied",), 3600),
        (("Approved", "Failed"), 3600),
        (("Other",), float("inf")),
    ],
)
def test_when_a_request_goes(conditions: tuple[str, ...], keeps: float) -> None:
    assert plan.goes_at(document(*conditions, ago=60)) == NOW - 60 + keeps


def test_a_request_goes_with_the_certificate_that_it_led_to(authority: Authority) -> None:
    short = authority.sign(asked("ann"), sorted(CLIENT), 600, NOW)
    assert plan.goes_at(document("Approved", certificate=short)) == NOW + 600
