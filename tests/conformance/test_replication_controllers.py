"""ReplicationControllers: they serve, adopt, release, scale, report what they cannot make, and go."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest

from tests.conformance.workloads import container, nowhere, replication_controller, running
from tests.support.kubectl import Kubectl
from tests.support.rest import STRATEGIC, Rest
from tests.support.wait import NotYet, until

pytestmark = pytest.mark.docker


@pytest.fixture
def controllers(space: str) -> str:
    return f"/api/v1/namespaces/{space}/replicationcontrollers"


@pytest.fixture
def pods(space: str) -> str:
    return f"/api/v1/namespaces/{space}/pods"


async def test_every_replica_serves(api: Rest, image: str, controllers: str, pods: str) -> None:
    script = "mkdir -p /tmp/www; hostname > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"
    template = running(image)
    template["containers"] = [
        container(image, script, readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1})
    ]
    api.create(controllers, replication_controller("serves", template, replicas=2))
    await until(lambda: api.get(f"{controllers}/serves")["status"].get("readyReplicas") == 2, timeout=60)
    for item in api.get(pods, labelSelector="app=serves")["items"]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{item['status']['podIP']}:8080/", timeout=10) as answer:
            assert answer.read().decode().strip() == item["metadata"]["name"]
    api.delete(f"{controllers}/serves")


async def test_it_adopts_and_releases(api: Rest, controllers: str, pods: str) -> None:
    api.create(pods, {"metadata": {"name": "alone", "labels": {"app": "adopts"}}, "spec": nowhere()})
    made = api.create(controllers, replication_controller("adopts", nowhere()))

    def adopted() -> dict[str, Any]:
        references = api.get(f"{pods}/alone")["metadata"].get("ownerReferences") or [{}]
        if references[0].get("uid") != made["metadata"]["uid"]:
            raise NotYet(str(references))
        return dict(references[0])

    reference = await until(adopted)
    assert reference == {
        "apiVersion": "v1", "kind": "ReplicationController", "name": "adopts", "uid": made["metadata"]["uid"],
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip
    api.patch(f"{pods}/alone", {"metadata": {"labels": {"app": "released"}}})
    await until(lambda: "ownerReferences" not in api.get(f"{pods}/alone")["metadata"])
    await until(lambda: len(api.names(pods, labelSelector="app=adopts")) == 1)
    api.delete(f"{controllers}/adopts")
    await until(lambda: api.names(pods) == ["alone"])
    api.delete(f"{pods}/alone")


async def test_scale(api: Rest, controllers: str, pods: str) -> None:
    api.create(controllers, replication_controller("scaled", nowhere()))
    scale = api.get(f"{controllers}/scaled/scale")
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"]["selector"] == "app=scaled"

    def double(scale: dict[str, Any]) -> None:
        scale["spec"]["replicas"] = 2

    assert api.change(f"{controllers}/scaled/scale", double)["spec"]["replicas"] == 2
    assert api.get(f"{controllers}/scaled")["spec"]["replicas"] == 2
    await until(lambda: len(api.names(pods, labelSelector="app=scaled")) == 2)
    api.delete(f"{controllers}/scaled")
    await until(lambda: api.names(pods, labelSelector="app=scaled") == [])


async def test_an_exceeded_quota_is_a_condition_until_it_fits(
    api: Rest, space: str, controllers: str, pods: str
) -> None:
    quotas = f"/api/v1/namespaces/{space}/resourcequotas"
    api.create(quotas, {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "2"}}})
    api.create(controllers, replication_controller("many", nowhere(), replicas=3))

    def condition() -> dict[str, Any]:
        conditions = api.get(f"{controllers}/many")["status"].get("conditions") or []
        if not conditions:
            raise NotYet("no condition")
        return dict(conditions[0])

    failure = await until(condition)
    assert (failure["type"], failure["status"], failure["reason"]) == ("ReplicaFailure", "True", "FailedCreate")
    assert "exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2" in failure["message"]
    api.patch(f"{controllers}/many/scale", {"spec": {"replicas": 2}})
    await until(lambda: not api.get(f"{controllers}/many")["status"].get("conditions"))
    api.delete(f"{controllers}/many")
    api.delete(f"{quotas}/few")
    await until(lambda: api.names(pods, labelSelector="app=many") == [])


async def test_lifecycle(api: Rest, controllers: str, pods: str) -> None:
    document = replication_controller("lives", nowhere())
    document["metadata"]["labels"] = {"e2e": "rc-lives"}
    with api.watch(controllers, labelSelector="e2e=rc-lives") as events:
        api.create(controllers, document)
        kind, seen = next(events)
        assert (kind, seen["metadata"]["name"]) == ("ADDED", "lives")
        api.patch(f"{controllers}/lives", {"metadata": {"labels": {"patched": "yes"}}}, STRATEGIC)
        status = {"status": {"readyReplicas": 0, "availableReplicas": 0}}
        assert api.patch(f"{controllers}/lives/status", status)["kind"] == "ReplicationController"
        api.patch(f"{controllers}/lives/scale", {"spec": {"replicas": 2}})
        await until(lambda: api.get(f"{controllers}/lives")["status"]["replicas"] == 2)
        read = api.get(f"{controllers}/lives")
        read["metadata"]["annotations"] = {"updated": "yes"}
        assert api.replace(f"{controllers}/lives", read)["metadata"]["annotations"] == {"updated": "yes"}
        assert api.names("/api/v1/replicationcontrollers", labelSelector="e2e=rc-lives") == ["lives"]
        api.delete(controllers, labelSelector="e2e=rc-lives")
        while kind != "DELETED":
            kind, seen = next(events)
        assert seen["metadata"]["labels"]["patched"] == "yes"
    await until(lambda: api.names(pods, labelSelector="app=lives") == [])


async def test_kubectl_shows_and_scales(api: Rest, shared: Kubectl, controllers: str, pods: str) -> None:
    api.create(controllers, replication_controller("seen", nowhere(), replicas=0))
    shared("scale", "rc", "seen", "--replicas=1", "--current-replicas=0")
    await until(lambda: len(api.names(pods, labelSelector="app=seen")) == 1)
    header, row = shared("get", "rc", "seen", "-o", "wide").splitlines()
    assert header.split() == ["NAME", "DESIRED", "CURRENT", "READY", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert row.split()[-3:] == ["main", "none.local/x:1", "app=seen"]
    assert "Replicas:     1 current / 1 desired" in shared("describe", "rc", "seen")
    shared("delete", "rc", "seen")
    await until(lambda: api.names(pods, labelSelector="app=seen") == [])
