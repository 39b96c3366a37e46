"""Pods as the API shows them: watch, labels, deadline, generation, QoS, addresses, collections, selection of nodes, logs."""

from __future__ import annotations

import re

import pytest

from tests.conformance.workloads import container, pod
from tests.support.rest import STRATEGIC, Document, Rest
from tests.support.wait import NotYet, until

pytestmark = pytest.mark.docker


@pytest.fixture
def pods(space: str) -> str:
    return f"/api/v1/namespaces/{space}/pods"


async def reaches(api: Rest, path: str, phase: str) -> Document:
    """The pod once it is in ``phase``."""

    def there() -> Document:
        document = api.get(path)
        if document["status"]["phase"] != phase:
            raise NotYet(str(document["status"]))
        return document

    return await until(there, timeout=60)


async def test_a_pod_from_submit_to_delete(api: Rest, image: str, pods: str) -> None:
    start = api.get(pods)["metadata"]["resourceVersion"]
    with api.watch(pods, labelSelector="name=whole", resourceVersion=start) as events:
        made = api.create(pods, pod("whole", container(image)))
        assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
        type_, seen = next(events)
        assert (type_, seen["metadata"]["name"]) == ("ADDED", "whole")
        while seen["status"]["phase"] != "Running":
            type_, seen = next(events)
            assert type_ == "MODIFIED"
        assert seen["status"]["hostIP"]
        assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", seen["status"]["podIP"])
        assert seen["status"]["podIPs"] == [{"ip": seen["status"]["podIP"]}]
        assert seen["status"]["hostIPs"] == [{"ip": seen["status"]["hostIP"]}]
        assert seen["status"]["startTime"]
        conditions = {each["type"]: each["status"] for each in seen["status"]["conditions"]}
        assert conditions == dict.fromkeys(
            ("PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"), "True"
        )
        going = api.delete(f"{pods}/whole", {"gracePeriodSeconds": 20})
        assert going["metadata"]["deletionGracePeriodSeconds"] == 20
        assert going["metadata"]["deletionTimestamp"]
        assert going["metadata"]["generation"] == seen["metadata"]["generation"] + 1
        while type_ != "DELETED":
            type_, seen = next(events)
        assert seen["metadata"]["deletionTimestamp"]
    assert api.names(pods, labelSelector="name=whole") == []


async def test_labels_and_a_deadline_can_be_set_later(api: Rest, image: str, pods: str) -> None:
    api.create(pods, pod("deadline", container(image)))
    await reaches(api, f"{pods}/deadline", "Running")

    def relabel() -> bool:
        read = api.get(f"{pods}/deadline")
        read["metadata"]["labels"] = {"time": "updated"}
        return api.request("PUT", f"{pods}/deadline", read).code == 200

    await until(relabel)
    assert api.names(pods, labelSelector="time=updated") == ["deadline"]
    changed = api.patch(f"{pods}/deadline", {"spec": {"activeDeadlineSeconds": 1}}, STRATEGIC)
    assert changed["metadata"]["generation"] == 2
    failed = await reaches(api, f"{pods}/deadline", "Failed")
    assert failed["status"]["reason"] == "DeadlineExceeded"
    assert failed["status"]["observedGeneration"] == 2
    api.delete(f"{pods}/deadline")


async def test_what_may_change_in_a_spec(api: Rest, image: str, pods: str) -> None:
    api.create(pods, pod("fixed", container(image)))
    one = f"{pods}/fixed"
    await reaches(api, one, "Running")
    generation = api.get(one)["metadata"]["generation"]
    labelled = api.patch(one, {"metadata": {"labels": {"a": "b"}}})
    assert labelled["metadata"]["generation"] == generation
    toleration = {"key": "a", "operator": "Exists"}
    tolerating = api.patch(one, {"spec": {"tolerations": [*labelled["spec"]["tolerations"], toleration]}}, STRATEGIC)
    assert tolerating["metadata"]["generation"] == generation + 1
    await until(lambda: api.get(one)["status"]["observedGeneration"] == generation + 1)
    refused = api.request("PATCH", one, {"spec": {"hostNetwork": True}}, STRATEGIC).refused(422)
    assert "spec: Forbidden: pod updates may not change fields other than" in refused
    renamed = api.request("PATCH", one, {"spec": {"containers": [{"name": "other", "image": image}]}}, STRATEGIC)
    assert "spec.containers: Forbidden: pod updates may not add or remove containers" in renamed.refused(422)
    api.delete(one)


async def test_a_pod_that_its_node_rejects_counts_its_generations(api: Rest, image: str, pods: str) -> None:
    """ "custom-set generation on new pods", and "pod rejected by kubelet should have updated generation": one, and observed."""
    (node,) = api.names("/api/v1/nodes")
    huge = pod("rejected", container(image, resources={"requests": {"cpu": "10000"}}), nodeName=node)
    huge["metadata"]["generation"] = 100
    assert api.create(pods, huge)["metadata"]["generation"] == 1
    failed = await reaches(api, f"{pods}/rejected", "Failed")
    assert failed["status"]["reason"] == "OutOfcpu"
    assert (failed["metadata"]["generation"], failed["status"]["observedGeneration"]) == (1, 1)
    api.delete(f"{pods}/rejected")


def test_status_can_be_patched_and_replaced(api: Rest, pods: str) -> None:
    # A scheduler of its own: ours would write that the pod does not fit, between the read and the replace.
    api.create(pods, pod("status", {"name": "main", "image": "none.local/x:1"}, schedulerName="nobody"))
    one = f"{pods}/status"
    condition = {"type": "TestCondition", "status": "True", "message": "patched"}
    patched = api.patch(f"{one}/status", {"status": {"conditions": [condition]}}, STRATEGIC)
    assert "TestCondition" in [each["type"] for each in patched["status"]["conditions"]]
    read = api.get(f"{one}/status")
    read["status"]["message"] = "replaced"
    read["spec"]["nodeName"] = "elsewhere"
    replaced = api.replace(f"{one}/status", read)
    assert replaced["status"]["message"] == "replaced"
    assert "nodeName" not in replaced["spec"]
    api.delete(one)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"limits": {"cpu": "100m", "memory": "100Mi"}, "requests": {"cpu": "100m", "memory": "100Mi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"requests": {"cpu": "100m"}}, "Burstable"),
        ({}, "BestEffort"),
    ],
)
def test_quality_of_service(api: Rest, pods: str, resources: Document, expected: str) -> None:
    body = pod("qos", {"name": "main", "image": "none.local/x:1", "resources": resources})
    assert api.create(pods, body, dryRun="All")["status"]["qosClass"] == expected


async def test_a_collection_is_deleted(api: Rest, pods: str) -> None:
    for number in range(3):
        body = pod(f"set-{number}", {"name": "main", "image": "none.local/x:1"}, nodeSelector={"no": "node"})
        body["metadata"]["labels"] = {"type": "Testing"}
        api.create(pods, body)
    assert len(api.names(pods, labelSelector="type=Testing")) == 3
    answer = api.delete(pods, labelSelector="type=Testing", gracePeriodSeconds=1)
    assert answer["kind"] in {"PodList", "Status"}
    await until(lambda: not api.names(pods, labelSelector="type=Testing"))


async def test_a_failed_pod_tells_why_and_can_be_deleted(api: Rest, image: str, pods: str) -> None:
    api.create(pods, pod("fails", container(image, "exit 3")))
    failed = await reaches(api, f"{pods}/fails", "Failed")
    (status,) = failed["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == 3
    assert status["state"]["terminated"]["reason"] == "Error"
    assert status["state"]["terminated"]["startedAt"]
    assert status["state"]["terminated"]["finishedAt"]
    api.delete(f"{pods}/fails")
    await until(lambda: api.missing(f"{pods}/fails"))


async def test_a_node_is_chosen_by_its_labels(api: Rest, image: str, pods: str) -> None:
    (node,) = api.names("/api/v1/nodes")
    api.create(pods, pod("chosen", container(image), nodeSelector={"e2e-chosen": "42"}))

    def refused() -> bool:
        conditions = api.get(f"{pods}/chosen")["status"].get("conditions") or []
        return any(each["type"] == "PodScheduled" and each["reason"] == "Unschedulable" for each in conditions)

    await until(refused)
    api.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {"e2e-chosen": "42"}}})
    running = await reaches(api, f"{pods}/chosen", "Running")
    assert running["spec"]["nodeName"] == node
    assert api.names(
        "/api/v1/pods", fieldSelector=f"spec.nodeName={node},metadata.name=chosen,status.phase=Running"
    ) == ["chosen"]
    api.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {"e2e-chosen": None}}})
    api.delete(f"{pods}/chosen")


async def test_two_pods_do_not_share_a_host_port(api: Rest, image: str, pods: str) -> None:
    def with_port(name: str, address: str, protocol: str = "TCP") -> Document:
        port = {"containerPort": 8080, "hostPort": 54321, "hostIP": address, "protocol": protocol}
        return pod(name, container(image, ports=[port]))

    api.create(pods, with_port("port-one", "127.0.0.1"))
    await reaches(api, f"{pods}/port-one", "Running")
    api.create(pods, with_port("port-two", "0.0.0.0"))
    api.create(pods, with_port("port-udp", "127.0.0.1", "UDP"))
    await reaches(api, f"{pods}/port-udp", "Running")

    def refused() -> bool:
        conditions = api.get(f"{pods}/port-two")["status"].get("conditions") or []
        return any(
            "didn't have free ports for the requested pod ports" in each.get("message", "") for each in conditions
        )

    await until(refused)
    for name in ("port-one", "port-two", "port-udp"):
        api.delete(f"{pods}/{name}", {"gracePeriodSeconds": 0})


async def test_logs_by_http(api: Rest, image: str, pods: str) -> None:
    api.create(pods, pod("talks", container(image, "echo one; echo two; echo three")))
    await reaches(api, f"{pods}/talks", "Succeeded")
    log = f"{pods}/talks/log"
    assert api.request("GET", log).text == "one\ntwo\nthree\n"
    assert api.request("GET", log, tailLines=1).text == "three\n"
    assert api.request("GET", log, limitBytes=5).text == "one\nt"
    assert api.request("GET", log, sinceSeconds=86400, container="main").text == "one\ntwo\nthree\n"
    stamped = api.request("GET", log, timestamps="true", tailLines=1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z three\n", stamped.text)
    assert stamped.headers["content-type"].startswith("text/plain")
    assert api.request("GET", log, sinceSeconds=0).code == 422
    assert "container none is not valid for pod talks" in api.request("GET", log, container="none").refused(400)
