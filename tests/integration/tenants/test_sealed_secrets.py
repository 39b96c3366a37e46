"""SealedSecrets on the real server: the Secret comes in the same commit, only in its own place, and stays as it says."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from moorage.api.contracts import Identity
from tests.integration.api.documents import create, namespace, patch, send
from tests.support.certificates import Certificates
from tests.support.secrets import OWN, SEALED, SECRETS, SecretServer, serve_secrets
from tests.support.wait import until

CANARY = "canary-sealed-81b2"


@pytest.fixture
async def server(database_url: str, certificates: Certificates) -> AsyncIterator[SecretServer]:
    async with serve_secrets(database_url, certificates) as running:
        yield running


def plain(secret: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


async def test_the_secret_comes_in_the_same_commit(server: SecretServer) -> None:
    client = server.api.client
    sealed = await server.seal("db", password=CANARY, user="shop")
    sealed["spec"]["template"] = {
        "type": "Opaque",
        "metadata": {"labels": {"app": "db"}, "annotations": {"note": "sealed"}},
    }

    made = await create(client, SEALED, sealed)

    secret = await send(client, "GET", f"{SECRETS}/db")
    assert plain(secret) == {"password": CANARY, "user": "shop"}
    assert secret["metadata"]["labels"] == {"app": "db"}
    assert secret["metadata"]["annotations"] == {"note": "sealed"}
    (owner,) = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("SealedSecret", "db", made["metadata"]["uid"])
    assert int(secret["metadata"]["resourceVersion"]) == int(made["metadata"]["resourceVersion"]) + 1
    (condition,) = made["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Synced", "True", "Unsealed")
    table = await send(
        client, "GET", SEALED, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    )
    assert table["rows"][0]["cells"][:4] == ["db", "Opaque", 2, "True"]


async def test_a_change_changes_the_secret(server: SecretServer) -> None:
    client = server.api.client
    await create(client, SEALED, await server.seal("db", password="first", old="x"))
    changed = await server.seal("db", password="second")

    await send(client, "PUT", f"{SEALED}/db", changed)

    assert plain(await send(client, "GET", f"{SECRETS}/db")) == {"password": "second"}
    found = await send(client, "GET", f"{SEALED}/db")
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"] == 2


async def test_moved_to_another_place_it_does_not_open(server: SecretServer) -> None:
    """CVE-2026-22728: where a value may be opened is never the request's own word."""
    client = server.api.client
    await create(client, "/api/v1/namespaces", namespace("thief"))
    sealed = await server.seal("db", password=CANARY)
    thief = {**sealed, "metadata": {"name": "db", "namespace": "thief", "annotations": {"scope": "cluster-wide"}}}
    other_name = {**sealed, "metadata": {"name": "copy", "namespace": "default"}}
    other_key = {**sealed, "spec": {"encryptedData": {"other": sealed["spec"]["encryptedData"]["password"]}}}
    for document, path in (
        (thief, SEALED.replace("default", "thief")),
        (other_name, SEALED),
        (other_key, SEALED),
    ):
        refused = await send(client, "POST", path, document, expect=422)
        assert "a sealed value opens in its own place only" in refused["message"]
        assert "moorage secrets seal" in refused["message"]
        assert CANARY not in str(refused)
        ask = f"{path.replace('secrets.moorage.io', 'moorage.io')}/{document['metadata']['name']}/unseal"
        assert CANARY not in str(await send(client, "POST", ask, document, expect=422))
    assert (await send(client, "GET", "/api/v1/secrets"))["items"] == []


@pytest.mark.parametrize("value", ["", "not base64", "AAAA", base64.b64encode(b"\x01" + bytes(80)).decode()])
async def test_what_is_no_sealed_value_is_refused(server: SecretServer, value: str) -> None:
    sealed = await server.seal("db", password="x")
    sealed["spec"]["encryptedData"]["password"] = value
    refused = await send(server.api.client, "POST", SEALED, sealed, expect=422)
    assert "spec.encryptedData[password]" in refused["message"]


async def test_a_secret_of_somebody_else_is_not_taken(server: SecretServer) -> None:
    client = server.api.client
    foreign = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"a": "theirs"}}
    await create(client, SECRETS, foreign)
    sealed = await server.seal("db", password="ours")

    refused = await send(client, "POST", SEALED, sealed, expect=409)

    assert "was not made by this SealedSecret" in refused["message"]
    assert "kubectl annotate secret db -n default secrets.moorage.io/adopt=true" in refused["message"]
    assert plain(await send(client, "GET", f"{SECRETS}/db")) == {"a": "theirs"}
    await patch(client, f"{SECRETS}/db", {"metadata": {"annotations": {"secrets.moorage.io/adopt": "true"}}})
    await create(client, SEALED, sealed)
    assert plain(await send(client, "GET", f"{SECRETS}/db")) == {"password": "ours"}


async def test_types_that_give_an_identity_are_not_sealed(server: SecretServer) -> None:
    sealed = await server.seal("token", token="x")
    sealed["spec"]["template"] = {"type": "kubernetes.io/service-account-token"}
    refused = await send(server.api.client, "POST", SEALED, sealed, expect=422)
    assert "gives an identity and cannot be sealed" in refused["message"]


async def test_the_rules_of_secrets_hold_for_what_is_sealed(server: SecretServer) -> None:
    sealed = await server.seal("tls", certificate="x")
    sealed["spec"]["template"] = {"type": "kubernetes.io/tls"}
    refused = await send(server.api.client, "POST", SEALED, sealed, expect=422)
    assert "data[tls.crt]: Required value" in refused["message"]
    assert (await send(server.api.client, "GET", SEALED))["items"] == []


async def test_what_is_deleted_or_edited_is_set_right(server: SecretServer) -> None:
    client = server.api.client
    await create(client, SEALED, await server.seal("db", password="right"))
    await send(client, "DELETE", f"{SECRETS}/db")

    async def right() -> bool:
        async with client.get(f"{SECRETS}/db") as answer:
            assert answer.status == 200
            assert plain(await answer.json()) == {"password": "right"}
        return True

    await until(right)
    await patch(client, f"{SECRETS}/db", {"stringData": {"password": "wrong", "more": "x"}})
    await until(right)


async def test_what_stands_in_the_way_is_told(server: SecretServer) -> None:
    client = server.api.client
    await create(client, SEALED, await server.seal("db", password="right"))
    await patch(client, f"{SECRETS}/db", {"metadata": {"ownerReferences": None}})

    async def synced(status: str, reason: str) -> bool:
        (condition,) = (await send(client, "GET", f"{SEALED}/db"))["status"]["conditions"]
        assert (condition["status"], condition["reason"]) == (status, reason), condition
        return True

    await until(lambda: synced("False", "Conflict"))
    await send(client, "DELETE", f"{SECRETS}/db")
    await create(client, SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}})
    await until(lambda: synced("False", "Conflict"))


async def test_sealing_keys_change_and_old_ones_stay_readable(server: SecretServer) -> None:
    client = server.api.client
    old = await server.seal("db", password=CANARY)
    renewed = await server.parts.sealing_keys.renew()
    fresh = await server.seal("new", password="x")
    assert fresh["spec"]["encryptedData"]["password"] != old["spec"]["encryptedData"]["password"]
    await create(client, SEALED, old)
    assert plain(await send(client, "GET", f"{SECRETS}/db")) == {"password": CANARY}

    again = await send(client, "POST", f"{OWN}/sealedsecrets/db/reseal", old)

    raw = base64.b64decode(again["spec"]["encryptedData"]["password"])
    assert raw[1:9].hex() == renewed
    assert CANARY not in str(again)
    await send(client, "PUT", f"{SEALED}/db", again)
    assert plain(await send(client, "GET", f"{SECRETS}/db")) == {"password": CANARY}


async def test_who_may_read_the_secret_may_open_it_and_it_is_written_down(server: SecretServer) -> None:
    api = server.api
    api.policies.authenticator.identities["sealer-token"] = Identity("sealer", frozenset({"system:authenticated"}))
    api.policies.authorizer.rules.append(
        lambda asked: asked.identity.name == "sealer" and asked.resource == "sealedsecrets"
    )
    sealed = await server.seal("db", password=CANARY)
    async with api.session("sealer-token") as sealer:
        keys = await send(sealer, "GET", "/apis/secrets.moorage.io/v1/sealingkeys")
        assert keys["items"][0]["current"]
        await create(sealer, SEALED, sealed)
        await send(sealer, "POST", f"{OWN}/sealedsecrets/db/reseal", sealed)
        refused = await send(sealer, "POST", f"{OWN}/sealedsecrets/db/unseal", sealed, expect=403)
        assert refused["reason"] == "Forbidden"
    opened = await send(api.client, "POST", f"{OWN}/sealedsecrets/db/unseal", sealed)
    assert plain(opened) == {"password": CANARY}
    noted = [
        (attributes.identity.name, attributes.verb, attributes.resource, attributes.name, decision.allowed)
        for attributes, decision, outcome in api.policies.auditor.records
        if outcome.get("action") == "unseal"
    ]
    assert noted == [("sealer", "get", "secrets", "db", False), ("admin", "get", "secrets", "db", True)]
    async with api.session("") as nobody:
        await send(nobody, "GET", "/apis/secrets.moorage.io/v1/sealingkeys", expect=401)


async def test_dry_runs_check_and_write_nothing(server: SecretServer) -> None:
    client = server.api.client
    sealed = await server.seal("db", password=CANARY)
    await create(client, f"{SEALED}?dryRun=All", sealed)
    await send(client, "GET", f"{SECRETS}/db", expect=404)


async def test_another_server_opens_what_the_first_ones_key_sealed(
    server: SecretServer, database_url: str, certificates: Certificates
) -> None:
    async with serve_secrets(database_url, certificates, server="two") as second:
        await server.parts.sealing_keys.renew()
        sealed = await server.seal("db", password=CANARY)
        await create(second.api.client, SEALED, sealed)
        assert plain(await send(second.api.client, "GET", f"{SECRETS}/db")) == {"password": CANARY}
