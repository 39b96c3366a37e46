"""Dependents follow their owners: background, foreground, orphan, several owners, circles."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rest import Document, Rest
from tests.support.wait import throughout, until


@pytest.fixture
def configmaps(space: str) -> str:
    return f"/api/v1/namespaces/{space}/configmaps"


@pytest.fixture
def replicasets(space: str) -> str:
    return f"/apis/apps/v1/namespaces/{space}/replicasets"


@pytest.fixture
def pods(space: str) -> str:
    return f"/api/v1/namespaces/{space}/pods"


def _owner(document: Document, *, block: bool = False, kind: str = "ConfigMap", version: str = "v1") -> Document:
    reference: Document = {"apiVersion": version, "kind": kind, "name": document["metadata"]["name"]}
    reference["uid"] = document["metadata"]["uid"]
    if block:
        reference["blockOwnerDeletion"] = True
    return reference


def _replicaset(name: str, replicas: int) -> Document:
    labels = {"app": name}
    # Nothing can run it: these pods stay where the scheduler leaves them.
    pod = {"nodeSelector": {"no": "node"}, "containers": [{"name": "main", "image": "none.local/x:1"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


async def _with_pods(api: Rest, replicasets: str, pods: str, name: str, replicas: int) -> Document:
    made = api.create(replicasets, _replicaset(name, replicas))
    await until(lambda: len(api.names(pods, labelSelector=f"app={name}")) == replicas)
    return made


def _options(policy: str) -> dict[str, Any]:
    return {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy}


async def test_background(api: Rest, replicasets: str, pods: str) -> None:
    await _with_pods(api, replicasets, pods, "back", 2)
    answer = api.delete(f"{replicasets}/back", _options("Background"))
    assert (answer["kind"], answer["status"]) == ("Status", "Success")
    assert answer["details"]["name"] == "back"
    assert api.missing(f"{replicasets}/back")
    await until(lambda: not api.names(pods, labelSelector="app=back"))


async def test_foreground_keeps_the_owner_until_the_last_dependent_is_gone(
    api: Rest, replicasets: str, pods: str
) -> None:
    await _with_pods(api, replicasets, pods, "fore", 5)
    held = api.names(pods, labelSelector="app=fore")[0]
    api.patch(f"{pods}/{held}", {"metadata": {"finalizers": ["example.com/held"]}})
    answer = api.delete(f"{replicasets}/fore", _options("Foreground"))
    assert answer["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert answer["metadata"]["deletionTimestamp"]
    await until(lambda: api.names(pods, labelSelector="app=fore") == [held])
    assert "foregroundDeletion" in api.get(f"{replicasets}/fore")["metadata"]["finalizers"]
    api.patch(f"{pods}/{held}", {"metadata": {"finalizers": None}})
    await until(lambda: api.missing(f"{replicasets}/fore"))
    assert api.names(pods, labelSelector="app=fore") == []


async def test_orphans_stay_and_lose_their_owner(api: Rest, replicasets: str, pods: str) -> None:
    await _with_pods(api, replicasets, pods, "orphan", 3)
    api.delete(f"{replicasets}/orphan", _options("Orphan"))
    await until(lambda: api.missing(f"{replicasets}/orphan"))
    left = api.get(pods, labelSelector="app=orphan")["items"]
    assert len(left) == 3
    assert not any(item["metadata"].get("ownerReferences") for item in left)
    api.delete(pods, labelSelector="app=orphan", gracePeriodSeconds=0)


async def test_the_deprecated_option_orphans_too(api: Rest, replicasets: str, pods: str) -> None:
    await _with_pods(api, replicasets, pods, "deprecated", 1)
    api.delete(f"{replicasets}/deprecated", {"orphanDependents": True})
    await until(lambda: api.missing(f"{replicasets}/deprecated"))
    assert len(api.names(pods, labelSelector="app=deprecated")) == 1
    api.delete(pods, labelSelector="app=deprecated", gracePeriodSeconds=0)


async def test_a_deployment_that_is_orphaned_leaves_its_replicaset(
    api: Rest, space: str, replicasets: str, pods: str
) -> None:
    path = f"/apis/apps/v1/namespaces/{space}/deployments"
    api.create(path, _replicaset("web", 1))
    await until(lambda: len(api.names(pods, labelSelector="app=web")) == 1)
    api.delete(f"{path}/web", _options("Orphan"))
    await until(lambda: api.missing(f"{path}/web"))
    (left,) = api.get(replicasets, labelSelector="app=web")["items"]
    assert not left["metadata"].get("ownerReferences")
    assert len(api.names(pods, labelSelector="app=web")) == 1
    api.delete(f"{replicasets}/{left['metadata']['name']}")


async def test_another_living_owner_keeps_a_dependent(api: Rest, replicasets: str, pods: str) -> None:
    first = await _with_pods(api, replicasets, pods, "first", 4)
    second = api.create(replicasets, _replicaset("second", 0))
    shared = api.names(pods, labelSelector="app=first")[:2]
    also = _owner(second, kind="ReplicaSet", version="apps/v1")
    for name in shared:
        references = api.get(f"{pods}/{name}")["metadata"]["ownerReferences"]
        api.patch(f"{pods}/{name}", {"metadata": {"ownerReferences": [*references, also]}})
    assert first["metadata"]["uid"] == references[0]["uid"]
    api.delete(f"{replicasets}/first", _options("Foreground"))
    await until(lambda: api.missing(f"{replicasets}/first"))
    left = api.get(pods, labelSelector="app=first")["items"]
    assert sorted(item["metadata"]["name"] for item in left) == sorted(shared)
    for item in left:
        assert "deletionTimestamp" not in item["metadata"]
        assert [each["name"] for each in item["metadata"]["ownerReferences"]] == ["second"]


async def test_a_circle_is_no_obstacle(api: Rest, configmaps: str) -> None:
    made = [api.create(configmaps, {"metadata": {"name": f"ring-{number}"}}) for number in range(3)]
    for number, document in enumerate(made):
        owner = _owner(made[(number + 1) % 3], block=True)
        api.patch(f"{configmaps}/{document['metadata']['name']}", {"metadata": {"ownerReferences": [owner]}})
    api.delete(f"{configmaps}/ring-0", _options("Foreground"))
    await until(lambda: not [name for name in api.names(configmaps) if name.startswith("ring-")])


async def test_an_owner_that_never_was_takes_its_dependent_along(api: Rest, configmaps: str) -> None:
    nobody = {"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": "11111111-2222-3333-4444-555555555555"}
    api.create(configmaps, {"metadata": {"name": "lost", "ownerReferences": [nobody]}})
    await until(lambda: api.missing(f"{configmaps}/lost"))


async def test_the_chain_of_owners_falls_with_its_head(api: Rest, configmaps: str) -> None:
    head = api.create(configmaps, {"metadata": {"name": "chain-0"}})
    for number in range(1, 4):
        head = api.create(configmaps, {"metadata": {"name": f"chain-{number}", "ownerReferences": [_owner(head)]}})
    kept = api.create(configmaps, {"metadata": {"name": "unrelated"}})
    api.delete(f"{configmaps}/chain-0", _options("Background"))
    await until(lambda: not [name for name in api.names(configmaps) if name.startswith("chain-")])
    await throughout(lambda: api.get(f"{configmaps}/{kept['metadata']['name']}"), seconds=0.2)
