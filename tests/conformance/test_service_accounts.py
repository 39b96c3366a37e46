"""ServiceAccounts: the token that every pod finds, opting out of it, TokenRequest and TokenReview, who may verify tokens."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.conformance.workloads import container, nowhere, pod
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.rest import Document, Rest
from tests.support.wait import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

PLACE = "/var/run/secrets/kubernetes.io/serviceaccount"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


@pytest.fixture(scope="module")
def core(space: str) -> str:
    """Where the namespace's objects of the core group are."""
    return f"/api/v1/namespaces/{space}"


def _review(api: Rest, token: str, *audiences: str) -> Document:
    spec: Document = {"token": token, **({"audiences": list(audiences)} if audiences else {})}
    status: Document = api.create(REVIEWS, {"spec": spec})["status"]
    return status


def _claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def test_a_token_is_mounted_and_lives_with_its_pod(
    installation: Installation, api: Rest, shared: Kubectl, core: str, image: str
) -> None:
    """Three containers find token, CA and namespace; the token is the account's for as long as the pod is there."""
    space = core.rpartition("/")[2]
    api.create(f"{core}/serviceaccounts", {"metadata": {"name": "mounted"}})
    containers = [container(image, name=name) for name in ("token", "ca", "namespace")]
    made = api.create(f"{core}/pods", pod("mounted", *containers, serviceAccountName="mounted"))
    (volume,) = made["spec"]["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    assert volume["projected"]["sources"][0] == {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    shared("wait", "--for=condition=Ready", "pod/mounted", "--timeout=90s")
    read = {
        name: shared("exec", "mounted", "-c", name, "--", "cat", f"{PLACE}/{file}")
        for name, file in (("token", "token"), ("ca", "ca.crt"), ("namespace", "namespace"))
    }
    assert read["ca"] == (installation.data_dir / "pki" / "ca.crt").read_text().strip()
    assert read["namespace"] == space
    node = api.get("/api/v1/nodes/test-node")["metadata"]
    claims = _claims(read["token"])
    assert claims["kubernetes.io"] == {
        "namespace": space,
        "serviceaccount": {"name": "mounted", "uid": api.get(f"{core}/serviceaccounts/mounted")["metadata"]["uid"]},
        "pod": {"name": "mounted", "uid": made["metadata"]["uid"]},
        "node": {"name": "test-node", "uid": node["uid"]},
    }
    assert claims["exp"] - claims["iat"] == 3607
    review = _review(api, read["token"])
    assert review["authenticated"], review
    assert review["user"]["username"] == f"system:serviceaccount:{space}:mounted"
    assert review["user"]["extra"]["authentication.kubernetes.io/pod-uid"] == [made["metadata"]["uid"]]
    api.delete(f"{core}/pods/mounted", {"gracePeriodSeconds": 0})
    shared("wait", "--for=delete", "pod/mounted", "--timeout=60s")
    assert not _review(api, read["token"]).get("authenticated")


IN_CLUSTER = """
import json, os, ssl, sys, urllib.request
place, address = sys.argv[1:]
headers = {"Authorization": "Bearer " + open(place + "/token").read(), "Content-Type": "application/json"}
tls = ssl.create_default_context(cafile=place + "/ca.crt")
open_ = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)).open
url = f"https://{address}/apis/authentication.k8s.io/v1/selfsubjectreviews"
print(open_(urllib.request.Request(url, b"{}", headers), timeout=20).read().decode())
"""
"""What a client library does in a pod, with what a pod finds."""


def test_a_program_in_a_pod_reaches_the_api(shared: Kubectl, core: str, image: str, api: Rest, tmp_path: Path) -> None:
    """By the address in its environment, through the pod's own network, trusting the CA that is mounted."""
    api.create(f"{core}/pods", pod("inside", container(image)))
    shared("wait", "--for=condition=Ready", "pod/inside", "--timeout=90s")
    for file in ("token", "ca.crt"):
        (tmp_path / file).write_text(shared("exec", "inside", "--", "cat", f"{PLACE}/{file}"))
    address = shared("exec", "inside", "--", "sh", "-c", "echo $KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT")
    identity = api.get(f"{core}/pods/inside")["status"]["containerStatuses"][0]["containerID"].partition("//")[2]
    process = _output("docker", "inspect", "--format", "{{.State.Pid}}", identity)
    inside = ("nsenter", "--target", process, "--net", sys.executable, "-c", IN_CLUSTER, str(tmp_path), address)
    who = json.loads(_output(*inside))["status"]["userInfo"]
    assert who["username"] == f"system:serviceaccount:{core.rpartition('/')[2]}:default"
    assert who["extra"]["authentication.kubernetes.io/pod-name"] == ["inside"]


def _output(*line: str) -> str:
    return subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


@pytest.mark.parametrize(
    ("account", "asked", "mounted"),
    [
        (None, None, True),
        (None, True, True),
        (None, False, False),
        (True, None, True),
        (True, False, False),
        (False, None, False),
        (False, True, True),
    ],
)
def test_opting_out(api: Rest, core: str, account: bool | None, asked: bool | None, mounted: bool) -> None:
    """The pod's word counts before its account's; without any, the token is mounted."""
    name = f"opt-{account}-{asked}".lower()
    said = {} if account is None else {"automountServiceAccountToken": account}
    api.create(f"{core}/serviceaccounts", {"metadata": {"name": name}, **said})
    spec = {**nowhere(), "serviceAccountName": name}
    if asked is not None:
        spec["automountServiceAccountToken"] = asked
    made = api.create(f"{core}/pods", {"metadata": {"name": name}, "spec": spec}, dryRun="All")
    places = [each["mountPath"] for each in made["spec"]["containers"][0].get("volumeMounts", ())]
    assert (PLACE in places) == mounted


def test_a_pod_gets_its_account_and_its_pull_secrets(api: Rest, core: str) -> None:
    """Without a name it is ``default``; an account that is not there is a refusal."""
    account = {"metadata": {"name": "puller"}, "imagePullSecrets": [{"name": "registry"}]}
    api.create(f"{core}/serviceaccounts", account)
    whole = {"metadata": {"name": "who"}, "spec": nowhere()}
    made = api.create(f"{core}/pods", whole, dryRun="All")
    assert made["spec"]["serviceAccountName"] == made["spec"]["serviceAccount"] == "default"
    whole["spec"] = {**nowhere(), "serviceAccountName": "puller"}
    assert api.create(f"{core}/pods", whole, dryRun="All")["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    whole["spec"]["imagePullSecrets"] = [{"name": "own"}]
    assert api.create(f"{core}/pods", whole, dryRun="All")["spec"]["imagePullSecrets"] == [{"name": "own"}]
    whole["spec"]["serviceAccountName"] = "nobody"
    message = api.request("POST", f"{core}/pods", whole).refused(403)
    space = core.rpartition("/")[2]
    assert message == (
        f'pods "who" is forbidden: error looking up service account {space}/nobody: serviceaccount "nobody" not found'
    )


def test_a_token_is_made_and_reviewed(api: Rest, core: str) -> None:
    """TokenRequest, then TokenReview: for the audience that was asked for, and no other."""
    api.create(f"{core}/serviceaccounts", {"metadata": {"name": "asking"}})
    made = api.create(f"{core}/serviceaccounts/asking/token", {"spec": {"audiences": [], "expirationSeconds": 600}})
    assert made["status"]["token"]
    assert made["status"]["expirationTimestamp"]
    review = _review(api, made["status"]["token"])
    assert review["authenticated"], review
    assert "error" not in review
    space = core.rpartition("/")[2]
    assert set(review["user"]["groups"]) == {
        "system:serviceaccounts", f"system:serviceaccounts:{space}", "system:authenticated",
    }  # fmt: skip
    other = api.create(f"{core}/serviceaccounts/asking/token", {"spec": {"audiences": ["vault", "other"]}})["status"]
    assert not _review(api, other["token"]).get("authenticated")
    assert _review(api, other["token"], "vault", "third")["audiences"] == ["vault"]
    short = api.request("POST", f"{core}/serviceaccounts/asking/token", {"spec": {"expirationSeconds": 599}})
    assert "may not specify a duration less than 10 minutes" in short.refused(422)
    api.delete(f"{core}/serviceaccounts/asking")
    assert not _review(api, made["status"]["token"]).get("authenticated")


def test_tokens_can_be_verified_by_others(installation: Installation, api: Rest, core: str) -> None:
    """A holder of a token finds issuer and keys, and with them its own token holds."""
    token = api.create(f"{core}/serviceaccounts/default/token", {"spec": {"audiences": ["others"]}})["status"]["token"]
    own = Rest(installation, api.create(f"{core}/serviceaccounts/default/token", {"spec": {}})["status"]["token"])
    metadata = own.get("/.well-known/openid-configuration")
    assert metadata["issuer"] == _claims(token)["iss"]
    assert metadata["response_types_supported"] == ["id_token"]
    assert metadata["subject_types_supported"] == ["public"]
    answer = own.request("GET", metadata["jwks_uri"].partition(str(installation.port))[2])
    assert answer.headers["content-type"] == "application/jwk-set+json"
    verified = jwt.decode(
        token,
        KeySet.import_key_set(answer.ok()),  # type: ignore[arg-type]  # a decoded JWK set
        algorithms=metadata["id_token_signing_alg_values_supported"],
    )
    assert verified.claims["aud"] == ["others"]
    own.close()


async def test_the_ca_of_a_namespace_comes_back(api: Rest) -> None:
    """``kube-root-ca.crt`` is there from the start, and again after it was deleted or changed."""
    api.create("/api/v1/namespaces", {"metadata": {"name": "root-ca"}})
    path = "/api/v1/namespaces/root-ca/configmaps/kube-root-ca.crt"
    first = api.get(path)
    assert "BEGIN CERTIFICATE" in first["data"]["ca.crt"]
    api.delete(path)

    def again() -> bool:
        found = api.request("GET", path)
        return found.code == 200 and found.document["metadata"]["uid"] != first["metadata"]["uid"]

    await until(again, timeout=30)
    api.replace(path, {**api.get(path), "data": {"ca.crt": ""}})
    await until(lambda: api.get(path).get("data") == first["data"], timeout=30)
    api.delete("/api/v1/namespaces/root-ca")


def test_reviews_say_what_an_account_may_do(api: Rest, shared: Kubectl, core: str) -> None:
    """What SubjectAccessReview and LocalSubjectAccessReview say is what an impersonated request meets."""
    space = core.rpartition("/")[2]
    user = f"system:serviceaccount:{space}:default"
    attributes = {"verb": "list", "resource": "configmaps", "namespace": space, "version": "v1"}
    spec = {"user": user, "resourceAttributes": attributes}
    reviews = "/apis/authorization.k8s.io/v1"
    paths = [f"{reviews}/subjectaccessreviews", f"{reviews}/namespaces/{space}/localsubjectaccessreviews"]

    def asked() -> set[bool]:
        bodies = ({"metadata": {"namespace": space} if "local" in path else {}, "spec": spec} for path in paths)
        said = {api.create(path, body)["status"]["allowed"] for path, body in zip(paths, bodies, strict=True)}
        return said | {shared.attempt("get", "configmaps", f"--as={user}").code == 0}

    assert asked() == {False}
    shared("create", "rolebinding", "reviewed", "--clusterrole=view", f"--serviceaccount={space}:default")
    assert asked() == {True}
