"""The audit through the API: what is found in it, by whom, and what never is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from ipaddress import ip_address
from typing import Any

import psycopg
import pytest

from tests.support.access import RunningAccess
from tests.support.audited import audited
from tests.support.certificates import Certificates

AUDIT = "/apis/moorage.io/v1/audit"
CANARY = "canary-c41f"
PODS = "/api/v1/namespaces/{}/pods"


@pytest.fixture
async def server(database_url: str, certificates: Certificates) -> AsyncIterator[RunningAccess]:
    async with audited(database_url, certificates) as running:
        yield running


async def do(server: RunningAccess, token: str, method: str, path: str, body: Any = None, expect: int = 200) -> Any:
    code, answer = await server.call(token, method, path, body)
    assert code == expect, answer
    return answer


async def rows(server: RunningAccess, query: str = "", token: str = "admin-token") -> list[dict[str, Any]]:
    await server.api.store.audit_chain.flush()
    found = await do(server, token, "GET", f"{AUDIT}?{query}")
    assert found["kind"] == "AuditList"
    items: list[dict[str, Any]] = found["items"]
    return items


def configmap(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}}


def secret(name: str, value: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"password": value}}


async def make_owner(server: RunningAccess, user: str, namespace: str) -> None:
    await do(server, "admin-token", "POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}, 201)
    binding = {
        "metadata": {"name": "owner"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
    await do(server, "admin-token", "POST", path, binding, 201)


async def test_who_did_what_from_where_and_what_it_changed(server: RunningAccess) -> None:
    place = "/api/v1/namespaces/default/configmaps"
    await do(server, "admin-token", "POST", place, configmap("c"), 201)
    await do(server, "admin-token", "PUT", f"{place}/c", {**configmap("c"), "data": {"a": "other", "n": "x"}})
    await do(server, "eve", "GET", f"{place}/c", expect=403)
    await do(server, "admin-token", "GET", f"{place}/c")
    await do(server, "admin-token", "DELETE", f"{place}/c")
    deleted, refused, updated, created = await rows(server, "resource=configmaps&name=c&namespace=default")
    assert [each["verb"] for each in (created, updated, deleted)] == ["create", "update", "delete"]
    assert created["user"] == "admin"
    assert ip_address(created["detail"]["sourceIP"]).version in (4, 6)
    assert created["detail"]["userAgent"].startswith("Python/")
    assert int(created["revision"]) < int(updated["revision"])
    assert updated["detail"]["changed"] == ["data.a", "data.n"]
    assert updated["oldDigest"] == created["newDigest"]
    assert (refused["user"], refused["allowed"], refused["code"]) == ("eve", False, 403)
    assert 'cannot get resource "configmaps"' in refused["detail"]["reason"]
    assert [each["user"] for each in await rows(server, "outcome=refused&user=eve")] == ["eve"]


async def test_members_of_a_transaction_have_rows_refused_ones_too(server: RunningAccess) -> None:
    path = "/apis/moorage.io/v1/transactions"
    operations = [
        {"verb": "create", "object": {**configmap(name), "metadata": {"name": name, "namespace": "default"}}}
        for name in ("x", "y")
    ]
    whole = {"apiVersion": "moorage.io/v1", "kind": "Transaction", "spec": {"operations": operations}}
    await do(server, "eve", "POST", path, whole, 403)
    await do(server, "admin-token", "POST", path, whole, 201)
    names = [(each["user"], each["name"], each["allowed"]) for each in await rows(server, "resource=configmaps&name=x")]
    assert names == [("admin", "x", True), ("eve", "x", False)]


async def test_reads_of_secrets_are_told_and_their_contents_never(server: RunningAccess, database_url: str) -> None:
    place = "/api/v1/namespaces/default/secrets"
    await do(server, "admin-token", "POST", place, secret("s", CANARY), 201)
    await do(server, "admin-token", "GET", f"{place}/s")
    await do(server, "admin-token", "GET", place)
    patch = [{"op": "add", "path": "/data/more", "value": "Y2FuYXJ5LWM0MWY="}]
    session = server.api.session("admin-token")
    async with (
        session,
        session.patch(
            f"{place}/s", data=json.dumps(patch), headers={"content-type": "application/json-patch+json"}
        ) as answer,
    ):
        assert answer.status == 200
    await do(server, "eve", "PUT", f"{place}/s", secret("s", CANARY), 403)
    bad = {**secret("t", CANARY), "data": {"bad key": "Y2FuYXJ5LWM0MWY="}}
    await do(server, "admin-token", "POST", place, bad, 422)
    verbs = [(each["user"], each["verb"]) for each in await rows(server, "resource=secrets&namespace=default")]
    told = [("admin", "create"), ("admin", "get"), ("admin", "list"), ("admin", "patch"), ("eve", "update")]
    assert verbs == [("admin", "create"), *reversed(told)]
    assert (await rows(server, "resource=secrets&verb=patch"))[0]["detail"]["changed"] == ["data.more"]
    with psycopg.connect(database_url) as plain:
        whole = str(plain.execute("SELECT array_agg(a::text) FROM audit a").fetchone())
    assert CANARY not in whole
    assert "Y2FuYXJ5LWM0MWY" not in whole


async def test_who_could_not_come_in_is_told_with_what_was_asked_for(server: RunningAccess) -> None:
    for path in ("/api/v1/namespaces/default/secrets/s?token=canary-q", "/version/../metrics", f"{AUDIT}/verify"):
        async with server.api.session("") as session, session.get(path) as answer:
            assert answer.status == 401
    secrets, metrics, verify = (await rows(server, "user=system:anonymous"))[::-1]
    assert (secrets["resource"], secrets["name"], secrets["allowed"], secrets["code"]) == ("secrets", "s", False, 401)
    assert metrics["detail"]["path"] == "/metrics"
    assert verify["resource"] == "audit"
    for each in (secrets, metrics, verify):
        assert ip_address(each["detail"]["sourceIP"]).version in (4, 6)
        assert each["detail"]["userAgent"].startswith("Python/")
        assert each["detail"]["reason"] == "no credentials were given"
    assert "canary-q" not in json.dumps([secrets, metrics, verify])


async def test_who_acts_as_somebody_else_is_named(server: RunningAccess) -> None:
    place = "/api/v1/namespaces/default/configmaps"
    await make_owner(server, "ann", "blue")
    as_ann = {"Impersonate-User": "ann"}
    blue = "/api/v1/namespaces/blue/configmaps"
    for method, path, body, expect in (("GET", blue, None, 200), ("POST", blue, configmap("c"), 201)):
        code, _ = await server.call("admin-token", method, path, body, as_ann)
        assert code == expect
    code, _ = await server.call("eve", "GET", place, None, as_ann)
    assert code == 403
    acted = [(each["verb"], each["detail"]["impersonator"]) for each in await rows(server, "user=ann&namespace=blue")]
    assert acted == [("create", "admin"), ("list", "admin")]
    (refused,) = await rows(server, "user=eve&verb=impersonate")
    assert (refused["resource"], refused["name"], refused["allowed"]) == ("users", "ann", False)
    assert ip_address(refused["detail"]["sourceIP"]).version in (4, 6)


async def test_a_refused_path_beside_the_resources_is_told_of(server: RunningAccess) -> None:
    await do(server, "eve", "GET", "/metrics", expect=403)
    (row,) = await rows(server, "user=eve")
    assert (row["detail"]["path"], row["allowed"], row["code"]) == ("/metrics", False, 403)
    assert ip_address(row["detail"]["sourceIP"]).version in (4, 6)


async def test_reading_a_pods_output_is_told_of(server: RunningAccess) -> None:
    await do(server, "admin-token", "GET", "/api/v1/namespaces/default/pods/none/log", expect=404)
    (row,) = await rows(server, "resource=pods&name=none")
    assert (row["subresource"], row["allowed"], row["code"]) == ("log", True, 404)


async def test_what_an_admission_refuses_in_a_transaction_is_told_of_its_member(server: RunningAccess) -> None:
    """Ann may write roles in her namespace, but none that gives more than she has."""
    await make_owner(server, "ann", "blue")
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "all", "namespace": "blue"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    }
    spec = {"operations": [{"verb": "create", "object": role}]}
    for kind, path in (("Transaction", "transactions"), ("Batch", "batches")):
        whole = {"apiVersion": "moorage.io/v1", "kind": kind, "spec": spec}
        code, answer = await server.call("ann", "POST", f"/apis/moorage.io/v1/{path}", whole)
        assert code in (200, 403), answer
    told = [(each["allowed"], each["code"]) for each in await rows(server, "user=ann&resource=roles&name=all")]
    assert told == [(False, 403), (False, 403)]


async def test_a_watch_of_secrets_is_told_of_while_it_lasts(server: RunningAccess) -> None:
    session = server.api.session("admin-token")
    async with session, session.get("/api/v1/namespaces/default/secrets?watch=true") as answer:
        assert answer.status == 200
        (row,) = await rows(server, "resource=secrets&verb=watch&namespace=default")
        assert row["detail"]["stage"] == "started"
    assert len(await rows(server, "resource=secrets&verb=watch&namespace=default")) == 1


async def test_an_owner_sees_what_happened_in_its_own_namespaces_only(server: RunningAccess) -> None:
    for user, namespace in (("ann", "blue"), ("bob", "red")):
        await make_owner(server, user, namespace)
        await do(server, user, "POST", f"/api/v1/namespaces/{namespace}/configmaps", configmap("mine"), 201)
    await do(server, "bob", "GET", "/api/v1/namespaces/blue/configmaps", expect=403)
    seen = await rows(server, token="ann")
    assert {each["namespace"] for each in seen} == {"blue"}
    # Who tried to look into it is its owner's to know.
    assert ("bob", "list", False) in {(each["user"], each["verb"], each["allowed"]) for each in seen}
    await do(server, "ann", "GET", f"{AUDIT}?namespace=blue")
    for query in ("namespace=red", "namespace=blue&namespace=red", "namespace=none"):
        await do(server, "ann", "GET", f"{AUDIT}?{query}", expect=403)
    await do(server, "eve", "GET", AUDIT, expect=403)
    await do(server, "ann", "GET", f"{AUDIT}/verify", expect=403)
    async with server.api.session("") as session, session.get(AUDIT) as answer:
        assert answer.status == 401


async def test_a_namespace_of_an_earlier_name_tells_nothing(server: RunningAccess) -> None:
    await make_owner(server, "ann", "blue")
    await do(server, "ann", "POST", "/api/v1/namespaces/blue/configmaps", configmap("old"), 201)
    assert await rows(server, "name=old", "ann")
    with psycopg.connect(server.api.store._database._conninfo, autocommit=True) as plain:
        # The namespace is made anew later: its document says when.
        plain.execute(
            "UPDATE objects SET document = replace(document::text, document #>> '{metadata,creationTimestamp}',"
            " to_char(now() AT TIME ZONE 'UTC' + interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))::json"
            " WHERE resource = 'namespaces' AND name = 'blue'"
        )
    cache = await server.api.store.cache(server.api.app.service.registry.by_plural("", "v1", "namespaces").storage)  # type: ignore[union-attr] # built in
    cache.invalidate(ConnectionResetError("filled anew"))
    await cache.ready()
    assert await rows(server, "name=old", "ann") == []
    assert await rows(server, "name=old&namespace=blue")


async def test_the_verifier_tells_what_it_found(server: RunningAccess) -> None:
    await do(server, "admin-token", "GET", "/api/v1/namespaces/default/secrets")
    await server.api.store.audit_chain.flush()
    lines = (await do(server, "admin-token", "GET", f"{AUDIT}/verify")).splitlines()
    report = json.loads(lines[-1])["report"]
    assert report["problems"] == []
    assert report["rows"] > 3
    with psycopg.connect(server.api.store._database._conninfo, autocommit=True) as plain:
        plain.execute("ALTER TABLE audit DISABLE TRIGGER ALL")
        plain.execute("UPDATE audit SET actor = 'nobody' WHERE chain = 'commits' AND seq = 2")
    lines = (await do(server, "admin-token", "GET", f"{AUDIT}/verify")).splitlines()
    (problem,) = json.loads(lines[-1])["report"]["problems"]
    assert (problem["chain"], problem["seq"]) == ("commits", 2)


BAD = [
    ("usr=x", 'unknown parameter "usr"'),
    ("since=yesterday", 'since: "yesterday" must be a time'),
    ("limit=0", "must be a number from 1 to 1000"),
    ("outcome=maybe", "must be allowed or refused"),
    ("continue=%21", "the continue token is not one of the audit's"),
]


async def test_bad_questions_are_refused_with_what_would_be_right(server: RunningAccess) -> None:
    for query, message in BAD:
        answer = await do(server, "admin-token", "GET", f"{AUDIT}?{query}", expect=400)
        assert message in answer["message"]


async def test_pages_go_on_where_the_last_one_ended(server: RunningAccess) -> None:
    for number in range(5):
        await do(server, "admin-token", "POST", "/api/v1/namespaces/default/configmaps", configmap(f"c{number}"), 201)
    query, names = "resource=configmaps&user=admin&limit=2", []
    token = ""
    while True:
        page = await do(server, "admin-token", "GET", f"{AUDIT}?{query}&continue={token}")
        names += [each["name"] for each in page["items"]]
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert names == ["c4", "c3", "c2", "c1", "c0"]
