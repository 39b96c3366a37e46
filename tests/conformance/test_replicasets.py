"""ReplicaSets: they serve, adopt, release, scale, report, and are deleted in sets."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest

from tests.conformance.workloads import container, nowhere, replicaset, running
from tests.support.rest import JSON_PATCH, STRATEGIC, Rest
from tests.support.wait import NotYet, until

pytestmark = pytest.mark.docker


@pytest.fixture
def sets(space: str) -> str:
    return f"/apis/apps/v1/namespaces/{space}/replicasets"


@pytest.fixture
def pods(space: str) -> str:
    return f"/api/v1/namespaces/{space}/pods"


async def test_every_replica_serves(api: Rest, image: str, sets: str, pods: str) -> None:
    script = "mkdir -p /tmp/www; hostname > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    template = running(image)
    template["containers"] = [container(image, script, readinessProbe=probe)]
    api.create(sets, replicaset("serves", template, replicas=2))

    def ready() -> bool:
        return bool(api.get(f"{sets}/serves")["status"].get("readyReplicas", 0) == 2)

    await until(ready, timeout=60)
    for item in api.get(pods, labelSelector="app=serves")["items"]:
        address = item["status"]["podIP"]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{address}:8080/", timeout=10) as answer:
            assert answer.read().decode().strip() == item["metadata"]["name"]
    status = api.get(f"{sets}/serves/status")["status"]
    assert {key: status[key] for key in ("replicas", "fullyLabeledReplicas", "availableReplicas")} == {
        "replicas": 2,
        "fullyLabeledReplicas": 2,
        "availableReplicas": 2,
    }
    api.delete(f"{sets}/serves")


async def test_it_adopts_and_releases(api: Rest, sets: str, pods: str) -> None:
    labels = {"app": "adopts"}
    api.create(pods, {"metadata": {"name": "alone", "labels": labels}, "spec": nowhere()})
    made = api.create(sets, replicaset("adopts", nowhere()))

    def adopted() -> dict[str, Any]:
        references = api.get(f"{pods}/alone")["metadata"].get("ownerReferences") or [{}]
        if references[0].get("uid") != made["metadata"]["uid"]:
            raise NotYet(str(references))
        return dict(references[0])

    reference = await until(adopted)
    assert reference == {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "adopts", "uid": made["metadata"]["uid"],
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip
    assert api.names(pods, labelSelector="app=adopts") == ["alone"]
    api.patch(f"{pods}/alone", {"metadata": {"labels": {"app": "released"}}})
    await until(lambda: "ownerReferences" not in api.get(f"{pods}/alone")["metadata"])
    await until(lambda: len(api.names(pods, labelSelector="app=adopts")) == 1)
    api.delete(f"{sets}/adopts")
    await until(lambda: api.names(pods) == ["alone"])
    api.delete(f"{pods}/alone")


async def test_scale(api: Rest, sets: str, pods: str) -> None:
    api.create(sets, replicaset("scaled", nowhere()))
    scale = api.get(f"{sets}/scaled/scale")
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"]["selector"] == "app=scaled"
    scale["spec"]["replicas"] = 2
    scale["metadata"].pop("resourceVersion")
    assert api.replace(f"{sets}/scaled/scale", scale)["spec"]["replicas"] == 2
    assert api.get(f"{sets}/scaled")["spec"]["replicas"] == 2
    await until(lambda: len(api.names(pods, labelSelector="app=scaled")) == 2)
    assert api.patch(f"{sets}/scaled/scale", {"spec": {"replicas": 4}}, STRATEGIC)["spec"]["replicas"] == 4
    await until(lambda: len(api.names(pods, labelSelector="app=scaled")) == 4)
    await until(lambda: api.get(f"{sets}/scaled/scale")["status"]["replicas"] == 4)
    operation = [{"op": "replace", "path": "/spec/replicas", "value": 1}]
    assert api.patch(f"{sets}/scaled/scale", operation, JSON_PATCH)["spec"]["replicas"] == 1
    await until(lambda: len(api.names(pods, labelSelector="app=scaled")) == 1)
    negative = api.request("PATCH", f"{sets}/scaled/scale", {"spec": {"replicas": -1}}, STRATEGIC)
    assert "spec.replicas: Invalid value: -1: must be greater than or equal to 0" in negative.refused(422)
    api.delete(f"{sets}/scaled")


async def test_status_can_be_written(api: Rest, sets: str) -> None:
    api.create(sets, replicaset("status", nowhere(), replicas=0))
    await until(lambda: api.get(f"{sets}/status")["status"].get("observedGeneration") == 1)
    condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}

    def update() -> bool:
        read = api.get(f"{sets}/status/status")
        read["status"]["conditions"] = [condition]
        return api.request("PUT", f"{sets}/status/status", read).code == 200

    await until(update)
    assert api.get(f"{sets}/status")["status"]["conditions"][0]["message"] == "Set from e2e test"
    patch = {"status": {"conditions": [{"type": "StatusPatched", "status": "True"}]}}
    patched = api.patch(f"{sets}/status/status", patch)
    assert patched["status"]["conditions"] == [{"type": "StatusPatched", "status": "True"}]
    api.delete(f"{sets}/status")


async def test_a_set_of_replicasets_goes_at_once(api: Rest, sets: str, pods: str) -> None:
    for number in range(3):
        document = replicaset(f"many-{number}", nowhere())
        document["metadata"]["labels"] = {"e2e": "many"}
        api.create(sets, document)
    await until(lambda: len(api.names(pods)) == 3)
    assert len(api.names("/apis/apps/v1/replicasets", labelSelector="e2e=many")) == 3
    api.delete(sets, labelSelector="e2e=many")
    assert api.names(sets, labelSelector="e2e=many") == []
    await until(lambda: api.names(pods) == [])


async def test_a_lost_pod_is_replaced_and_the_selector_stays(api: Rest, sets: str, pods: str) -> None:
    api.create(sets, replicaset("keeps", nowhere()))
    await until(lambda: len(api.names(pods, labelSelector="app=keeps")) == 1)
    (first,) = api.names(pods, labelSelector="app=keeps")
    api.delete(f"{pods}/{first}")
    await until(lambda: api.names(pods, labelSelector="app=keeps") not in ([], [first]))
    change = {"spec": {"selector": {"matchLabels": {"app": "other"}}}}
    refused = api.request("PATCH", f"{sets}/keeps", change, STRATEGIC).refused(422)
    assert "spec.selector" in refused
    assert "field is immutable" in refused
    api.delete(f"{sets}/keeps")


async def test_what_cannot_be_made_is_a_condition(api: Rest, sets: str) -> None:
    refused = replicaset("mismatch", nowhere())
    refused["spec"]["template"]["metadata"]["labels"] = {"app": "another"}
    message = api.request("POST", sets, refused).refused(422)
    assert "spec.template.metadata.labels: Invalid value" in message
    assert "`selector` does not match template `labels`" in message
