"""Cases about a pod's whole life: hooks that tell a server, containers added later, paths in volumes, its status as an object."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import pytest

from tests.conformance.workloads import SLEEP, container, pod
from tests.support.kubectl import Kubectl
from tests.support.rest import STRATEGIC, Document, Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

LISTEN = """printf '#!/bin/sh\\nread line; echo "$line" > /proc/1/fd/1; printf "HTTP/1.0 200 OK\\\\r\\\\n\\\\r\\\\n"\\n' \\
  > /tmp/answer
chmod +x /tmp/answer
exec nc -ll -p 8080 -e /tmp/answer"""
"""A server that logs the first line of each request."""


def _asks(host: str, what: str) -> Document:
    return {"exec": {"command": ["sh", "-c", f"printf 'GET /{what} HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {host} 8080"]}}


def _paths(image: str) -> list[Document]:
    volumes = [{"name": "v", "emptyDir": {}}]

    def wrong(name: str, expression: str, value: str) -> Document:
        mounts = [{"name": "v", "mountPath": "/v", "subPathExpr": expression}]
        return pod(
            name, container(image, env=[{"name": "POD_NAME", "value": value}], volumeMounts=mounts), volumes=volumes
        )

    name = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    where = {"name": "WHERE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['mypath']"}}}
    mounts = [
        {"name": "v", "mountPath": "/subpath", "subPathExpr": "$(WHERE)/$(POD_NAME)"},
        {"name": "v", "mountPath": "/volume"},
    ]
    script = "touch /volume/mypath/foo/writes/test.log; " + SLEEP
    writes = pod("writes", container(image, script, env=[name, where], volumeMounts=mounts), volumes=volumes)
    writes["metadata"]["annotations"] = {"mypath": "mypath/foo"}
    return [
        wrong("backticks", "$(POD_NAME)", ".."),
        wrong("absolute", "$(POD_NAME)", "/tmp"),
        writes,
    ]  # fmt: skip


def _sidecars(image: str) -> list[Document]:
    mounts = [{"name": "v", "mountPath": "/v"}]
    begins = "echo side >> /v/order; touch /v/up; trap 'echo side-ends >> /v/order; exit 0' TERM; while true; do sleep 0.1; done"
    probe = {"exec": {"command": ["test", "-e", "/v/up"]}, "periodSeconds": 1}
    beside = container(image, begins, "side", volumeMounts=mounts, restartPolicy="Always", startupProbe=probe)
    first = container(image, "echo first >> /v/order", "first", volumeMounts=mounts)
    main = container(image, "echo main >> /v/order; cat /v/order", volumeMounts=mounts)
    handler: Document = {"runtimeClassName": "none-such"}
    return [
        pod("with-sidecar", main, initContainers=[beside, first], volumes=[{"name": "v", "emptyDir": {}}]),
        pod("unhandled", container(image), **handler),
    ]


@pytest.fixture(scope="module")
def pods(api: Rest, shared: Kubectl, space: str, image: str) -> str:
    """The path of the pods, all created; ``server`` is ready."""
    path = f"/api/v1/namespaces/{space}/pods"
    runtimes = "/apis/node.k8s.io/v1/runtimeclasses"
    api.create(runtimes, {"metadata": {"name": "none-such", "labels": {"space": space}}, "handler": "not-configured"})
    api.create(path, pod("server", container(image, LISTEN)))
    for document in (*_paths(image), *_sidecars(image), pod("extended", container(image))):
        api.create(path, document)
    shared("wait", "--for=condition=Ready", "pod/server", "--timeout=60s")
    return path


def _first(api: Rest, pods: str, name: str) -> dict[str, Any]:
    statuses = api.get(f"{pods}/{name}")["status"].get("containerStatuses") or [{"ready": False, "state": {}}]
    found: dict[str, Any] = statuses[0]
    return found


def _ready(api: Rest, pods: str, name: str) -> bool:
    return bool(_first(api, pods, name)["ready"])


def _heard(kubectl: Kubectl, what: str) -> bool:
    return f"GET /{what}" in kubectl("logs", "server")


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def _says_polo(kubectl: Kubectl, name: str) -> bool:
    return "polo" in kubectl("logs", "extended", "-c", name)


@pytest.mark.parametrize("how", ["exec", "http"])
async def test_a_server_hears_of_starts_and_ends(api: Rest, shared: Kubectl, pods: str, image: str, how: str) -> None:
    """postStart and preStop, by a command and by HTTP, tell another pod; the container ends only then."""
    host = api.get(f"{pods}/server")["status"]["podIP"]
    hooks: Document = {}
    for hook in ("postStart", "preStop"):
        what = f"{how}-{hook}"
        by_http = {
            "httpGet": {"host": host, "port": 8080, "path": f"/{what}", "httpHeaders": [{"name": "A", "value": "b"}]}
        }
        hooks[hook] = by_http if how == "http" else _asks(host, what)
    name = f"tells-by-{how}"
    api.create(pods, pod(name, container(image, lifecycle=hooks), terminationGracePeriodSeconds=30))
    await until(partial(_ready, api, pods, name), timeout=60)
    assert _heard(shared, f"{how}-postStart")
    assert not _heard(shared, f"{how}-preStop")
    api.delete(f"{pods}/{name}")
    await until(partial(api.missing, f"{pods}/{name}"), timeout=60)
    assert _heard(shared, f"{how}-preStop")


async def test_an_end_waits_for_sleep_and_not_longer_than_its_grace(api: Rest, pods: str, image: str) -> None:
    """preStop ``sleep`` keeps the container running; a hook that lasts longer than the grace ends with it."""
    sleeps = {"preStop": {"sleep": {"seconds": 2}}}
    hangs = {"preStop": {"exec": {"command": ["sleep", "1000"]}}}
    for name, hook, grace in (("sleeps", sleeps, 30), ("hangs", hangs, 1)):
        body = pod(name, container(image, lifecycle=hook), terminationGracePeriodSeconds=grace)
        body["metadata"]["finalizers"] = ["example.com/look"]
        api.create(pods, body)
    for name in ("sleeps", "hangs"):
        await until(partial(_ready, api, pods, name), timeout=60)
        api.delete(f"{pods}/{name}")

    def ended(name: str) -> Document | None:
        found: Document | None = _first(api, pods, name)["state"].get("terminated")
        return found

    for name in ("sleeps", "hangs"):
        terminated = await until(partial(ended, name), timeout=60)
        asked = api.get(f"{pods}/{name}")["metadata"]
        api.patch(f"{pods}/{name}", {"metadata": {"finalizers": None}})
        told = _seconds(asked["deletionTimestamp"]) - asked["deletionGracePeriodSeconds"]
        lasted = _seconds(terminated["finishedAt"]) - told
        # Times have whole seconds.
        assert lasted >= (1 if name == "sleeps" else 0), (terminated, asked)
        assert lasted < 30, (terminated, asked)
        # What is told to end after its hook ends well, though the grace is over: it gets two seconds more.
        assert terminated["exitCode"] == 0, terminated


@pytest.mark.parametrize(
    ("name", "words"),
    [("backticks", 'must not contain ".."'), ("absolute", "must be relative")],
)
async def test_paths_that_lead_elsewhere(api: Rest, pods: str, name: str, words: str) -> None:
    def told() -> bool:
        waiting = _first(api, pods, name)["state"].get("waiting", {})
        assert waiting.get("reason") == "CreateContainerConfigError", waiting
        assert words in waiting["message"]
        return True

    await until(told, timeout=60)


async def test_a_path_of_the_pods_own_names(api: Rest, shared: Kubectl, pods: str) -> None:
    """ "should succeed in writing subpaths in container": one file, seen from both sides, under the value of the start."""
    await until(partial(_ready, api, pods, "writes"), timeout=60)
    assert shared("exec", "writes", "--", "ls", "/subpath") == "test.log"
    api.patch(f"{pods}/writes", {"metadata": {"annotations": {"mypath": "mynewpath"}}})
    assert shared("exec", "writes", "--", "ls", "/subpath", "/volume/mypath/foo/writes").count("test.log") == 2


async def test_a_sidecar_starts_before_and_ends_after(api: Rest, pods: str) -> None:
    """A restartable init container is up before what follows it, and keeps no pod from its end."""

    def ended() -> Document:
        status: Document = api.get(f"{pods}/with-sidecar")["status"]
        if status["phase"] != "Succeeded":
            raise NotYet(str(status))
        return status

    status = await until(ended, timeout=60)
    side = status["initContainerStatuses"][0]
    assert (side["started"], side["state"]["terminated"]["exitCode"]) == (False, 0), side
    log = api.request("GET", f"{pods}/with-sidecar/log", container="main").text
    assert log.split() == ["side", "first", "main"]


async def test_a_handler_that_no_engine_has(api: Rest, space: str, pods: str) -> None:
    """ "should reject a Pod requesting a RuntimeClass with an unconfigured handler"."""

    def told() -> bool:
        found = api.get(f"/api/v1/namespaces/{space}/events", fieldSelector="involvedObject.name=unhandled")["items"]
        said = [each["message"] for each in found if each["reason"] == "FailedCreatePodSandBox"]
        assert any("not-configured" in message for message in said), found
        return True

    await until(told, timeout=60)
    assert api.get(f"{pods}/unhandled")["status"]["phase"] == "Pending"
    api.delete("/apis/node.k8s.io/v1/runtimeclasses", labelSelector=f"space={space}")


async def test_containers_come_later_and_more_follow(api: Rest, shared: Kubectl, pods: str, image: str) -> None:
    """ "will start an ephemeral container in an existing pod" and "should update the ephemeral containers"."""
    await until(partial(_ready, api, pods, "extended"), timeout=60)
    path = f"{pods}/extended/ephemeralcontainers"

    def looker(name: str) -> Document:
        return container(image, "while true; do echo polo; sleep 1; done", name, stdin=True, tty=True)

    body: Document = {"spec": {"ephemeralContainers": [looker("debugger")]}}
    patched = api.patch(path, body, STRATEGIC)
    assert [each["name"] for each in patched["spec"]["ephemeralContainers"]] == ["debugger"]

    def add(document: Document) -> None:
        document["spec"]["ephemeralContainers"].append(looker("debugger2"))

    api.change(path, add)

    def running() -> bool:
        statuses = api.get(f"{pods}/extended")["status"].get("ephemeralContainerStatuses", [])
        assert [each["name"] for each in statuses if "running" in each["state"]] == ["debugger", "debugger2"], statuses
        return True

    await until(running, timeout=60)
    for name in ("debugger", "debugger2"):
        await until(partial(_says_polo, shared, name))
    api.delete(f"{pods}/extended", {"gracePeriodSeconds": 0})


async def test_a_pod_and_its_status_as_objects(api: Rest, space: str, pods: str, image: str) -> None:
    """ "should run through the lifecycle of Pods and PodStatus"."""
    start = api.get(pods)["metadata"]["resourceVersion"]
    one = f"{pods}/static"
    with api.watch(pods, labelSelector="test-pod-static=true", resourceVersion=start) as events:
        api.create(pods, pod("static", container(image), labels={"test-pod-static": "true"}))
        seen = next(events)
        assert seen[0] == "ADDED"
        while seen[1]["status"]["phase"] != "Running":
            seen = next(events)
        patch = {"metadata": {"labels": {"test-pod": "patched"}}, "spec": {"terminationGracePeriodSeconds": 1}}
        api.patch(one, patch, STRATEGIC)
        while seen[1]["metadata"]["labels"].get("test-pod") != "patched":
            seen = next(events)
        read = api.get(f"{one}/status")
        read["status"]["conditions"] = [
            {**each, "status": "False"} if each["type"] in ("Ready", "ContainersReady") else each
            for each in read["status"]["conditions"]
        ]
        written = api.request("PUT", f"{one}/status", read)
        if written.code != 409:
            shown = {each["type"]: each["status"] for each in written.ok()["status"]["conditions"]}
            assert (shown["Ready"], shown["Initialized"]) == ("False", "True")
        assert api.names("/api/v1/pods", labelSelector="test-pod-static=true") == ["static"]
        api.delete(pods, labelSelector="test-pod-static=true", gracePeriodSeconds=1)
        while seen[0] != "DELETED":
            seen = next(events)
    assert api.missing(one)
