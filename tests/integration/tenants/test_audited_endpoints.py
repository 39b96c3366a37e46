"""Every way in leaves its rows: the endpoints beside the resource verbs, composed as in production."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from moorage.api.app import MoorageApp
from moorage.server import ServerConfig, composed
from moorage.store import PostgresStore
from moorage.store.audit_log import AuditQuery
from tests.support.asgi import Answer, Asgi
from tests.support.certificates import Certificates
from tests.support.wait import until

PEOPLE = {"admin-secret-1": ("admin", ["system:masters"]), "eve-secret-1": ("eve", [])}
AGENT = "curl/8.5 audited"
TOKENS = "/apis/moorage.io/v1/tokens"
SECRETS = "/api/v1/namespaces/default/secrets"
CANARY = "canary-5d2e"
Row = dict[str, Any]


@dataclass(frozen=True)
class Served:
    """The application and its audit."""

    app: MoorageApp
    asgi: Asgi

    async def ask(self, token: str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request with a bearer token ("" for none)."""
        known = {"user-agent": AGENT, "content-type": "application/json", **headers}
        if token:
            known["authorization"] = f"Bearer {token}"
        return await self.asgi.request(method, path, body, known)

    async def rows(self, **query: Any) -> list[tuple[str, str, str, bool, int]]:
        """(user, verb, resource/subresource or path, allowed, code), oldest first. All of them say where they came from."""
        store = self.app.service.store
        assert isinstance(store, PostgresStore)
        await store.audit_chain.flush()
        found, _ = await store.audit.rows(AuditQuery(limit=1000, **query))
        for row in found:
            assert row.detail["sourceIP"] == "127.0.0.1", row
            assert row.detail["userAgent"] == AGENT, row
            assert row.request_id, row
        return [
            (
                row.actor,
                row.verb,
                "/".join(filter(None, (row.resource, row.subresource))) or row.detail["path"],
                row.allowed,
                row.code,
            )
            for row in reversed(found)
        ]


@pytest.fixture
async def served(database_url: str, certificates: Certificates, tmp_path: Path) -> AsyncIterator[Served]:
    kek, tokens = tmp_path / "kek", tmp_path / "tokens"
    kek.write_text("07" * 32)
    kek.chmod(0o600)
    known = [
        {"sha256": hashlib.sha256(token.encode()).hexdigest(), "user": user, "groups": groups}
        for token, (user, groups) in PEOPLE.items()
    ]
    tokens.write_text(json.dumps(known))
    config = ServerConfig.checked(
        database_url=database_url,
        listen="127.0.0.1:6443",
        advertise="",
        tls_cert=certificates.certificate,
        tls_key=certificates.key,
        ca_cert=certificates.ca,
        kek_file=kek,
        bootstrap_tokens=tokens,
        git_dir=tmp_path / "git",
    )
    async with composed(config) as app, app.router.lifespan_context(app):
        await until(lambda: app.startup.waiting_for == "", timeout=60, every=0.01)
        yield Served(app, Asgi(app))


async def test_tokens_and_credentials(served: Served) -> None:
    made = json.loads((await served.ask("admin-secret-1", "POST", TOKENS, {"spec": {"user": "ann"}})).body)
    secret, name = made["status"]["token"], made["metadata"]["name"]
    assert (await served.ask("eve-secret-1", "POST", TOKENS, {"spec": {"user": "ann"}})).code == 403
    assert (await served.ask("admin-secret-1", "DELETE", f"{TOKENS}/{name}")).code == 200
    assert (await served.ask("eve-secret-1", "DELETE", f"{TOKENS}/{name}")).code == 403
    assert await served.rows(resource="tokens") == [
        ("admin", "create", "tokens", True, 200),
        ("eve", "create", "tokens", False, 403),
        ("admin", "delete", "tokens", True, 200),
        ("eve", "delete", "tokens", False, 403),
    ]
    join = json.loads((await served.ask("admin-secret-1", "POST", TOKENS, {"spec": {"node": "n1"}})).body)["status"][
        "token"
    ]
    credential = {"spec": {"sha256": hashlib.sha256(b"own").hexdigest()}}
    assert (await served.ask(join, "POST", "/apis/moorage.io/v1/nodecredentials", credential)).code == 201
    again = {"spec": {"sha256": hashlib.sha256(b"thief").hexdigest()}}
    assert (await served.ask(join, "POST", "/apis/moorage.io/v1/nodecredentials", again)).code == 401
    assert await served.rows(resource="nodecredentials") == [
        ("system:node:n1", "create", "nodecredentials", True, 200),
        ("system:anonymous", "create", "nodecredentials", False, 401),
    ]
    await no_secret(served, secret, join, join.rpartition(".")[2])


async def test_secrets_and_their_past(served: Served) -> None:
    document = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": CANARY}}
    assert (await served.ask("admin-secret-1", "POST", SECRETS, document)).code == 201
    document = {**document, "stringData": {"password": f"{CANARY}-2"}}
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(document)}
    changed = {**document, "metadata": {"name": "db", "annotations": annotations}}
    assert (await served.ask("admin-secret-1", "PUT", f"{SECRETS}/db", changed)).code == 200
    own = "/apis/moorage.io/v1/namespaces/default/secrets/db"
    assert (await served.ask("eve-secret-1", "GET", f"{own}/history")).code == 403
    assert (await served.ask("admin-secret-1", "GET", f"{own}/history")).code == 200
    assert (await served.ask("admin-secret-1", "POST", f"{own}/rollback", {"version": 1})).code == 200
    patch = {"data": {"password": base64.b64encode(f"{CANARY}-3".encode()).decode()}}
    merge = {"content-type": "application/merge-patch+json"}
    assert (await served.ask("admin-secret-1", "PATCH", f"{SECRETS}/db?fieldManager=x", patch, **merge)).code == 200
    assert (await served.ask("admin-secret-1", "GET", f"{SECRETS}?labelSelector=a%3D{CANARY}")).code == 200
    assert await served.rows(namespaces={"default": 0.0}, resource="secrets") == [
        ("admin", "create", "secrets", True, 0),
        ("admin", "update", "secrets", True, 0),
        ("eve", "get", "secrets", False, 403),
        ("admin", "get", "secrets", True, 200),
        ("admin", "update", "secrets", True, 200),
        ("admin", "update", "secrets", True, 0),
        ("admin", "patch", "secrets", True, 0),
        ("admin", "list", "secrets", True, 200),
    ]
    encoded = base64.b64encode(CANARY.encode()).decode()[:12]
    await no_secret(served, CANARY, encoded)


async def test_tokens_of_accounts_and_acting_as_others(served: Served) -> None:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    place = "/api/v1/namespaces/default/serviceaccounts/default/token"
    answer = await served.ask("admin-secret-1", "POST", place, request)
    assert answer.code == 201, answer.body
    token = json.loads(answer.body)["status"]["token"]
    account = "system:serviceaccount:default:default"
    as_account = {"impersonate-user": account}
    assert (await served.ask("admin-secret-1", "GET", SECRETS, **as_account)).code == 403
    assert (await served.ask("eve-secret-1", "GET", SECRETS, **as_account)).code == 403
    assert (await served.ask(token[:-2] + "xx", "GET", SECRETS)).code == 401
    assert await served.rows(
        resource="serviceaccounts", name="default", namespaces={"default": 0.0}, verb="create", user="admin"
    ) == [("admin", "create", "serviceaccounts/token", True, 201)]
    assert await served.rows(resource="secrets", user=account) == [(account, "list", "secrets", False, 403)]
    assert await served.rows(user="eve") == [("eve", "impersonate", "serviceaccounts", False, 403)]
    assert await served.rows(user="system:anonymous") == [("system:anonymous", "get", "secrets", False, 401)]
    await no_secret(served, token, token.rpartition(".")[2])


async def test_paths_beside_the_resources_and_the_git_host(served: Served) -> None:
    basic = base64.b64encode(f"git:{CANARY}".encode()).decode()
    git = "/git/default/web.git/info/refs?service=git-receive-pack"
    assert (await served.ask("", "GET", git, authorization=f"Basic {basic}")).code == 401
    assert (await served.ask("eve-secret-1", "GET", git)).code == 403
    assert (await served.ask("eve-secret-1", "GET", f"/metrics?x={CANARY}")).code == 403
    assert (await served.ask(CANARY, "GET", "/metrics")).code == 401
    assert (await served.ask(CANARY, "GET", "/apis/moorage.io/v1/audit")).code == 401
    assert (await served.ask("eve-secret-1", "GET", "/apis/moorage.io/v1/audit/verify")).code == 403
    assert await served.rows(user="system:anonymous") == [
        ("system:anonymous", "create", "repositories/push", False, 401),
        ("system:anonymous", "get", "/metrics", False, 401),
        ("system:anonymous", "get", "audit", False, 401),
    ]
    assert await served.rows(user="eve") == [
        ("eve", "create", "repositories/push", False, 403),
        ("eve", "get", "/metrics", False, 403),
        ("eve", "get", "audit/verify", False, 403),
    ]
    await no_secret(served, CANARY, basic)


async def test_what_reaches_into_pods(served: Served) -> None:
    """Told of when it begins, and again where it comes to nothing; what was to be run is not kept."""
    exec_ = f"/api/v1/namespaces/default/pods/none/exec?command=echo&command={CANARY}&stdout=true"
    for token, expected in (("eve-secret-1", 403), ("admin-secret-1", 404)):
        headers = {"authorization": f"Bearer {token}", "user-agent": AGENT}
        assert (await served.asgi.websocket(exec_, headers)).code == expected
        assert (await served.ask(token, "GET", "/api/v1/namespaces/default/pods/none/log?container=x")).code == expected
    assert (await served.asgi.websocket(exec_, {"user-agent": AGENT})).code == 401
    assert await served.rows(name="none") == [
        ("eve", "get", "pods/exec", False, 403),
        ("eve", "get", "pods/log", False, 403),
        ("admin", "get", "pods/exec", True, 0),
        ("admin", "get", "pods/exec", True, 404),
        ("admin", "get", "pods/log", True, 404),
        ("system:anonymous", "get", "pods/exec", False, 401),
    ]
    await no_secret(served, CANARY)


async def no_secret(served: Served, *secrets: str) -> None:
    """None of the texts is anywhere in the audit."""
    store = served.app.service.store
    assert isinstance(store, PostgresStore)
    await store.audit_chain.flush()
    found = await store._readers.fetch("SELECT a::text FROM audit a", ())
    whole = "\n".join(str(row) for row in found)
    assert len(whole) > 100
    assert [secret for secret in secrets if secret in whole] == []
    assert (await store.audit.verify()).problems == []
