"""Tokens that are forged, stale, meant for others, or hidden where they do not belong."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.attacks.caller import Caller, refused
from tests.attacks.forgery import Signer, part, unsigned
from tests.attacks.issuer import Issuer, lying_issuer
from tests.support.certificates import Certificates
from tests.support.installation import new_installation
from tests.support.rest import Document
from tests.support.wait import until

WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


@dataclass
class Gate:
    """An installation that trusts ``issuer``, and one that it trusts in vain (its documents are elsewhere)."""

    issuer: Issuer
    server: Caller
    admin: Caller
    signing_keys: list[Document]

    def claims(self, **changed: Any) -> Document:
        """What a good token says, but for ``changed`` (None: left out)."""
        now = int(time.time())
        claims: Document = {
            "iss": self.issuer.url,
            "aud": "moorage",
            "sub": "eve",
            "iat": now,
            "nbf": now - 5,
            "exp": now + 600,
        }
        return {name: value for name, value in {**claims, **changed}.items() if value is not None}

    def whoami(self, token: str, **more: Any) -> Any:
        """(code, user name) of who comes with ``token``."""
        answer = self.server.with_token(token).send("POST", WHOAMI, {"kind": "SelfSubjectReview"}, **more)
        status = answer.document.get("status")
        return answer.code, status["userInfo"]["username"] if isinstance(status, dict) else None

    def rejects(self, token: str) -> None:
        """Nobody comes in with it."""
        code, user = self.whoami(token)
        assert code == 401, (code, user, token[:200])

    def account_token(self, **spec: Any) -> str:
        """A token of the account default/default."""
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        made: str = self.admin.create(f"{ACCOUNTS}/default/token", asked)["status"]["token"]
        return made


@pytest.fixture(scope="module")
def gate(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A control plane with an issuer of our own."""
    with lying_issuer(certificates) as issuer, new_installation() as made:
        config = {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "jwt": [
                {
                    "issuer": {
                        "url": issuer.url,
                        "audiences": ["moorage"],
                        "certificateAuthority": certificates.ca.read_text(),
                    },
                    "claimMappings": {
                        "username": {"claim": "sub", "prefix": ""},
                        "groups": {"claim": "groups", "prefix": ""},
                    },
                }
            ],
        }
        file: Path = tmp_path_factory.mktemp("authentication") / "config.yaml"
        file.write_text(yaml.safe_dump(config))
        made.up("--no-node", "--authentication-config", str(file))
        admin = Caller(made.url, made.data_dir / "pki" / "ca.crt", made.token())
        yield Gate(issuer, admin.with_token(""), admin, admin.get("/openid/v1/jwks")["keys"])


async def test_a_good_token_comes_in(gate: Gate) -> None:
    """Else nothing that is refused below would prove anything."""
    await until(lambda: gate.whoami(gate.issuer.signer.token(gate.claims())) == (201, "eve"))
    assert gate.whoami(gate.account_token()) == (201, "system:serviceaccount:default:default")


def test_without_a_signature(gate: Gate) -> None:
    account = _claims(gate.account_token())
    for claims in (gate.claims(), account):
        for algorithm in ("none", "None", "NONE", "nOnE", "", "RS256"):
            for token in unsigned(claims, algorithm):
                gate.rejects(token)
    good = gate.account_token()
    head, _body, signature = good.split(".")
    masters = {**account, "sub": "system:serviceaccount:kube-system:default"}
    gate.rejects(f"{head}.{part(masters)}.{signature}")
    gate.rejects(good[:-4] + "AAAA")


def _claims(token: str) -> Document:
    body = token.split(".")[1]
    claims: Document = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def test_signed_with_what_is_public(gate: Gate) -> None:
    """The public key as the secret of a symmetric algorithm, in every form that it is published in."""
    account = _claims(gate.account_token())
    jwks = gate.signing_keys
    forms = [gate.issuer.signer.public_pem, gate.issuer.signer.public_pem.strip(), json.dumps(jwks[0]).encode(), b""]
    forms += [str(jwks[0].get(name, "")).encode() for name in ("n", "x", "kid")]
    for claims, key_id in ((gate.claims(), gate.issuer.signer.key_id), (account, jwks[0]["kid"])):
        forger = Signer(key_id, gate.issuer.signer.key)
        for algorithm in ("HS256", "HS384", "HS512"):
            for form in forms:
                gate.rejects(forger.confused(claims, form, algorithm))
        # The other issuer's key for this issuer's claims.
        if claims is account:
            gate.rejects(forger.token(account))


def test_meant_for_others_or_other_times(gate: Gate) -> None:
    now, signer = int(time.time()), gate.issuer.signer
    wrong: list[Document] = [
        {"aud": "another"},
        {"aud": ["another", "moorage2"]},
        {"aud": None},
        {"aud": ""},
        {"aud": {"moorage": True}},
        {"exp": now - 3600},
        {"exp": None},
        {"exp": "never"},
        {"exp": 1e400},
        {"exp": True},
        {"nbf": now + 3600},
        {"iat": now + 3600},
        {"iss": f"{gate.issuer.url}/"},
        {"iss": gate.issuer.url.upper()},
        {"iss": "https://another.example.test"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": ["eve"]},
        {"sub": "system:admin"},
        {"sub": "system:serviceaccount:kube-system:default"},
        {"sub": "system:node:a"},
        {"sub": "eve\u0000"},
    ]
    for change in wrong:
        gate.rejects(signer.token(gate.claims(**change)))
    for audience in ("another", "https://another.example.test"):
        gate.rejects(gate.account_token(audiences=[audience]))


def test_groups_of_the_platform_are_not_an_issuers_to_give(gate: Gate) -> None:
    signer = gate.issuer.signer
    for groups in (["system:masters"], ["a", "system:nodes"], "system:masters", ["system:controllers"]):
        token = signer.token(gate.claims(groups=groups))
        refused(gate.server.with_token(token).send("GET", "/api/v1/secrets"), 401, 403)
        refused(gate.server.with_token(token).send("GET", "/api/v1/nodes"), 401, 403)
    for no_groups in ({"system:masters": 1}, [["system:masters"]], [1], "a\u0000"):
        refused(
            gate.server.with_token(signer.token(gate.claims(groups=no_groups))).send("GET", "/api/v1/secrets"), 401, 403
        )


def test_keys_that_the_token_brings_along(gate: Gate) -> None:
    """Nothing in a header is fetched, read or believed but the id of a key of the issuer's."""
    issuer, thief = gate.issuer, Signer.new("key-1")
    issuer.documents["/thief"] = {"keys": [thief.public_jwk()]}
    before = len(issuer.asked)
    for header in (
        {"jku": f"{issuer.url}/thief"},
        {"x5u": f"{issuer.url}/thief"},
        {"jwk": thief.public_jwk()},
        {"x5c": ["MIIB"]},
        {"crit": ["exp"]},
        {"kid": "../../../../dev/null"},
        {"kid": "' OR 1=1 --"},
        {"kid": f"{issuer.url}/thief"},
        {"kid": "x" * 100_000},
        {"kid": ["key-1"]},
        {"kid": None},
        {"typ": "JWE"},
        {"alg": "RS256", "b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
    ):
        gate.rejects(thief.token(gate.claims(), **header))
        if not {"kid"} & set(header):
            gate.rejects(issuer.signer.token(gate.claims(), **header))
    assert not [each for each in issuer.asked[before:] if "thief" in each]


def test_shapes_that_parsers_disagree_on(gate: Gate) -> None:
    """Duplicated claims, huge and deep ones, other encodings: never a server error, never somebody else."""
    signer, good = gate.issuer.signer, gate.claims()
    text = json.dumps(good)
    twice = text[:-1] + ', "sub": "admin", "sub": "system:admin"}'
    assert gate.whoami(signer.token(twice)) in ((401, None), (201, "system:admin"[7:]))
    deep = "[" * 3000 + "]" * 3000
    bodies: list[Any] = [
        text[:-1] + f', "x": {deep}}}',
        text[:-1] + ', "exp": NaN}',
        text[:-1] + ', "exp": Infinity}',
        "\ufeff" + text,
        "[]",
        "null",
        '"x"',
        "{",
        text.encode("utf-16"),
        b"\xff\xfe",
    ]
    for body in bodies:
        code, user = gate.whoami(signer.token(body))
        assert (code, user) in ((401, None), (201, "eve")), (body[:80], code, user)
    for token in (
        "eyJ..",
        "eyJ.eyJ.",
        "...",
        "eyJhbGciOiJub25lIn0..x",
        "a.b.c.d.e",
        "x" * 40_000,
        "eyJ" + "." * 2 + "\u00e9",
        "%00",
    ):
        gate.rejects(token)
    big = signer.token({**good, "x": "y" * 60_000})
    assert gate.whoami(big)[0] in (401, 431)


async def test_revoked_and_gone(gate: Gate) -> None:
    """A token ends with its revocation, its account, its account's successor, its Secret and its pod, at once and everywhere."""
    admin = gate.admin
    made = admin.create("/apis/moorage.io/v1/tokens", {"spec": {"user": "eve", "name": "old"}})
    token = made["status"]["token"]
    assert gate.whoami(token) == (201, "eve")
    admin.send("DELETE", f"/apis/moorage.io/v1/tokens/{made['metadata']['name']}").ok()
    gate.rejects(token)
    for change in (token.upper(), token + "=", " " + token + "x", token[:-1]):
        gate.rejects(change)
    admin.create(ACCOUNTS, {"metadata": {"name": "short-lived"}})
    asked: Document = {"spec": {}}
    path = f"{ACCOUNTS}/short-lived"
    of_account = admin.create(f"{path}/token", asked)["status"]["token"]
    assert gate.whoami(of_account)[0] == 201
    admin.send("DELETE", path)
    gate.rejects(of_account)
    admin.create(ACCOUNTS, {"metadata": {"name": "short-lived"}})
    gate.rejects(of_account)
    secret = admin.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "anchor"}})["metadata"]
    reference = {"kind": "Secret", "apiVersion": "v1", "name": "anchor", "uid": secret["uid"]}
    bound = admin.create(f"{path}/token", {"spec": {"boundObjectRef": reference}})["status"]["token"]
    assert gate.whoami(bound)[0] == 201
    admin.send("DELETE", "/api/v1/namespaces/default/secrets/anchor")
    gate.rejects(bound)


def test_headers_that_claim_an_identity(gate: Gate) -> None:
    """Only the one Authorization header counts: no proxy's, no second one, no cookie, no query."""
    admin = gate.admin.token
    for headers in (
        {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"},
        {"X-Forwarded-User": "admin", "X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Client-Cert": "Subject=CN=admin,O=system:masters"},
        {"X-SSL-Client-S-DN": "CN=admin"},
        {"Cookie": f"token={admin}"},
        {"Proxy-Authorization": f"Bearer {admin}"},
        {"X-Authorization": f"Bearer {admin}"},
        {"Sec-WebSocket-Protocol": f"base64url.bearer.authorization.k8s.io.{part(admin)}, v5.channel.k8s.io"},
    ):
        refused(gate.server.send("GET", "/api/v1/secrets", headers=headers), 401)
    for query in (f"access_token={admin}", f"token={admin}"):
        refused(gate.server.send("GET", f"/api/v1/secrets?{query}"), 401)
    for value in (
        "",
        "Bearer",
        "Bearer ",
        f"bearer\t{admin}",
        f"Token {admin}",
        f"Basic {admin}",
        "Negotiate x",
        f"Digest {admin}",
    ):
        refused(gate.server.send("GET", "/api/v1/secrets", headers={"Authorization": value}), 401)


def test_two_authorization_headers(gate: Gate) -> None:
    """A weak and a strong one: whichever a proxy looked at, the request is not the stronger one's."""
    weak = gate.account_token()
    for order in ((weak, gate.admin.token), (gate.admin.token, weak), ("x", gate.admin.token), (gate.admin.token, "x")):
        lines = "".join(f"Authorization: Bearer {token}\r\n" for token in order)
        for path in (
            "/api/v1/secrets",
            "/apis/moorage.io/v1/tokens",
            "/git/a/b.git/info/refs?service=git-upload-pack",
            "/metrics",
        ):
            request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n"
            answer = gate.server.raw(request.encode(), seconds=10)
            assert answer.split(b" ", 2)[1] == b"400", answer[:200]


def test_smuggled_requests(gate: Gate) -> None:
    """Two lengths, a length and chunks, odd chunks and folded headers: one request at most is read out of one."""
    inner = f"GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gate.account_token()}\r\n\r\n"
    heads = (
        f"Content-Length: 0\r\nContent-Length: {len(inner)}\r\n",
        f"Content-Length: {len(inner)}\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        f"Content-Length: +{len(inner)}\r\n",
        "Content-Length: -1\r\n",
        "X: y\r\n Authorization: Bearer x\r\n",
    )
    for head in heads:
        request = f"POST {WHOAMI} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n{inner}"
        answer = gate.server.raw(request.encode(), seconds=10)
        assert answer.count(b"HTTP/1.1 ") <= 1, answer
        assert b" 201 " not in answer[:20]
        assert b" 200 " not in answer[:20]


def test_an_issuers_documents_lead_nowhere(gate: Gate) -> None:
    """Metadata that names other hosts, redirects or files is not followed: the server asks the issuer's host only."""
    issuer = gate.issuer
    good = dict(issuer.documents)
    stranger = Signer.new("key-9")
    issuer.documents["/trap"] = {"keys": [stranger.public_jwk()]}
    try:
        for target in (
            f"{issuer.elsewhere}/trap",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
            "https://[::1]:1/x",
        ):
            issuer.publish(jwks_uri=target)
            gate.rejects(stranger.token(gate.claims()))
        for code in (301, 302, 307):
            issuer.publish()
            issuer.documents["/keys"] = (code, {"Location": f"{issuer.elsewhere}/trap"})
            gate.rejects(stranger.token(gate.claims()))
    finally:
        issuer.documents.update(good)
    assert "localhost/trap" not in issuer.asked
    assert not [each for each in issuer.asked if each.startswith("localhost")]
