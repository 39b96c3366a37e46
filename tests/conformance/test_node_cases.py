"""Cases about pods that need a pod of their own: probes, hooks, resizes, sysctls, generations. All pods start together."""

from __future__ import annotations

import base64
from functools import partial
from typing import Any

import pytest

from tests.conformance.workloads import SLEEP, container, pod
from tests.support.kubectl import Kubectl
from tests.support.rest import JSON_PATCH, STRATEGIC, Document, Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

SERVING = bytes.fromhex(
    "000000040000000000"  # SETTINGS
    "0000010104000000" + "0188"  # HEADERS: the answer is 200
    "000007000000000001" + "00000000020801"  # DATA: a message whose field 1 is 1, SERVING
    "0000010105" + "0000000188"  # HEADERS that end the stream
)
"""What a gRPC server answers to a health check."""
UPDATES = 499
"""Changes of one pod; each is a commit of its own."""


def _sizes(cpu: int, memory: int) -> Document:
    amounts = {"cpu": f"{cpu}m", "memory": f"{memory}Mi"}
    return {"limits": amounts, "requests": dict(amounts)}


def _documents(image: str) -> list[Document]:
    answer = base64.b64encode(SERVING).decode()
    say = f"echo {answer} | base64 -d > /tmp/answer; printf '#!/bin/sh\\ncat /tmp/answer; sleep 1\\n' > /tmp/say"
    grpc = f"{say}; chmod +x /tmp/say; exec nc -ll -p 5000 -e /tmp/say"
    patient: Document = {"periodSeconds": 1, "initialDelaySeconds": 2, "timeoutSeconds": 10}
    probe: Document = {"periodSeconds": 1, "failureThreshold": 1, "initialDelaySeconds": 1}
    healthy: Document = {**patient, "exec": {"command": ["cat", "/tmp/health"]}}
    dying = "mkdir /tmp/w; touch /tmp/w/healthz; (sleep 2; rm /tmp/w/healthz) & exec httpd -f -p 8080 -h /tmp/w"
    vanishing: Document = {**probe, "httpGet": {"path": "/healthz", "port": 8080}}
    always: Document = {"restartPolicy": "Always"}
    three = [container(image, SLEEP, name, resources=_sizes(100, 64)) for name in ("c1", "c2", "c3")]
    listening = (
        'nc -ll -p 8080 -e /bin/sh -c \'read line; echo "$line" > /proc/1/fd/1; printf "HTTP/1.0 200 OK\\r\\n\\r\\n"\' & '
        + SLEEP
    )
    forced = {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]}
    broken = {"name": "v", "mountPath": "/v", "subPathExpr": "$(WHERE)/below"}
    note = {"name": "WHERE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['mypath']"}}}
    subpath = pod(
        "subpath", container(image, env=[note], volumeMounts=[broken]), volumes=[{"name": "v", "emptyDir": {}}]
    )
    subpath["metadata"]["annotations"] = {"notmypath": "mypath"}
    return [
        pod("grpc-well", container(image, grpc, livenessProbe={**patient, "grpc": {"port": 5000}}), **always),
        pod("grpc-wrong", container(image, grpc, livenessProbe={**probe, "grpc": {"port": 2333}}), **always),
        pod("file-stays", container(image, f"touch /tmp/health; {SLEEP}", livenessProbe=healthy), **always),
        pod("again", container(image, dying, livenessProbe=vanishing), **always),
        pod("three", *three),
        pod("listener", container(image, listening)),
        pod("forced", container(image, "cat /proc/sys/kernel/shm_rmid_forced"), securityContext=forced),
        pod("generations", container(image)),
        subpath,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def pods(api: Rest, space: str, image: str) -> str:
    """The path of the pods, all created."""
    path = f"/api/v1/namespaces/{space}/pods"
    before = api.get(path)["metadata"]["resourceVersion"]
    for document in _documents(image):
        document["metadata"].setdefault("annotations", {})["before"] = before
        api.create(path, document)
    return path


def _first(api: Rest, pods: str, name: str) -> dict[str, Any]:
    statuses = api.get(f"{pods}/{name}")["status"].get("containerStatuses") or [{"restartCount": 0, "ready": False}]
    found: dict[str, Any] = statuses[0]
    return found


async def test_updates_are_counted_and_observed(api: Rest, pods: str) -> None:
    one = f"{pods}/generations"
    await until(partial(_ready, api, pods, "generations"), timeout=120)
    for number in range(UPDATES):
        deadline = [{"op": "add", "path": "/spec/activeDeadlineSeconds", "value": 5000 - number}]
        api.patch(one, deadline, JSON_PATCH)

    def observed() -> bool:
        document = api.get(one)
        found = (document["metadata"]["generation"], document["status"]["observedGeneration"])
        assert found == (UPDATES + 1, UPDATES + 1), found
        return True

    await until(observed, timeout=60)


def _ready(api: Rest, pods: str, name: str) -> bool:
    return bool(_first(api, pods, name)["ready"])


@pytest.mark.parametrize(
    "wanted",
    [
        {"c1": (200, 96), "c2": (150, 80), "c3": (80, 48)},
        {"c1": (150, 96), "c2": (80, 48), "c3": (50, 32)},
        {"c1": (200, 96), "c2": (60, 64), "c3": (100, 64)},
    ],
    ids=["net-increase", "net-decrease", "various"],
)
async def test_three_containers_are_resized(api: Rest, pods: str, wanted: dict[str, tuple[int, int]]) -> None:
    await until(partial(_ready, api, pods, "three"), timeout=120)
    asked = [{"name": name, "resources": _sizes(*size)} for name, size in wanted.items()]
    api.patch(f"{pods}/three/resize", {"spec": {"containers": asked}}, STRATEGIC)

    def granted() -> bool:
        status = api.get(f"{pods}/three")["status"]
        found = {one["name"]: one["resources"] for one in status["containerStatuses"]}
        assert found == {name: _sizes(*size) for name, size in wanted.items()}, status
        assert not [one for one in status["conditions"] if one["type"].startswith("PodResize")], status
        assert all(one["restartCount"] == 0 for one in status["containerStatuses"])
        return True

    await until(granted, timeout=60)


async def test_a_stop_is_told_by_http(api: Rest, shared: Kubectl, pods: str, image: str) -> None:
    await until(partial(_ready, api, pods, "listener"), timeout=120)
    host = api.get(f"{pods}/listener")["status"]["podIP"]
    hook = {"preStop": {"httpGet": {"host": host, "port": 8080, "path": "/echo?msg=prestop"}}}
    api.create(pods, pod("telling", container(image, lifecycle=hook), terminationGracePeriodSeconds=15))
    await until(partial(_ready, api, pods, "telling"), timeout=120)
    api.delete(f"{pods}/telling")
    await until(lambda: "GET /echo?msg=prestop HTTP/1.1" in shared("logs", "listener"), timeout=60)
    await until(lambda: api.missing(f"{pods}/telling"), timeout=60)


async def test_a_sysctl_is_set(api: Rest, shared: Kubectl, pods: str) -> None:
    await until(lambda: api.get(f"{pods}/forced")["status"]["phase"] == "Succeeded", timeout=120)
    assert shared("logs", "forced") == "1"


def test_sysctls_that_are_none_are_refused(api: Rest, pods: str, image: str) -> None:
    wrong = [{"name": name, "value": "100000000"} for name in ("kernel.shmmax", "foo-", "bar..")]
    document = pod("wrong", container(image), securityContext={"sysctls": wrong})
    refusal = api.request("POST", pods, document).refused(422)
    assert 'spec.securityContext.sysctls[1].name: Invalid value: "foo-"' in refusal
    assert 'spec.securityContext.sysctls[2].name: Invalid value: "bar.."' in refusal
    assert "kernel.shmmax" not in refusal


async def test_a_failing_subpath_can_be_mended(api: Rest, pods: str) -> None:
    def refused() -> bool:
        waiting = _first(api, pods, "subpath").get("state", {}).get("waiting", {})
        assert waiting.get("reason") == "CreateContainerConfigError", waiting
        return True

    await until(refused, timeout=120)
    api.patch(f"{pods}/subpath", {"metadata": {"annotations": {"mypath": "foo"}}})
    await until(partial(_ready, api, pods, "subpath"), timeout=120)


async def test_what_answers_its_probes_is_left_alone(api: Rest, pods: str) -> None:
    for name in ("grpc-well", "file-stays"):
        await until(partial(_ready, api, pods, name), timeout=120)

    def restarted() -> Document:
        status = _first(api, pods, "grpc-wrong")
        if status["restartCount"] < 1:
            raise NotYet(str(status))
        return status

    await until(restarted, timeout=120)
    counts = {name: _first(api, pods, name)["restartCount"] for name in ("grpc-well", "file-stays")}
    assert counts == {"grpc-well": 0, "file-stays": 0}, api.get(f"{pods.removesuffix('pods')}events")["items"]


def test_restarts_are_counted_one_by_one(api: Rest, pods: str) -> None:
    seen = [0]
    start = api.get(f"{pods}/again")["metadata"]["annotations"]["before"]
    with api.watch(pods, fieldSelector="metadata.name=again", resourceVersion=start) as events:
        while seen[-1] < 2:
            _, document = next(events)
            seen += [one["restartCount"] for one in document["status"].get("containerStatuses", [])]
    assert seen == sorted(seen)
    assert set(seen) == {0, 1, 2}


def test_pod_templates(api: Rest, space: str, image: str) -> None:
    path = f"/api/v1/namespaces/{space}/podtemplates"
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [container(image)]}}
    for name in ("one", "two", "three"):
        api.create(path, {"metadata": {"name": name, "labels": {"set": "a"}}, "template": template})
    api.patch(f"{path}/one", {"metadata": {"labels": {"set": "patched"}}}, STRATEGIC)
    assert api.names("/api/v1/podtemplates", labelSelector="set=patched") == ["one"]
    read = api.get(f"{path}/one")
    assert read["template"]["spec"]["containers"][0]["terminationMessagePath"] == "/dev/termination-log"
    read["metadata"]["annotations"] = {"updated": "true"}
    assert api.replace(f"{path}/one", read)["metadata"]["annotations"] == {"updated": "true"}
    assert api.names(path, labelSelector="set=a") == ["three", "two"]
    api.delete(path, labelSelector="set=a")
    assert api.names(path) == ["one"]
    api.delete(f"{path}/one")
    broken = {"metadata": {"name": "bad"}, "template": {"spec": {"containers": []}}}
    assert "template.spec.containers: Required value" in api.request("POST", path, broken).refused(422)
