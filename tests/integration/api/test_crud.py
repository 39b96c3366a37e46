"""create, get, list, update and delete, and what the system fills in."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.integration.api.documents import (
    CONFIGMAPS,
    DEPLOYMENTS,
    PODS,
    configmap,
    create,
    deployment,
    namespace,
    patch,
    pod,
    send,
)
from tests.support.apiserver import RunningApi


async def test_a_created_object_is_read_back_as_it_was_answered(api: RunningApi) -> None:
    created = await create(api.client, PODS, pod())
    metadata = created["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["uid"]
    assert metadata["creationTimestamp"].endswith("Z")
    assert int(metadata["resourceVersion"]) > 0
    assert metadata["generation"] == 1
    assert metadata["managedFields"][0]["operation"] == "Update"
    assert created["status"]["phase"] == "Pending"
    assert created["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    assert await send(api.client, "GET", f"{PODS}/p") == created


async def test_a_second_create_of_a_name_is_409(api: RunningApi) -> None:
    await create(api.client, CONFIGMAPS, configmap())
    status = await send(api.client, "POST", CONFIGMAPS, configmap(), expect=409)
    assert status["reason"] == "AlreadyExists"
    assert status["message"] == 'configmaps "c" already exists'
    assert status["details"] == {"name": "c", "kind": "configmaps"}


async def test_generate_name_gives_each_its_own(api: RunningApi) -> None:
    body = configmap()
    body["metadata"] = {"generateName": "many-"}
    made = await asyncio.gather(*(create(api.client, CONFIGMAPS, body) for _ in range(20)))
    names = {each["metadata"]["name"] for each in made}
    assert len(names) == 20
    assert all(name.startswith("many-") and len(name) == 10 for name in names)


async def test_get_of_nothing_is_404(api: RunningApi) -> None:
    status = await send(api.client, "GET", f"{PODS}/missing", expect=404)
    assert status["message"] == 'pods "missing" not found'
    assert (status["kind"], status["status"], status["reason"], status["code"]) == (
        "Status",
        "Failure",
        "NotFound",
        404,
    )


async def test_lists_of_one_and_of_all_namespaces(api: RunningApi) -> None:
    await create(api.client, "/api/v1/namespaces", namespace("other"))
    await create(api.client, CONFIGMAPS, configmap("b"))
    await create(api.client, CONFIGMAPS, configmap("a"))
    await create(api.client, "/api/v1/namespaces/other/configmaps", configmap("z"))
    here = await send(api.client, "GET", CONFIGMAPS)
    assert (here["kind"], here["apiVersion"]) == ("ConfigMapList", "v1")
    assert [each["metadata"]["name"] for each in here["items"]] == ["a", "b"]
    everywhere = await send(api.client, "GET", "/api/v1/configmaps")
    assert [each["metadata"]["name"] for each in everywhere["items"]] == ["a", "b", "z"]
    assert int(everywhere["metadata"]["resourceVersion"]) >= int(here["metadata"]["resourceVersion"])


async def test_update_replaces_and_counts_the_generation_of_what_is_desired(api: RunningApi) -> None:
    made = await create(api.client, DEPLOYMENTS, deployment())
    made["spec"]["replicas"] = 3
    made["status"] = {"replicas": 99}
    updated = await send(api.client, "PUT", f"{DEPLOYMENTS}/d", made)
    assert updated["spec"]["replicas"] == 3
    assert updated["metadata"]["generation"] == 2
    assert updated["metadata"]["uid"] == made["metadata"]["uid"]
    assert updated.get("status", {}).get("replicas") != 99
    updated["metadata"]["labels"]["x"] = "y"
    relabelled = await send(api.client, "PUT", f"{DEPLOYMENTS}/d", updated)
    assert relabelled["metadata"]["generation"] == 2


async def test_a_stale_resource_version_is_409(api: RunningApi) -> None:
    first = await create(api.client, CONFIGMAPS, configmap())
    await patch(api.client, f"{CONFIGMAPS}/c", {"data": {"b": "2"}})
    first["data"]["c"] = "3"
    status = await send(api.client, "PUT", f"{CONFIGMAPS}/c", first, expect=409)
    assert status["message"] == (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    del first["metadata"]["resourceVersion"]
    assert (await send(api.client, "PUT", f"{CONFIGMAPS}/c", first))["data"] == {"a": "1", "c": "3"}


async def test_an_update_that_changes_nothing_writes_nothing(api: RunningApi) -> None:
    made = await create(api.client, CONFIGMAPS, configmap())
    same = await send(api.client, "PUT", f"{CONFIGMAPS}/c", made)
    assert same == made
    assert await patch(api.client, f"{CONFIGMAPS}/c", {"data": {"a": "1"}}) == made


async def test_an_update_of_another_object_is_refused(api: RunningApi) -> None:
    made = await create(api.client, CONFIGMAPS, configmap())
    other = {**made, "metadata": {**made["metadata"], "name": "d"}}
    status = await send(api.client, "PUT", f"{CONFIGMAPS}/c", other, expect=400)
    assert "does not match the name on the URL (c)" in status["message"]
    stranger = {**made, "metadata": {**made["metadata"], "uid": "another"}}
    assert (
        "Precondition failed: UID"
        in (await send(api.client, "PUT", f"{CONFIGMAPS}/c", stranger, expect=409))["message"]
    )
    moved = {**made, "metadata": {**made["metadata"], "namespace": "kube-system"}}
    status = await send(api.client, "PUT", f"{CONFIGMAPS}/c", moved, expect=400)
    assert status["message"] == "the namespace of the provided object does not match the namespace sent on the request"


async def test_update_of_nothing_is_404_unless_the_kind_may_be_made_so(api: RunningApi) -> None:
    await send(api.client, "PUT", f"{CONFIGMAPS}/c", configmap(), expect=404)
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/l"
    made = await send(api.client, "PUT", path, lease, expect=201)
    assert made["metadata"]["name"] == "l"


async def test_concurrent_patches_all_land(api: RunningApi) -> None:
    await create(api.client, CONFIGMAPS, configmap())
    await asyncio.gather(
        *(patch(api.client, f"{CONFIGMAPS}/c", {"data": {f"k{number}": str(number)}}) for number in range(8))
    )
    data = (await send(api.client, "GET", f"{CONFIGMAPS}/c"))["data"]
    assert data == {"a": "1", **{f"k{number}": str(number) for number in range(8)}}


async def test_a_dry_run_answers_and_writes_nothing(api: RunningApi) -> None:
    made = await create(api.client, CONFIGMAPS, configmap())
    dry: dict[str, Any] = {"params": {"dryRun": "All"}}
    answer = await create(api.client, CONFIGMAPS, configmap("new"), **dry)
    assert answer["metadata"]["uid"]
    await send(api.client, "GET", f"{CONFIGMAPS}/new", expect=404)
    answer = await send(api.client, "PUT", f"{CONFIGMAPS}/c", {**made, "data": {"x": "y"}}, **dry)
    assert answer["data"] == {"x": "y"}
    answer = await patch(api.client, f"{CONFIGMAPS}/c", {"data": {"x": "y"}}, **dry)
    assert answer["data"] == {"a": "1", "x": "y"}
    await send(api.client, "DELETE", f"{CONFIGMAPS}/c", **dry)
    assert await send(api.client, "GET", f"{CONFIGMAPS}/c") == made


async def test_unknown_fields_are_warned_of_refused_or_dropped(api: RunningApi) -> None:
    body = {**configmap(), "dta": {"a": "1"}}
    async with api.client.post(CONFIGMAPS, json=body) as response:
        assert response.status == 201
        assert response.headers.getall("Warning") == ['299 - "unknown field \\"dta\\""']
        assert "dta" not in await response.json()
    strict = await send(api.client, "POST", CONFIGMAPS, body, expect=400, params={"fieldValidation": "Strict"})
    assert 'strict decoding error: unknown field "dta"' in strict["message"]
    body["metadata"]["name"] = "d"
    async with api.client.post(CONFIGMAPS, json=body, params={"fieldValidation": "Ignore"}) as response:
        assert response.status == 201
        assert "Warning" not in response.headers


async def test_every_answer_names_its_request(api: RunningApi) -> None:
    ids = set()
    for path in (PODS, f"{PODS}/missing"):
        async with api.client.get(path) as response:
            ids.add(response.headers["Audit-Id"])
    assert len(ids) == 2
    await send(api.client, "GET", f"{PODS}/missing", expect=404)
    attributes, decision, outcome = api.policies.auditor.records[-1]
    assert (attributes.verb, attributes.resource, attributes.name, decision.allowed) == ("get", "pods", "missing", True)
    assert outcome["code"] == 404


async def test_secrets_come_back_and_are_never_in_the_clear_in_the_database(api: RunningApi, database_url: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "canary-5150"}}
    path = "/api/v1/namespaces/default/secrets"
    made = await create(api.client, path, secret)
    assert made["data"] == {"k": "Y2FuYXJ5LTUxNTA="}
    assert "stringData" not in made
    assert await send(api.client, "GET", f"{path}/s") == made
