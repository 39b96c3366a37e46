"""What is written together with an object is committed with it, or neither is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from moorage.api.contracts import AdmissionRequest, Attributes, Companion
from moorage.api.writing.together import SERVER
from moorage.resources.core.configmaps import CONFIG_MAP
from moorage.store.contracts import Entry
from tests.integration.api.documents import CONFIGMAPS, configmap, create, namespace, send
from tests.integration.api.test_transactions import body, transact, within
from tests.support.apiserver import Policies, RunningApi, serve_api
from tests.support.certificates import Certificates

NUMBERS = [f"number-{number}" for number in range(40)]


class Numbers:
    """Gives each ConfigMap ``wants-*`` a number of its own: a second ConfigMap that only one can make."""

    async def mutate(self, request: AdmissionRequest) -> None:
        """Choose a number that is free in what the write sees."""
        if request.document is None or not self._wants(request):
            return
        data = request.document.setdefault("data", {})
        if "number" not in data:
            taken = {entry.key.name for entry in await request.view.entries(CONFIG_MAP, request.namespace)}
            data["number"] = next(name for name in NUMBERS if name not in taken)

    async def validate(self, request: AdmissionRequest) -> Sequence[object]:
        """All are well."""
        return ()

    async def companions(self, request: AdmissionRequest, gone: bool) -> Sequence[Companion]:
        """The number is taken with the object, and given back with it."""
        if not self._wants(request):
            return ()
        if gone:
            assert request.old is not None
            return [Companion("delete", CONFIG_MAP, request.namespace, request.old["data"]["number"])]
        assert request.document is not None
        name = request.document["data"]["number"]
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"of": request.name}}
        return [
            Companion("create" if request.old is None else "replace", CONFIG_MAP, request.namespace, name, document)
        ]

    def _wants(self, request: AdmissionRequest) -> bool:
        return request.kind is CONFIG_MAP and request.name.startswith("wants-")


@pytest.fixture
async def api(database_url: str, certificates: Certificates) -> AsyncIterator[RunningApi]:
    numbers = Numbers()
    async with serve_api(database_url, certificates, admissions=[numbers], companions=[numbers]) as running:
        yield running


async def names(api: RunningApi) -> list[str]:
    found = await send(api.client, "GET", CONFIGMAPS)
    return [item["metadata"]["name"] for item in found["items"] if item["metadata"]["name"] != "kube-root-ca.crt"]


async def test_a_companion_comes_and_goes_with_its_object(api: RunningApi) -> None:
    made = await create(api.client, CONFIGMAPS, configmap("wants-1"))
    assert made["data"]["number"] == "number-0"
    assert await names(api) == ["number-0", "wants-1"]
    await send(api.client, "DELETE", f"{CONFIGMAPS}/wants-1")
    assert await names(api) == []


async def test_many_at_once_on_two_servers_never_share_a_companion(
    api: RunningApi, database_url: str, certificates: Certificates
) -> None:
    numbers = Numbers()
    overrides: dict[str, Any] = {"admissions": [numbers], "companions": [numbers], "server": "second"}
    async with serve_api(database_url, certificates, **overrides) as second:
        servers = (api, second)
        made = await asyncio.gather(
            *(create(servers[i % 2].client, CONFIGMAPS, configmap(f"wants-{i}")) for i in range(12))
        )
    assert len({each["data"]["number"] for each in made}) == 12


async def test_a_transaction_sees_the_companions_of_its_earlier_operations(api: RunningApi) -> None:
    operations = [{"verb": "apply", "object": within(configmap(f"wants-{i}"))} for i in range(3)]
    await transact(api, *operations, fieldManager="me")
    assert await names(api) == ["number-0", "number-1", "number-2", "wants-0", "wants-1", "wants-2"]


async def test_a_batch_writes_companions_too(api: RunningApi) -> None:
    operations = [{"verb": "create", "object": within(configmap(f"wants-{i}"))} for i in range(3)]
    await send(api.client, "POST", "/apis/moorage.io/v1/batches", body(operations, "Batch"))
    assert len(await names(api)) == 6


async def test_a_dry_run_writes_neither(api: RunningApi) -> None:
    await create(api.client, f"{CONFIGMAPS}?dryRun=All", configmap("wants-1"))
    assert await names(api) == []


async def test_a_collection_is_deleted_with_its_companions(api: RunningApi) -> None:
    for name in ("wants-1", "wants-2", "plain"):
        await create(api.client, CONFIGMAPS, configmap(name))
    await send(api.client, "DELETE", CONFIGMAPS)
    assert await names(api) == []


async def test_the_right_to_write_may_come_from_a_namespace_of_the_same_transaction(
    database_url: str, certificates: Certificates, tmp_path: Path
) -> None:
    """The authorizer sees what the transaction has staged before."""
    seen: list[Entry | None] = []
    policies = Policies()

    async def authorise(attributes: Attributes) -> bool:
        if attributes.view is None or attributes.resource != "configmaps":
            return attributes.identity.name == SERVER.name or attributes.resource in ("namespaces", "transactions")
        kind = running.app.service.registry.by_plural("", "v1", "namespaces")
        assert kind is not None
        entry = await attributes.view.get(kind, "", attributes.namespace)
        seen.append(entry)
        return entry is not None

    class Authorizer:
        async def authorise(self, attributes: Attributes) -> object:
            from moorage.api.contracts import Decision

            return Decision(await authorise(attributes), "no")

    async with serve_api(database_url, certificates, policies, authorizer=Authorizer()) as running:
        operations = [namespace("new"), within(configmap("c"), "new")]
        await transact(running, *({"verb": "apply", "object": each} for each in operations), fieldManager="me")
    assert seen
    assert seen[0] is not None
