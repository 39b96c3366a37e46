"""CertificateSigningRequests: the API's operations, and the way from a key to a client certificate that logs in."""

from __future__ import annotations

import base64
import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.rest import Document, Rest
from tests.support.wait import until

GROUP = "/apis/certificates.k8s.io"
REQUESTS = f"{GROUP}/v1/certificatesigningrequests"
CLIENT = "kubernetes.io/kube-apiserver-client"
USAGES = ["digital signature", "key encipherment", "client auth"]


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _asked(key: ec.EllipticCurvePrivateKey, name: str, *groups: str) -> str:
    """A certificate request as ``spec.request`` holds it."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    subject += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject)).sign(key, hashes.SHA256())
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


def _request(name: str, asked: str, signer: str = CLIENT, **spec: object) -> Document:
    whole = {"request": asked, "signerName": signer, "usages": USAGES, **spec}
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": whole,
    }


def _certificate(name: str) -> str:
    """A certificate of its own, as ``status.certificate`` holds it."""
    key, subject = _key(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


def test_the_operations_of_the_api(api: Rest) -> None:
    """Discovery, every verb, and both subresources with what each may write."""
    assert "certificates.k8s.io" in [group["name"] for group in api.get("/apis")["groups"]]
    assert [each["version"] for each in api.get(GROUP)["versions"]] == ["v1"]
    verbs = {each["name"]: set(each["verbs"]) for each in api.get(f"{GROUP}/v1")["resources"]}
    assert verbs["certificatesigningrequests/approval"] == {"get", "patch", "update"}
    assert verbs["certificatesigningrequests/status"] == {"get", "patch", "update"}
    asked, label = _asked(_key(), "e2e"), {"labels": {"test": "operations"}}
    body = _request("", asked, "example.com/e2e", usages=["digital signature", "key encipherment", "server auth"])
    body["metadata"] = {"generateName": "e2e-", **label}
    made = api.create(REQUESTS, body)
    name, one = made["metadata"]["name"], f"{REQUESTS}/{made['metadata']['name']}"
    assert made["status"] == {}
    assert api.get(one)["metadata"]["uid"] == made["metadata"]["uid"]
    assert api.names(REQUESTS, fieldSelector="spec.signerName=example.com/e2e") == [name]
    with api.watch(
        REQUESTS, labelSelector="test=operations", resourceVersion=made["metadata"]["resourceVersion"]
    ) as seen:
        patched = api.patch(
            one, {"metadata": {"annotations": {"patched": "true"}}, "spec": {"signerName": "other.com/x"}}
        )
        assert patched["spec"] == made["spec"]
        updated = {**patched, "metadata": {**patched["metadata"], "annotations": {"updated": "true"}}}
        assert api.replace(one, updated)["metadata"]["annotations"] == {"updated": "true"}
        kinds = [next(seen) for _ in range(2)]
        assert [kind for kind, _ in kinds] == ["MODIFIED", "MODIFIED"]
    change = {"type": "ApprovalPatch", "status": "True", "reason": "e2e"}
    approval = api.patch(
        f"{one}/approval",
        {
            "metadata": {"annotations": {"patchedapproval": "true"}},
            "status": {"conditions": [change], "certificate": asked},
        },
    )
    assert approval["metadata"]["annotations"]["patchedapproval"] == "true"
    assert "certificate" not in approval["status"]
    (first,) = approval["status"]["conditions"]
    assert first["lastUpdateTime"]
    assert first["lastTransitionTime"]
    decided = {"type": "Approved", "status": "True", "reason": "E2E", "message": "Set from a test"}
    approval["status"]["conditions"].append(decided)
    assert len(api.replace(f"{one}/approval", approval)["status"]["conditions"]) == 2
    assert api.get(f"{one}/approval")["status"]["conditions"][1]["type"] == "Approved"
    certificate = _certificate("e2e")
    status = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"certificate": certificate}}
    answer = api.patch(f"{one}/status", status)
    assert answer["status"]["certificate"] == certificate
    assert answer["metadata"]["annotations"]["patchedstatus"] == "true"
    answer["status"]["conditions"].append({"type": "StatusUpdate", "status": "True", "reason": "E2E"})
    assert len(api.replace(f"{one}/status", answer)["status"]["conditions"]) == 3
    api.delete(one)
    assert api.missing(one)
    api.create(REQUESTS, body)
    api.delete(REQUESTS, labelSelector="test=operations")
    assert api.names(REQUESTS, labelSelector="test=operations") == []


def test_what_may_not_be_asked_or_changed(api: Rest) -> None:
    """Nobody writes who asks; decisions are not taken back; certificates not replaced; masters are not made."""
    asked = _asked(_key(), "somebody")
    body = _request("kept", asked, "example.com/kept", username="admin-of-all", groups=["system:masters"], uid="1")
    made = api.create(REQUESTS, body)
    assert made["spec"]["username"] == "admin"
    assert "uid" not in made["spec"]
    one = f"{REQUESTS}/kept"
    approved = {"type": "Approved", "status": "True"}
    refused = api.request(
        "PATCH", f"{one}/status", {"status": {"conditions": [approved]}}, "application/merge-patch+json"
    )
    assert 'updates may not add a condition of type "Approved"' in refused.refused(422)
    api.patch(f"{one}/approval", {"status": {"conditions": [approved]}})
    both = [approved, {"type": "Denied", "status": "True"}]
    refused = api.request("PATCH", f"{one}/approval", {"status": {"conditions": both}}, "application/merge-patch+json")
    assert "Approved and Denied conditions are mutually exclusive" in refused.refused(422)
    refused = api.request("PATCH", f"{one}/approval", {"status": {"conditions": None}}, "application/merge-patch+json")
    assert 'updates may not remove a condition of type "Approved"' in refused.refused(422)
    api.patch(f"{one}/status", {"status": {"certificate": _certificate("one")}})
    body = {"status": {"certificate": _certificate("two")}}
    refused = api.request("PATCH", f"{one}/status", body, "application/merge-patch+json")
    assert "updates may not modify existing certificate content" in refused.refused(422)
    api.delete(one)
    masters = api.request("POST", REQUESTS, _request("masters", _asked(_key(), "me", "system:masters")))
    assert (
        "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
        in masters.refused(403)
    )
    signed = base64.b64decode(asked).replace(b"A", b"B", 1)
    for bad in (base64.b64encode(b"nonsense").decode(), base64.b64encode(signed).decode()):
        message = api.request("POST", REQUESTS, _request("bad", bad)).refused(422)
        assert "spec.request: Invalid value" in message
    message = api.request("POST", REQUESTS, _request("bad", asked, "nosigner", usages=["flying"])).refused(422)
    assert "spec.signerName: Invalid value" in message
    assert 'spec.usages[0]: Unsupported value: "flying"' in message


@pytest.fixture
def person(installation: Installation, tmp_path: Path) -> tuple[Kubectl, Path]:
    """kubectl with the kubeconfig of somebody who has a key, and no certificate yet; the folder that holds them."""
    kubeconfig = tmp_path / "kubeconfig"
    tool = Kubectl(kubeconfig, tmp_path)
    ca = installation.data_dir / "pki" / "ca.crt"
    tool("config", "set-cluster", "c", f"--server={installation.url}", f"--certificate-authority={ca}")
    tool(
        "config",
        "set-credentials",
        "ann",
        f"--client-key={tmp_path / 'ann.key'}",
        f"--client-certificate={tmp_path / 'ann.crt'}",
    )
    tool("config", "set-context", "c", "--cluster=c", "--user=ann", "--namespace=default")
    tool("config", "use-context", "c")
    return tool, tmp_path


async def test_from_a_key_to_a_login(installation: Installation, api: Rest, person: tuple[Kubectl, Path]) -> None:
    """Ask, approve, fetch: then CN is the user and O are the groups, for as long as was asked for."""
    admin, (ann, folder) = installation.kubectl(), person
    key = _key()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "ann.key").write_bytes(pem)
    api.create(REQUESTS, _request("ann", _asked(key, "ann", "builders", "testers"), expirationSeconds=3600))
    assert "Pending" in admin("get", "csr", "ann", "--no-headers")
    assert "approved" in admin("certificate", "approve", "ann")
    issued = await until(lambda: api.get(f"{REQUESTS}/ann")["status"].get("certificate"), timeout=30)
    line = admin("get", "csr", "ann", "--no-headers")
    assert line.split()[2:] == [CLIENT, "admin", "60m", "Approved,Issued"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(issued))
    lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lasts == datetime.timedelta(minutes=65)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    (folder / "ann.crt").write_bytes(base64.b64decode(issued))
    who = ann.json("auth", "whoami")["status"]["userInfo"]
    assert who["username"] == "ann"
    assert set(who["groups"]) == {"builders", "testers", "system:authenticated"}
    refused = ann.attempt("get", "configmaps")
    assert 'User "ann" cannot list resource "configmaps"' in refused.err
    admin("create", "rolebinding", "builders", "--clusterrole=view", "--group=builders", "--namespace=default")
    await until(lambda: ann.attempt("get", "configmaps").code == 0, timeout=30)
    admin("delete", "rolebinding", "builders", "--namespace=default")
    admin("delete", "csr", "ann")


async def test_signers_refuse_what_is_not_theirs(installation: Installation, api: Rest) -> None:
    """A denied request is not signed; one that its signer does not accept says why."""
    admin = installation.kubectl()
    api.create(REQUESTS, _request("denied", _asked(_key(), "ann")))
    assert "denied" in admin("certificate", "deny", "denied")
    usages = ["digital signature", "server auth"]
    api.create(REQUESTS, _request("serving", _asked(_key(), "ann"), usages=usages))
    admin("certificate", "approve", "serving")
    conditions = await until(lambda: api.get(f"{REQUESTS}/serving")["status"]["conditions"][1:] or None, timeout=30)
    assert conditions[0]["type"] == "Failed"
    assert conditions[0]["message"] == "invalid usage for client certificate: server auth"
    assert "Approved,Failed" in admin("get", "csr", "serving", "--no-headers")
    assert "Denied" in admin("get", "csr", "denied", "--no-headers")
    assert "certificate" not in api.get(f"{REQUESTS}/denied")["status"]
    admin("delete", "csr", "denied", "serving")


async def test_who_may_approve(installation: Installation, api: Rest) -> None:
    """A right to the subresource is not enough: the signer must be given, by name or by domain."""
    admin = installation.kubectl()
    api.create(REQUESTS, _request("judged", _asked(_key(), "ann"), "example.com/judged"))
    rules = (
        "--verb=get,list,update,patch",
        "--resource=certificatesigningrequests,certificatesigningrequests/approval",
    )
    admin("create", "clusterrole", "csr-judge", *rules)
    admin("create", "clusterrolebinding", "csr-judge", "--clusterrole=csr-judge", "--user=judge")
    refusal = ""

    def told() -> bool:
        nonlocal refusal
        refusal = admin.attempt("certificate", "approve", "judged", "--as=judge").err
        return "user not permitted to approve" in refusal

    await until(told, timeout=30)
    assert 'user not permitted to approve requests with signerName "example.com/judged"' in refusal
    role: Document = {
        "metadata": {"name": "csr-signer"},
        "rules": [
            {
                "apiGroups": ["certificates.k8s.io"],
                "resources": ["signers"],
                "verbs": ["approve"],
                "resourceNames": ["example.com/*"],
            }
        ],
    }
    api.create("/apis/rbac.authorization.k8s.io/v1/clusterroles", role)
    admin("create", "clusterrolebinding", "csr-signer", "--clusterrole=csr-signer", "--user=judge")
    await until(lambda: admin.attempt("certificate", "approve", "judged", "--as=judge").code == 0, timeout=30)
    admin("delete", "clusterrolebinding", "csr-judge", "csr-signer")
    admin("delete", "clusterrole", "csr-judge", "csr-signer")
    admin("delete", "csr", "judged")
