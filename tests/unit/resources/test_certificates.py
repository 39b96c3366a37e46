"""Rules of CertificateSigningRequests that need no server."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from moorage.resources import certificate_rules as rules
from moorage.resources.certificates import CERTIFICATE_SIGNING_REQUEST as CSR

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def _pem() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ann")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(
        serialization.Encoding.PEM
    )


PEM = _pem()


def request(**spec: Any) -> dict[str, Any]:
    base = {
        "request": base64.b64encode(PEM).decode(),
        "signerName": "example.com/signer",
        "usages": ["client auth"],
    }
    return {"metadata": {"name": "ann"}, "spec": {**base, **spec}, "status": {}}


def true(kind: str, **more: str) -> dict[str, str]:
    return {"type": kind, "status": "True", **more}


def with_conditions(*conditions: dict[str, str]) -> dict[str, Any]:
    return {**request(), "status": {"conditions": list(conditions)}}


@pytest.mark.parametrize("signer", ["example.com/a", "kubernetes.io/kube-apiserver-client", "a.b.c/d.e-f"])
def test_signers_that_can_be_named(signer: str) -> None:
    assert rules.errors(request(signerName=signer)) == []


@pytest.mark.parametrize(
    ("signer", "words"),
    [
        ("", "spec.signerName: Required value"),
        ("signer", "must be a fully qualified domain and path of the form 'example.com/signer-name'"),
        ("example.com/a/b", "must be a fully qualified domain and path"),
        ("com/a", "should be a domain with at least two segments separated by dots"),
        ("Example.com/a", 'validating label "Example"'),
        ("example.com/A", 'validating label "A"'),
        ("example.com/", 'validating label ""'),
        ("kubernetes.io/legacy-unknown", "the legacy signerName is not allowed via this API version"),
        (f"{'a.' * 127}aa/b", "Too long"),
    ],
)
def test_signers_that_cannot(signer: str, words: str) -> None:
    (error,) = rules.errors(request(signerName=signer))
    assert words in str(error)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"request": ""}, "PEM block type must be CERTIFICATE REQUEST"),
        ({"request": base64.b64encode(PEM.replace(b" REQUEST", b"")).decode()}, "PEM block type must be"),
        ({"request": base64.b64encode(PEM[:80] + b"\n-----END CERTIFICATE REQUEST-----\n").decode()}, "malformed"),
        ({"usages": []}, "spec.usages: Required value"),
        ({"usages": ["client auth", "client auth"]}, 'spec.usages[1]: Duplicate value: "client auth"'),
        ({"usages": ["flying"]}, 'spec.usages[0]: Unsupported value: "flying"'),
        ({"expirationSeconds": 599}, "may not specify a duration less than 600 seconds (10 minutes)"),
    ],
)
def test_what_cannot_be_asked_for(spec: dict[str, Any], words: str) -> None:
    (error,) = rules.errors(request(**spec))
    assert words in str(error)


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ([true("Approved"), true("Denied")], "Approved and Denied conditions are mutually exclusive"),
        ([true("Failed"), true("Failed")], 'status.conditions[1].type: Duplicate value: "Failed"'),
        ([{"type": "Approved", "status": "False"}], 'Unsupported value: "False": supported values: "True"'),
        ([{"type": "Other"}], "status.conditions[0].status: Required value"),
        ([{"status": "True"}], "status.conditions[0].type: Required value"),
    ],
)
def test_conditions_that_make_no_sense(conditions: list[dict[str, str]], words: str) -> None:
    (error,) = rules.errors(with_conditions(*conditions))
    assert words in str(error)


def test_decisions_stay() -> None:
    approved = with_conditions(true("Approved"))
    assert rules.approval_errors(approved, request()) == []
    assert [str(each) for each in rules.approval_errors(request(), approved)] == [
        'status.conditions: Forbidden: updates may not remove a condition of type "Approved"'
    ]
    assert "may not add a condition" in str(rules.status_errors(approved, request())[0])
    changed = with_conditions(true("Approved", reason="other"))
    assert "may not modify a condition" in str(rules.status_errors(changed, approved)[0])
    assert rules.status_errors(with_conditions(true("Approved"), true("Failed")), approved) == []
    assert "may not remove" in str(rules.status_errors(request(), with_conditions(true("Failed")))[0])


def test_who_writes_a_status_need_not_repeat_decisions_and_cannot_change_them() -> None:
    """A condition of the stored object stands where the written one has the same type; times are filled in."""
    old = with_conditions(true("Approved", message="by ann", lastUpdateTime=NOW, lastTransitionTime=NOW))
    new = with_conditions(true("Approved", message="by mallory"), true("Failed"))
    CSR.prepare_status(new, old, LATER)
    assert new["status"]["conditions"] == [
        true("Approved", message="by ann", lastUpdateTime=NOW, lastTransitionTime=NOW),
        true("Failed", lastUpdateTime=LATER, lastTransitionTime=LATER),
    ]


def test_a_condition_keeps_since_when_it_is_so() -> None:
    old = with_conditions(true("Other", lastUpdateTime=NOW, lastTransitionTime=NOW))
    approval = CSR.subresources["approval"]
    assert approval.prepare_status is not None
    new = {**with_conditions(true("Other", message="again"))}
    new["status"]["certificate"] = "not for this endpoint"
    approval.prepare_status(new, old, LATER)
    assert new["status"] == {
        "conditions": [true("Other", message="again", lastUpdateTime=LATER, lastTransitionTime=NOW)]
    }


@pytest.mark.parametrize(
    ("conditions", "certificate", "shown"),
    [
        ((), "", "Pending"),
        (("Approved",), "", "Approved"),
        (("Approved",), "x", "Approved,Issued"),
        (("Denied",), "", "Denied"),
        (("Approved", "Failed"), "", "Approved,Failed"),
    ],
)
def test_what_kubectl_shows(conditions: tuple[str, ...], certificate: str, shown: str) -> None:
    document = with_conditions(*(true(each) for each in conditions))
    document["status"]["certificate"] = certificate
    cells = {column.name: column.cell(document, 0.0) for column in CSR.columns}
    assert cells["Condition"] == shown
    assert cells["RequestedDuration"] == "<none>"
