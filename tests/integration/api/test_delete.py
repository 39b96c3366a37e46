"""delete and deletecollection: grace, finalizers, policies, preconditions, namespaces."""

from __future__ import annotations

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


async def bind(api: RunningApi, name: str = "p", node: str = "n1") -> None:
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": node}}
    await create(api.client, f"{PODS}/{name}/binding", body)


async def test_what_nothing_holds_is_gone_at_once(api: RunningApi) -> None:
    made = await create(api.client, CONFIGMAPS, configmap())
    status = await send(api.client, "DELETE", f"{CONFIGMAPS}/c")
    assert (status["kind"], status["status"]) == ("Status", "Success")
    assert status["details"] == {"name": "c", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    await send(api.client, "GET", f"{CONFIGMAPS}/c", expect=404)
    await send(api.client, "DELETE", f"{CONFIGMAPS}/c", expect=404)


async def test_a_pod_without_a_node_goes_at_once_and_is_returned(api: RunningApi) -> None:
    await create(api.client, PODS, pod())
    gone = await send(api.client, "DELETE", f"{PODS}/p")
    assert (gone["kind"], gone["metadata"]["name"]) == ("Pod", "p")
    await send(api.client, "GET", f"{PODS}/p", expect=404)


async def test_a_running_pod_waits_for_its_agent(api: RunningApi) -> None:
    await create(api.client, PODS, pod())
    await bind(api)
    leaving = await send(api.client, "DELETE", f"{PODS}/p", params={"gracePeriodSeconds": "20"})
    assert leaving["metadata"]["deletionGracePeriodSeconds"] == 20
    again = await send(api.client, "DELETE", f"{PODS}/p", {"gracePeriodSeconds": 60})
    assert again["metadata"]["deletionGracePeriodSeconds"] == 20
    assert again["metadata"]["resourceVersion"] == leaving["metadata"]["resourceVersion"]
    await send(
        api.client, "DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0, "apiVersion": "v1", "kind": "DeleteOptions"}
    )
    await send(api.client, "GET", f"{PODS}/p", expect=404)


async def test_preconditions(api: RunningApi) -> None:
    made = await create(api.client, CONFIGMAPS, configmap())
    uid, version = made["metadata"]["uid"], made["metadata"]["resourceVersion"]
    for conditions, text in (
        ({"uid": "other"}, f"the UID in the precondition (other) does not match the UID in record ({uid})"),
        (
            {"resourceVersion": "1"},
            "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record",
        ),
    ):
        status = await send(api.client, "DELETE", f"{CONFIGMAPS}/c", {"preconditions": conditions}, expect=409)
        assert text in status["message"]
    await send(api.client, "DELETE", f"{CONFIGMAPS}/c", {"preconditions": {"uid": uid, "resourceVersion": version}})


async def test_finalizers_hold_an_object_until_the_last_is_gone(api: RunningApi) -> None:
    await create(api.client, CONFIGMAPS, configmap("c", finalizers=["x.io/a", "x.io/b"]))
    held = await send(api.client, "DELETE", f"{CONFIGMAPS}/c")
    assert held["metadata"]["deletionTimestamp"]
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0
    added = await patch(api.client, f"{CONFIGMAPS}/c", {"metadata": {"finalizers": ["x.io/a", "x.io/z"]}}, expect=422)
    assert "no new finalizers can be added if the object is being deleted" in added["message"]
    await patch(api.client, f"{CONFIGMAPS}/c", {"metadata": {"finalizers": ["x.io/b"]}})
    last = await patch(api.client, f"{CONFIGMAPS}/c", {"metadata": {"finalizers": None}})
    assert last["metadata"]["name"] == "c"
    await send(api.client, "GET", f"{CONFIGMAPS}/c", expect=404)


async def test_policies_become_finalizers(api: RunningApi) -> None:
    await create(api.client, DEPLOYMENTS, deployment("f"))
    foreground = await send(api.client, "DELETE", f"{DEPLOYMENTS}/f", {"propagationPolicy": "Foreground"}, expect=202)
    assert foreground["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert foreground["metadata"]["generation"] == 2
    await create(api.client, DEPLOYMENTS, deployment("o"))
    orphan = await send(api.client, "DELETE", f"{DEPLOYMENTS}/o", {"propagationPolicy": "Orphan"})
    assert orphan["metadata"]["finalizers"] == ["orphan"]
    await create(api.client, DEPLOYMENTS, deployment("b"))
    status = await send(api.client, "DELETE", f"{DEPLOYMENTS}/b", {"propagationPolicy": "Background"})
    assert status["status"] == "Success"


async def test_deletecollection_takes_what_is_selected(api: RunningApi) -> None:
    for name, app in (("a", "web"), ("b", "web"), ("c", "db")):
        await create(api.client, CONFIGMAPS, configmap(name, labels={"app": app}))
    await create(api.client, CONFIGMAPS, configmap("held", labels={"app": "web"}, finalizers=["x.io/a"]))
    dry = await send(api.client, "DELETE", CONFIGMAPS, params={"labelSelector": "app=web", "dryRun": "All"})
    assert len(dry["items"]) == 3
    answer = await send(api.client, "DELETE", CONFIGMAPS, params={"labelSelector": "app=web"})
    assert [each["metadata"]["name"] for each in answer["items"]] == ["a", "b", "held"]
    left = (await send(api.client, "GET", CONFIGMAPS))["items"]
    assert [each["metadata"]["name"] for each in left] == ["c", "held"]
    assert left[1]["metadata"]["deletionTimestamp"]


async def test_deletecollection_in_one_revision_range(api: RunningApi) -> None:
    for number in range(30):
        await create(api.client, CONFIGMAPS, configmap(f"c{number}"))
    before = int((await send(api.client, "GET", CONFIGMAPS))["metadata"]["resourceVersion"])
    await send(api.client, "DELETE", CONFIGMAPS)
    after = await send(api.client, "GET", CONFIGMAPS)
    assert after["items"] == []
    assert int(after["metadata"]["resourceVersion"]) == before + 30


async def finish(api: RunningApi, name: str) -> dict[str, Any]:
    body = await send(api.client, "GET", f"/api/v1/namespaces/{name}")
    body["spec"]["finalizers"] = []
    return await send(api.client, "PUT", f"/api/v1/namespaces/{name}/finalize", body)


async def test_the_life_of_a_namespace(api: RunningApi) -> None:
    made = await create(api.client, "/api/v1/namespaces", namespace("a"))
    assert made["spec"]["finalizers"] == ["kubernetes"]
    assert made["status"]["phase"] == "Active"
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "a"}
    await create(api.client, "/api/v1/namespaces/a/configmaps", configmap())
    leaving = await send(api.client, "DELETE", "/api/v1/namespaces/a")
    assert leaving["status"]["phase"] == "Terminating"
    refused = await send(api.client, "POST", "/api/v1/namespaces/a/configmaps", configmap("d"), expect=403)
    assert refused["message"] == (
        'configmaps "d" is forbidden: unable to create new content in namespace a because it is being terminated'
    )
    assert refused["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    # Only /finalize takes the namespace's own finalizer away.
    still = await patch(api.client, "/api/v1/namespaces/a", {"spec": {"finalizers": []}})
    assert still["spec"]["finalizers"] == ["kubernetes"]
    await send(api.client, "DELETE", "/api/v1/namespaces/a/configmaps/c")
    await finish(api, "a")
    await send(api.client, "GET", "/api/v1/namespaces/a", expect=404)
    await create(api.client, "/api/v1/namespaces", namespace("a"))


async def test_a_namespace_is_not_finished_while_something_is_in_it(api: RunningApi) -> None:
    await create(api.client, "/api/v1/namespaces", namespace("a"))
    await create(api.client, "/api/v1/namespaces/a/configmaps", configmap())
    await send(api.client, "DELETE", "/api/v1/namespaces/a")
    body = await send(api.client, "GET", "/api/v1/namespaces/a")
    body["spec"]["finalizers"] = []
    status = await send(api.client, "PUT", "/api/v1/namespaces/a/finalize", body, expect=409)
    assert "configmaps" in status["message"]
    await send(api.client, "DELETE", "/api/v1/namespaces/a/configmaps")
    await finish(api, "a")


async def test_the_platforms_own_namespaces_stay(api: RunningApi) -> None:
    for name in ("default", "kube-system", "kube-public"):
        status = await send(api.client, "DELETE", f"/api/v1/namespaces/{name}", expect=403)
        assert status["message"] == f'namespaces "{name}" is forbidden: this namespace may not be deleted'
