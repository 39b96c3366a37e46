"""Transactions are all or none, in one revision range; batches are each alone."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

import orjson

from moorage.api.contracts import Identity, Operation, TransactionRequest
from moorage.store.contracts import RefUpdate
from tests.integration.api.documents import (
    CONFIGMAPS,
    DEPLOYMENTS,
    PODS,
    configmap,
    create,
    deployment,
    namespace,
    node,
    patch,
    pod,
    send,
)
from tests.support.apiserver import RunningApi
from tests.support.identities import ADMIN, NOBODY

TRANSACTIONS = "/apis/moorage.io/v1/transactions"
BATCHES = "/apis/moorage.io/v1/batches"


def body(operations: list[dict[str, Any]], kind: str = "Transaction", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "moorage.io/v1", "kind": kind, "spec": {"operations": operations, **spec}}


def within(document: dict[str, Any], namespace: str = "default") -> dict[str, Any]:
    return {**document, "metadata": {**document["metadata"], "namespace": namespace}}


async def transact(api: RunningApi, *operations: dict[str, Any], expect: int = 201, **spec: Any) -> dict[str, Any]:
    return await send(api.client, "POST", TRANSACTIONS, body(list(operations), **spec), expect=expect)


async def batch(api: RunningApi, *operations: dict[str, Any], **spec: Any) -> list[dict[str, Any]]:
    answer = await send(api.client, "POST", BATCHES, body(list(operations), "Batch", **spec))
    results: list[dict[str, Any]] = answer["status"]["results"]
    return results


async def test_twenty_objects_become_twenty_objects_in_one_revision_range(api: RunningApi) -> None:
    """A namespace and what is in it, in any number of kinds."""
    contents = [within(configmap(f"c{number}"), "new") for number in range(18)]
    operations = [namespace("new"), *contents, within(deployment(), "new")]
    before = int((await send(api.client, "GET", CONFIGMAPS))["metadata"]["resourceVersion"])
    answer = await transact(api, *({"verb": "apply", "object": each} for each in operations), fieldManager="me")
    results = answer["status"]["results"]
    assert [each["action"] for each in results] == ["created"] * 20
    assert [int(each["resourceVersion"]) for each in results] == list(range(before + 1, before + 21))
    assert answer["status"]["resourceVersion"] == str(before + 20)
    made = await send(api.client, "GET", "/api/v1/namespaces/new/configmaps")
    assert len(made["items"]) == 18
    assert made["items"][0]["metadata"]["managedFields"][0]["manager"] == "me"
    assert made["items"][0]["metadata"]["uid"] == next(each["uid"] for each in results if each["name"] == "c0")


async def test_one_mistake_stops_all_and_every_mistake_is_named(api: RunningApi) -> None:
    await create(api.client, CONFIGMAPS, configmap("there"))
    wrong = pod("Bad_Name", namespace="default")
    status = await transact(
        api,
        {"verb": "create", "object": within(configmap("fine"))},
        {"verb": "create", "object": wrong},
        {"verb": "create", "object": within(configmap("x"), "nowhere")},
        {"verb": "create", "object": within(configmap("there"))},
        {"verb": "delete", "apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "missing"},
        expect=422,
    )
    fields = [cause["field"] for cause in status["details"]["causes"]]
    assert fields == ["operations[1].object.metadata.name", "operations[2]", "operations[3]", "operations[4]"]
    assert 'namespaces "nowhere" not found' in status["message"]
    names = [each["metadata"]["name"] for each in (await send(api.client, "GET", CONFIGMAPS))["items"]]
    assert names == ["there"]


async def test_every_verb(api: RunningApi) -> None:
    await create(api.client, PODS, pod())
    await create(api.client, CONFIGMAPS, configmap("old"))
    await create(api.client, DEPLOYMENTS, deployment())
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"namespace": "default", "name": "p"}}
    made = await transact(
        api,
        {"verb": "create", "object": within(configmap("new"))},
        {"verb": "create", "subresource": "binding", "object": {**binding, "target": {"kind": "Node", "name": "n1"}}},
        {
            "verb": "patch", "apiVersion": "v1", "kind": "Pod", "namespace": "default", "name": "p",
            "subresource": "status", "patchType": "application/merge-patch+json",
            "patch": {"status": {"phase": "Running", "message": None}},
        },
        {"verb": "delete", "apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "old"},
        {
            "verb": "patch", "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "default", "name": "d",
            "subresource": "scale", "patchType": "application/merge-patch+json", "patch": {"spec": {"replicas": 5}},
        },
        {"verb": "create", "object": node()},
    )  # fmt: skip
    assert [each["action"] for each in made["status"]["results"]] == [
        "created", "configured", "configured", "deleted", "configured", "created",
    ]  # fmt: skip
    bound = await send(api.client, "GET", f"{PODS}/p")
    assert (bound["spec"]["nodeName"], bound["status"]["phase"]) == ("n1", "Running")
    # Two operations on one object are one write of it.
    assert {each["resourceVersion"] for each in made["status"]["results"][1:3]} == {
        bound["metadata"]["resourceVersion"]
    }
    await send(api.client, "GET", f"{CONFIGMAPS}/old", expect=404)
    assert (await send(api.client, "GET", f"{DEPLOYMENTS}/d"))["spec"]["replicas"] == 5


async def test_nothing_to_do_writes_nothing(api: RunningApi) -> None:
    apply = {"verb": "apply", "object": within(configmap())}
    first = await transact(api, apply)
    again = await transact(api, apply)
    assert again["status"]["results"][0]["action"] == "unchanged"
    assert again["status"]["results"][0]["resourceVersion"] == first["status"]["results"][0]["resourceVersion"]


async def test_a_dry_run_decides_everything_and_writes_nothing(api: RunningApi) -> None:
    operations = ({"verb": "apply", "object": each} for each in (namespace("n"), within(configmap(), "n")))
    answer = await transact(api, *operations, dryRun=True)
    assert [each["action"] for each in answer["status"]["results"]] == ["created", "created"]
    await send(api.client, "GET", "/api/v1/namespaces/n", expect=404)


async def test_conflicts_of_an_apply_are_reported_and_can_be_forced(api: RunningApi) -> None:
    await transact(api, {"verb": "apply", "object": within(configmap("c", {"a": "1"}))}, fieldManager="one")
    other = within(configmap("c", {"a": "2"}))
    status = await transact(api, {"verb": "apply", "object": other}, fieldManager="two", expect=409)
    assert 'conflict with "one"' in status["message"]
    assert status["details"]["causes"][0]["field"] == "operations[0].object.data.a"
    await transact(api, {"verb": "apply", "object": other, "force": True}, fieldManager="two")
    assert (await send(api.client, "GET", f"{CONFIGMAPS}/c"))["data"] == {"a": "2"}


async def test_preconditions_on_other_objects(api: RunningApi) -> None:
    lease = await create(api.client, CONFIGMAPS, configmap("fence"))
    condition = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "fence"}
    version = lease["metadata"]["resourceVersion"]
    operation = {"verb": "apply", "object": within(configmap())}
    await transact(api, operation, preconditions=[{**condition, "exists": True, "resourceVersion": version}])
    changed = {"verb": "apply", "object": within(configmap("c", {"a": "2"}))}
    for wrong, text in (
        ({"resourceVersion": "1"}, f"has resourceVersion {version}, not 1"),
        ({"uid": "other"}, "not other"),
        ({"exists": False}, "must not exist"),
        ({"name": "absent", "exists": True}, "must exist"),
    ):
        status = await transact(api, changed, preconditions=[{**condition, **wrong}], expect=409)
        assert text in status["message"]
        assert status["details"]["causes"][0]["field"] == "preconditions[0]"
    assert (await send(api.client, "GET", f"{CONFIGMAPS}/c"))["data"] == {"a": "1"}


async def test_writers_that_meet_all_get_through(api: RunningApi) -> None:
    await create(api.client, CONFIGMAPS, configmap("a", {"n": "0"}))
    await create(api.client, CONFIGMAPS, configmap("b", {"n": "0"}))

    async def write(number: int) -> None:
        operations = [{"verb": "apply", "object": within(configmap(name, {f"k{number}": "1"}))} for name in ("a", "b")]
        await transact(api, *operations, fieldManager=f"m{number}")

    await asyncio.gather(*(write(number) for number in range(6)))
    for name in ("a", "b"):
        data = (await send(api.client, "GET", f"{CONFIGMAPS}/{name}"))["data"]
        assert data == {"n": "0", **{f"k{number}": "1" for number in range(6)}}


SENSELESS: list[tuple[dict[str, Any], str, str]] = [
    ({"verb": "explode"}, "operations[0].verb", 'Unsupported value: "explode"'),
    ({"verb": "create"}, "operations[0].object", "Required value"),
    ({"verb": "create", "object": {"kind": "Pod"}}, "operations[0].apiVersion", "Required value"),
    ({"verb": "create", "object": {"apiVersion": "v9", "kind": "Pod"}}, "operations[0].kind", "Not found"),
    ({"verb": "create", "object": pod()}, "operations[0].namespace", "pods live in a namespace"),
    ({"verb": "apply", "object": within(node())}, "operations[0].namespace", "nodes live in no namespace"),
    ({"verb": "delete", "apiVersion": "v1", "kind": "Node"}, "operations[0].name", "Required value"),
    ({"verb": "patch", "apiVersion": "v1", "kind": "Node", "name": "n"}, "operations[0].patchType", "Unsupported"),
    ({"verb": "update", "object": node(), "subresource": "log"}, "operations[0].subresource", "Unsupported"),
]


async def test_operations_that_make_no_sense(api: RunningApi) -> None:
    for operation, field, text in SENSELESS:
        status = await transact(api, operation, expect=422)
        causes = status["details"]["causes"]
        assert any(cause["field"] == field and text in cause["message"] for cause in causes), status


async def test_bounds(api: RunningApi) -> None:
    many = [{"verb": "delete", "apiVersion": "v1", "kind": "Node", "name": "n"}] * 5001
    status = await transact(api, *many, expect=413)
    assert "must have at most 5000 items" in status["message"]
    big = BytesIO(orjson.dumps(body([{"verb": "create", "object": within(configmap("c", {"a": "x" * (33 << 20)}))}])))
    async with api.client.post(TRANSACTIONS, data=big, headers={"Content-Type": "application/json"}) as response:
        assert response.status == 413
    status = await send(api.client, "POST", TRANSACTIONS, body([]), expect=422)
    assert "spec.operations: Required value" in status["message"]
    status = await send(api.client, "POST", TRANSACTIONS, {**body([]), "extra": 1}, expect=400)
    assert 'unknown field "extra"' in status["message"]


async def test_an_object_is_not_deleted_and_made_again_in_one(api: RunningApi) -> None:
    await create(api.client, CONFIGMAPS, configmap())
    gone = {"verb": "delete", "apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "c"}
    status = await transact(api, gone, {"verb": "create", "object": within(configmap())}, expect=409)
    assert "operations[0] of the same transaction deletes the object" in status["message"]


async def test_each_operation_needs_its_own_right(api: RunningApi) -> None:
    api.policies.authorizer.rules.append(lambda asked: asked.resource == "transactions" or asked.name == "mine")
    async with api.session("nobody-token") as session:
        for name, code in (("mine", 201), ("yours", 403)):
            operation = {"verb": "create", "object": within(configmap(name))}
            await send(session, "POST", TRANSACTIONS, body([operation]), expect=code)
    names = [each["metadata"]["name"] for each in (await send(api.client, "GET", CONFIGMAPS))["items"]]
    assert names == ["mine"]


async def test_a_batch_does_what_can_be_done(api: RunningApi) -> None:
    await create(api.client, CONFIGMAPS, configmap("there"))
    results = await batch(
        api,
        {"verb": "create", "object": within(configmap("a"))},
        {"verb": "create", "object": within(configmap("there"))},
        {"verb": "apply", "object": within(configmap("b"))},
        {"verb": "delete", "apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "missing"},
        {"verb": "create", "object": within(configmap("Bad_Name"))},
    )
    assert [each["code"] for each in results] == [201, 409, 201, 404, 422]
    assert [each["action"] for each in results] == ["created", "failed", "created", "failed", "failed"]
    assert results[1]["error"]["reason"] == "AlreadyExists"
    names = [each["metadata"]["name"] for each in (await send(api.client, "GET", CONFIGMAPS))["items"]]
    assert names == ["a", "b", "there"]


async def test_a_batch_binds_many_pods_at_once(api: RunningApi) -> None:
    await asyncio.gather(*(create(api.client, PODS, pod(f"p{number}")) for number in range(40)))
    before = int((await send(api.client, "GET", PODS))["metadata"]["resourceVersion"])
    operations = [
        {
            "verb": "create",
            "subresource": "binding",
            "object": {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"namespace": "default", "name": f"p{number}"},
                "target": {"kind": "Node", "name": f"n{number % 4}"},
            },
        }
        for number in range(40)
    ]
    assert {each["code"] for each in await batch(api, *operations)} == {200}
    assert int((await send(api.client, "GET", PODS))["metadata"]["resourceVersion"]) == before + 40
    assert {each["code"] for each in await batch(api, *operations)} == {409}
    bound = await send(api.client, "GET", PODS, params={"fieldSelector": "spec.nodeName=n1"})
    assert len(bound["items"]) == 10


async def test_a_batch_meets_other_writers(api: RunningApi) -> None:
    await create(api.client, CONFIGMAPS, configmap())
    operations = [
        {
            "verb": "patch", "apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "c",
            "patchType": "application/merge-patch+json", "patch": {"data": {f"k{number}": "1"}},
        }
        for number in range(5)
    ]  # fmt: skip
    many = asyncio.gather(*(patch(api.client, f"{CONFIGMAPS}/c", {"data": {f"p{number}": "1"}}) for number in range(5)))
    assert {each["code"] for each in await batch(api, *operations)} == {200}
    await many
    assert len((await send(api.client, "GET", f"{CONFIGMAPS}/c"))["data"]) == 11


async def test_the_git_host_moves_a_ref_with_its_objects(api: RunningApi) -> None:
    """In process: objects, ref and result are one commit."""
    kind = api.app.service.registry.by_plural("", "v1", "configmaps")
    assert kind is not None
    one, two = "1" * 40, "2" * 40

    def push(name: str, old: str, new: str) -> TransactionRequest:
        operation = Operation("apply", kind, "default", name, within(configmap(name)), origin="deploy.yaml:1")
        refs = [RefUpdate("repository-uid", "refs/heads/main", old, new, '{"ok":true}')]
        return TransactionRequest([operation], refs=refs, field_manager="moorage-gitops", source_commit=new)

    transactor = api.app.transactor
    first = await transactor.transact(ADMIN, push("a", "", one))
    assert first.committed
    assert first.revision == first.results[0].revision > 0
    assert await api.store.ref("repository-uid", "refs/heads/main") == one
    stale = await transactor.transact(ADMIN, push("b", "", two))
    assert not stale.committed
    assert stale.error is not None
    assert "refs/heads/main is at" in stale.error["message"]
    await send(api.client, "GET", f"{CONFIGMAPS}/b", expect=404)
    denied = await transactor.transact(NOBODY, push("b", one, two))
    assert denied.results[0].error is not None
    assert denied.results[0].error["code"] == 403
    nothing_but_the_ref = TransactionRequest([], refs=push("a", one, two).refs)
    assert (await transactor.transact(Identity("x"), nothing_but_the_ref)).committed
    assert await api.store.ref("repository-uid", "refs/heads/main") == two
