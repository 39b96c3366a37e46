"""Rotation of keys while everything runs: data keys, key-encryption keys in a file and in a KMS, several servers, crashes."""

from __future__ import annotations

import asyncio
import base64
import signal
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.exceptions import InvalidTag

from moorage.api.contracts import Operation, TransactionRequest
from moorage.api.writing.together import SERVER
from moorage.resources.sealed_secrets import KEY_ROTATION
from moorage.store import open_store
from moorage_tenants.sealing.frames import split
from moorage_tenants.sealing.kek import BadKek, FileKek, Kek, KekSource, new_kek
from moorage_tenants.sealing.kms import KmsError, KmsKek, SocketKms
from moorage_tenants.secret_service.parts import SecretParts
from tests.integration.api.documents import create, namespace, patch, send
from tests.support.apiserver import RunningApi
from tests.support.certificates import Certificates
from tests.support.kms import kms
from tests.support.secrets import OWN, ROTATIONS, SEALED, SECRETS, SecretServer, serve_secrets
from tests.support.wait import until


def secret(name: str, value: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"v": value}}


async def value(api: RunningApi, name: str, space: str = "default") -> str:
    found = await send(api.client, "GET", f"/api/v1/namespaces/{space}/secrets/{name}")
    return base64.b64decode(found["data"]["v"]).decode()


async def rotate(api: RunningApi, **spec: Any) -> dict[str, Any]:
    """Order a rotation and wait for its end; its status."""
    order = await ordered(api, **spec)
    return await finished(api, order)


async def ordered(api: RunningApi, **spec: Any) -> str:
    document = {"apiVersion": "secrets.moorage.io/v1", "kind": "KeyRotation", "metadata": {"generateName": "r-"}}
    made = await create(api.client, ROTATIONS, {**document, "spec": spec})
    assert made["status"]["phase"] == "Pending"
    return str(made["metadata"]["name"])


async def finished(api: RunningApi, name: str) -> dict[str, Any]:
    async def end() -> dict[str, Any]:
        status: dict[str, Any] = (await send(api.client, "GET", f"{ROTATIONS}/{name}"))["status"]
        assert status["phase"] in ("Succeeded", "Failed"), status
        return status

    return await until(end, timeout=40)


def key_ids(database_url: str, query: str) -> set[str]:
    """The ids of the keys that frames found by ``query`` name."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        return {split(bytes(frame))[0] for (frame,) in connection.execute(query).fetchall()}


OBJECTS = "SELECT sealed FROM objects WHERE sealed IS NOT NULL AND namespace = 'default'"
VERSIONS = "SELECT sealed FROM secret_versions WHERE namespace = 'default'"
WRAPPED = "SELECT wrapped FROM data_keys WHERE namespace <> '@kek'"


async def test_data_keys_change_and_everything_stays_readable(database_url: str, certificates: Certificates) -> None:
    async with serve_secrets(database_url, certificates) as server:
        api = server.api
        for number in range(5):
            await create(api.client, SECRETS, secret(f"s{number}", f"first-{number}"))
        await patch(api.client, f"{SECRETS}/s0", {"stringData": {"v": "second-0"}})
        before = await send(api.client, "GET", f"{SECRETS}/s0")
        old = key_ids(database_url, OBJECTS)

        status = await rotate(api)

        assert (status["phase"], status["done"], status["total"]) == ("Succeeded", 11, 11), status
        assert status["worker"] == "one"
        new = key_ids(database_url, OBJECTS)
        assert len(new) == 1
        assert not new & old
        assert key_ids(database_url, VERSIONS) == new
        # Nobody notices: not readers, not watchers, not the history.
        assert await send(api.client, "GET", f"{SECRETS}/s0") == before
        assert [await value(api, f"s{number}") for number in range(5)] == [
            "second-0",
            *(f"first-{n}" for n in range(1, 5)),
        ]
        history = await send(api.client, "GET", f"{OWN}/secrets/s0/history/1")
        assert base64.b64decode(history["data"]["v"]) == b"first-0"
        old_revision = await send(
            api.client,
            "GET",
            f"{SECRETS}?resourceVersion={int(before['metadata']['resourceVersion']) - 1}&resourceVersionMatch=Exact",
        )
        assert {item["metadata"]["name"] for item in old_revision["items"]} == {f"s{number}" for number in range(5)}
        async with api.client.get("/metrics") as answer:
            assert "moorage_secrets_rotated_documents_total 11" in await answer.text()
    # Another process starts on what the rotation left.
    async with serve_secrets(database_url, certificates, loops=False) as server:
        assert await value(server.api, "s0") == "second-0"


async def test_one_namespace_alone(database_url: str, certificates: Certificates) -> None:
    async with serve_secrets(database_url, certificates) as server:
        api = server.api
        await create(api.client, "/api/v1/namespaces", namespace("blue"))
        await create(api.client, SECRETS, secret("a", "x"))
        await create(api.client, SECRETS.replace("default", "blue"), secret("b", "y"))
        old = key_ids(database_url, OBJECTS)
        status = await rotate(api, dataKeys=True, namespace="blue")
        assert (status["done"], status["namespaces"]) == (2, 1)
        assert key_ids(database_url, OBJECTS) == old
        assert await value(api, "b", "blue") == "y"


async def test_writes_go_on_over_two_servers(database_url: str, certificates: Certificates) -> None:
    async with (
        serve_secrets(database_url, certificates) as one,
        serve_secrets(database_url, certificates, server="two") as two,
    ):
        await create(one.api.client, SECRETS, secret("busy", "0"))
        await until(lambda: leases(one.api, 2))
        stop = asyncio.Event()
        written = 0

        async def write() -> None:
            nonlocal written
            while not stop.is_set():
                written += 1
                await patch(two.api.client, f"{SECRETS}/busy", {"stringData": {"v": str(written)}})

        writing = asyncio.create_task(write())
        try:
            status = await rotate(one.api, dataKeys=True)
        finally:
            stop.set()
            await writing
        assert status["phase"] == "Succeeded"
        assert await value(one.api, "busy") == str(written)
        assert len(key_ids(database_url, OBJECTS)) == 1


async def test_no_read_fails_while_all_keys_change(
    database_url: str, certificates: Certificates, tmp_path: Path
) -> None:
    """Readers of caches, of old revisions and of kept versions on two servers, while data keys and the key above them change."""
    file, old = tmp_path / "kek", new_kek()
    file.write_text(old)
    async with (
        serve_secrets(database_url, certificates, source=FileKek(file)) as one,
        serve_secrets(database_url, certificates, source=FileKek(file), server="two") as two,
    ):
        for number in range(5):
            await create(one.api.client, SECRETS, secret(f"s{number}", "first"))
            await patch(one.api.client, f"{SECRETS}/s{number}", {"stringData": {"v": "second"}})
        revision = (await send(one.api.client, "GET", SECRETS))["metadata"]["resourceVersion"]
        await until(lambda: leases(one.api, 2))
        stop, reads = asyncio.Event(), Counter[str]()

        async def read(server: SecretServer) -> None:
            exact = f"{SECRETS}?resourceVersion={revision}&resourceVersionMatch=Exact"
            while not stop.is_set():
                for number in range(5):
                    assert await value(server.api, f"s{number}") == "second"
                    version = await send(server.api.client, "GET", f"{OWN}/secrets/s{number}/history/1")
                    assert base64.b64decode(version["data"]["v"]) == b"first"
                items = (await send(server.api.client, "GET", exact))["items"]
                assert {base64.b64decode(item["data"]["v"]) for item in items} == {b"second"}
                await create(server.api.client, SECRETS, secret(f"new-{uuid.uuid4()}", "x"))
                reads[server.api.url] += 1

        async with asyncio.TaskGroup() as group:
            for server in (one, two):
                group.create_task(read(server))
            before = key_ids(database_url, WRAPPED)
            data = await rotate(one.api, dataKeys=True)
            file.write_text(new_kek() + old)
            above = await rotate(two.api, keyEncryptionKey=True)
            stop.set()
        assert (data["phase"], above["phase"]) == ("Succeeded", "Succeeded")
        assert not key_ids(database_url, WRAPPED) & before
        assert min(reads.values()) >= 1
        assert len(reads) == 2


async def leases(api: RunningApi, count: int) -> bool:
    """Whether this many servers tell that they are alive."""
    found = await send(api.client, "GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases")
    servers = [item for item in found["items"] if item["metadata"]["name"].startswith("moorage-server-")]
    assert len(servers) == count, [item["spec"] for item in servers]
    return True


async def test_an_interrupted_rotation_is_carried_on_by_another_server(
    database_url: str, certificates: Certificates
) -> None:
    async with serve_secrets(database_url, certificates, loops=False) as first:
        for number in range(3):
            await create(first.api.client, SECRETS, secret(f"s{number}", "x"))
        name = await ordered(first.api)
        # As a server leaves it that died right after it had made the new key: one document sealed with it, two not.
        rotation = first.parts.loops(
            first.api.store, first.api.store.keys, first.api.store.resealing, first.api.app.transactor, "dead"
        )[0]._rotation
        order = await send(first.api.client, "GET", f"{ROTATIONS}/{name}")
        key_id = await rotation.new_data_key("default", order["metadata"]["uid"])
        await first.api.store.resealing.step("default", b"\x01\x10" + key_id.encode(), 1)
        status = {"phase": "Running", "worker": "dead", "heartbeatTime": "2020-01-01T00:00:00.000000Z"}
        operation = Operation(
            "patch",
            KEY_ROTATION,
            "",
            name,
            subresource="status",
            patch={"status": status},
            patch_type="application/merge-patch+json",
        )
        assert (await first.api.app.transactor.transact(SERVER, TransactionRequest([operation]))).committed
    async with serve_secrets(database_url, certificates, server="two") as second:
        ended = await finished(second.api, name)
        assert (ended["phase"], ended["worker"], ended["done"]) == ("Succeeded", "two", 5)
        assert key_ids(database_url, OBJECTS) == {key_id}
        assert await value(second.api, "s2") == "x"


async def test_a_key_encryption_key_changes_in_its_file(
    database_url: str, certificates: Certificates, tmp_path: Path
) -> None:
    file = tmp_path / "kek"
    old = new_kek()
    file.write_text(old)
    async with serve_secrets(database_url, certificates, source=FileKek(file)) as server:
        api = server.api
        await create(api.client, SECRETS, secret("a", "x"))
        sealed = await server.seal("b", password="y")
        before = key_ids(database_url, WRAPPED)
        new = new_kek()
        file.write_text(new + old)

        status = await rotate(api, keyEncryptionKey=True)

        assert status["phase"] == "Succeeded", status
        after = key_ids(database_url, WRAPPED)
        assert after == {status["keyEncryptionKey"]} == {Kek.parse(new, "").first}
        assert not after & before
        await create(api.client, SEALED, sealed)
    # The old key is needed no more.
    file.write_text(new)
    async with serve_secrets(database_url, certificates, source=FileKek(file), loops=False) as server:
        assert await value(server.api, "a") == "x"
        assert base64.b64decode((await send(server.api.client, "GET", f"{SECRETS}/b"))["data"]["password"]) == b"y"


async def test_a_rotation_waits_for_servers_that_lack_the_new_key(
    database_url: str, certificates: Certificates, tmp_path: Path
) -> None:
    old, new = new_kek(), new_kek()
    here, there = tmp_path / "one", tmp_path / "two"
    here.write_text(old)
    there.write_text(old)
    async with (
        serve_secrets(database_url, certificates, source=FileKek(here)) as one,
        serve_secrets(database_url, certificates, source=FileKek(there), server="two") as two,
    ):
        await create(one.api.client, SECRETS, secret("a", "x"))
        await until(lambda: leases(one.api, 2))
        here.write_text(new + old)
        name = await ordered(one.api, keyEncryptionKey=True)

        async def waits() -> bool:
            status = (await send(one.api.client, "GET", f"{ROTATIONS}/{name}"))["status"]
            # Whichever server took the order: where that is "two", it knows of no other key yet and has nothing to change.
            assert status["phase"] in ("Waiting", "Succeeded"), status
            return True

        await until(waits)
        assert key_ids(database_url, WRAPPED) == {Kek.parse(old, "").first}
        there.write_text(new + old)
        await finished(one.api, name)
        status = await rotate(two.api, keyEncryptionKey=True)
        assert status["keyEncryptionKey"] == Kek.parse(new, "").first
        assert key_ids(database_url, WRAPPED) == {Kek.parse(new, "").first}
        assert await value(two.api, "a") == "x"


async def test_a_kms_keeps_the_key(database_url: str, certificates: Certificates, tmp_path: Path) -> None:
    with kms(tmp_path) as service:
        async with serve_secrets(database_url, certificates, source=KmsKek(SocketKms(service.socket))) as server:
            api = server.api
            await create(api.client, SECRETS, secret("a", "x"))
            before = key_ids(database_url, WRAPPED)
            service.rotate()
            status = await rotate(api, keyEncryptionKey=True)
            assert status["phase"] == "Succeeded", status
            assert not key_ids(database_url, WRAPPED) & before
            with psycopg.connect(database_url, autocommit=True) as connection:
                kept = connection.execute(
                    "SELECT convert_from(wrapped, 'UTF8')::json->>'keyId' FROM data_keys WHERE namespace = '@kek' ORDER BY serial"
                ).fetchall()
            assert kept == [("key-1",), ("key-2",)]
            # An outage stops nothing that runs.
            service.kill()
            await create(api.client, "/api/v1/namespaces", namespace("later"))
            await create(api.client, SECRETS.replace("default", "later"), secret("b", "y"))
            assert await value(api, "b", "later") == "y"
    with kms(tmp_path) as service:
        async with serve_secrets(
            database_url, certificates, source=KmsKek(SocketKms(service.socket)), loops=False
        ) as server:
            assert await value(server.api, "a") == "x"


async def check(database_url: str, source: KekSource) -> None:
    """What a server does before it serves anybody."""
    parts = SecretParts(source)
    async with open_store(database_url, sealer=parts.make_sealer, server_name="checked"):
        await parts.check()


async def test_a_kms_that_is_away_or_forgetful_refuses_the_start(
    database_url: str, certificates: Certificates, tmp_path: Path
) -> None:
    quick = SocketKms(tmp_path / "kms.sock", seconds=1, first_pause=0.01)
    with pytest.raises(KmsError, match=r"kms\.sock does not answer encrypt: .* \(tried 4 times\)"):
        await check(database_url, KmsKek(quick))
    with kms(tmp_path) as service:
        # Two bad answers are passed over.
        service.process.send_signal(signal.SIGUSR1)
        await check(database_url, KmsKek(quick))
    (tmp_path / "kms.json").unlink()
    with kms(tmp_path), pytest.raises(BadKek, match="refuses decrypt: 400 this is not a ciphertext of mine"):
        await check(database_url, KmsKek(quick))


async def test_another_key_encryption_key_refuses_the_start(database_url: str) -> None:
    await check(database_url, Kek.parse(new_kek(), ""))
    with pytest.raises(InvalidTag, match="which is not configured; put that key back"):
        await check(database_url, Kek.parse(new_kek(), ""))


async def test_a_sealing_key_is_renewed_by_order(database_url: str, certificates: Certificates) -> None:
    async with serve_secrets(database_url, certificates) as server:
        sealed = await server.seal("a", password="x")
        status = await rotate(server.api, sealingKey=True)
        assert status["phase"] == "Succeeded"
        keys = await send(server.api.client, "GET", "/apis/secrets.moorage.io/v1/sealingkeys")
        assert [key["current"] for key in keys["items"]] == [True, False]
        await create(server.api.client, SEALED, sealed)


async def test_old_keys_go_when_nothing_needs_them(database_url: str, certificates: Certificates) -> None:
    async with serve_secrets(database_url, certificates) as server:
        store = server.api.store
        await create(server.api.client, SECRETS, secret("a", "x"))
        await rotate(server.api)
        rotation = made_rotation(server)
        (old,) = await rotation.old_keys()
        # The change log still has the former ciphertext.
        assert not await rotation.retire(old)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("UPDATE revisions SET sealed = NULL WHERE sealed IS NOT NULL")
        assert await rotation.retire(old)
        assert [key.key_id for key in await store.keys.generations("default")] != [old.key_id]
        assert await rotation.old_keys() == []
        assert await value(server.api, "a") == "x"


def made_rotation(server: SecretServer) -> Any:
    """The steps, as the server's loop has them."""
    from moorage_tenants.sealing.rotation import Rotation

    return Rotation(server.parts.sealer, server.api.store.keys, server.api.store.resealing)
