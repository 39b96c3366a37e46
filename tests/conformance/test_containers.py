"""What runs in a pod: commands, environment, files, messages, restarts, probes, hooks. Pods start together; tests look."""

from __future__ import annotations

import base64
from functools import partial
from typing import Any

import pytest

from tests.conformance.workloads import SLEEP, container, pod
from tests.support.rest import Document, Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

FIELDS = {
    "POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_UID": "metadata.uid",
    "POD_IP": "status.podIP", "POD_IPS": "status.podIPs", "HOST_IP": "status.hostIP", "HOST_IPS": "status.hostIPs",
    "NODE": "spec.nodeName", "ACCOUNT": "spec.serviceAccountName",
    "LABEL": "metadata.labels['name']", "NOTE": "metadata.annotations['note']",
}  # fmt: skip


def _finished(image: str) -> dict[str, Document]:
    """Pods that end by themselves, by name."""
    field = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in FIELDS.items()]
    limits = {"limits": {"cpu": "250m", "memory": "64Mi"}, "requests": {"cpu": "125m", "memory": "32Mi"}}
    resource = [
        {"name": name.replace(".", "_"), "valueFrom": {"resourceFieldRef": {"resource": name}}} for name in
        ("limits.cpu", "limits.memory", "requests.cpu", "requests.memory")
    ]  # fmt: skip
    expansion = [
        {"name": "FOO", "value": "foo"},
        {"name": "FOOBAR", "value": "$(FOO);;bar"},
        {"name": "ESCAPED", "value": "$$(FOO)"},
        {"name": "UNKNOWN", "value": "$(NOWHERE)"},
    ]
    environment: list[Document] = [
        {"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "data-1"}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "data-1"}}},
        {"name": "ABSENT", "valueFrom": {"configMapKeyRef": {"name": "absent", "key": "x", "optional": True}}},
        {"name": "ABSENT_KEY", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "x", "optional": True}}},
    ]
    sources: list[Document] = [
        {"configMapRef": {"name": "settings"}},
        {"prefix": "p-", "configMapRef": {"name": "settings"}},
        {"prefix": "S_", "secretRef": {"name": "hidden"}},
        {"configMapRef": {"name": "absent", "optional": True}},
    ]
    told = "echo -n DONE > /dev/termination-log; echo noise"
    pods = [
        pod("args", {**container(image), "command": None, "args": ["/bin/echo", "only", "args"]}),
        pod("fields", container(image, "env", env=field)),
        pod("resources", container(image, "env", env=resource, resources=limits)),
        pod("expansion", container(image, "echo $0 $1; env", env=expansion, args=["$(FOOBAR)", "$$(FOO)"])),
        # Not by a shell: that forgets names that are none of a variable's.
        pod("environment", {**container(image, env=environment, envFrom=sources), "command": ["/bin/env"]}),
        pod("message-file", container(image, told)),
        pod(
            "message-log-ok",
            container(image, "echo fine", terminationMessagePolicy="FallbackToLogsOnError"),
        ),
        pod(
            "message-log-bad",
            container(image, "echo -n DONE; exit 1", terminationMessagePolicy="FallbackToLogsOnError"),
        ),
        pod(
            "message-path",
            container(
                image,
                "echo -n DONE > /dev/custom-log",
                terminationMessagePath="/dev/custom-log",
                securityContext={"runAsUser": 1000},
            ),
        ),
        pod(
            "init",
            container(image, "cat /shared/order", volumeMounts=[{"name": "v", "mountPath": "/shared"}]),
            initContainers=[
                container(
                    image, f"echo {name} >> /shared/order", name, volumeMounts=[{"name": "v", "mountPath": "/shared"}]
                )
                for name in ("first", "second")
            ],
            volumes=[{"name": "v", "emptyDir": {}}],
        ),
        pod(
            "init-fails",
            container(image, "echo never"),
            initContainers=[container(image, "exit 1", "broken"), container(image, "echo never", "later")],
        ),
        pod(
            "read-only",
            container(image, "echo x > /file && echo written", securityContext={"readOnlyRootFilesystem": True}),
        ),
        pod(
            "group",
            container(image, "id -g; id -G", securityContext={"runAsUser": 1001}),
            securityContext={"runAsGroup": 2002, "supplementalGroups": [3003], "fsGroup": 4004},
        ),
        pod(
            "unprivileged",
            container(
                image,
                "grep NoNewPrivs /proc/self/status; ip link add dummy0 type dummy 2>/dev/null || echo refused",
                securityContext={"privileged": False, "allowPrivilegeEscalation": False, "runAsUser": 1000},
            ),
        ),
        pod("user", container(image, "id -u; id -g", securityContext={"runAsUser": 1001, "runAsGroup": 2002})),
        pod("on-failure", container(image, "test -e /v/x && exit 0; touch /v/x; exit 1",
            volumeMounts=[{"name": "v", "mountPath": "/v"}]), restartPolicy="OnFailure",
            volumes=[{"name": "v", "emptyDir": {}}]),
    ]  # fmt: skip
    pods[0]["spec"]["containers"][0].pop("command")
    pods[1]["metadata"]["annotations"] = {"note": "noted"}
    return {each["metadata"]["name"]: each for each in pods}


@pytest.fixture(scope="module")
def finished(api: Rest, space: str, image: str) -> str:
    """The path of pods that were all created and end in their own time."""
    inside = f"/api/v1/namespaces/{space}"
    api.create(
        f"{inside}/configmaps", {"metadata": {"name": "settings"}, "data": {"data-1": "value-1", "data-2": "v2"}}
    )
    api.create(f"{inside}/secrets", {"metadata": {"name": "hidden"}, "stringData": {"data-1": "secret-1"}})
    for document in _finished(image).values():
        api.create(f"{inside}/pods", document)
    return f"{inside}/pods"


class Ended:
    """A pod that ended: its status and what it printed."""

    def __init__(self, document: Document, lines: list[str]) -> None:
        self.status: dict[str, Any] = document["status"]
        self.metadata: dict[str, Any] = document["metadata"]
        self.lines = lines

    @property
    def terminated(self) -> dict[str, Any]:
        """How the only container ended."""
        state: dict[str, Any] = self.status["containerStatuses"][0]["state"]["terminated"]
        return state


async def _ended(api: Rest, pods: str, name: str) -> Ended:
    def ended() -> Document:
        document = api.get(f"{pods}/{name}")
        if document["status"]["phase"] not in {"Succeeded", "Failed"}:
            raise NotYet(f"{name}: {document['status']}")
        return document

    document = await until(ended, timeout=90, every=0.1)
    return Ended(document, api.request("GET", f"{pods}/{name}/log").text.splitlines())


async def test_arguments_without_a_command(api: Rest, finished: str) -> None:
    assert (await _ended(api, finished, "args")).lines == ["only args"]


async def test_fields_of_the_pod_in_the_environment(api: Rest, finished: str) -> None:
    ended = await _ended(api, finished, "fields")
    values = dict(line.partition("=")[::2] for line in ended.lines)
    assert values["POD_NAME"] == "fields"
    assert values["POD_NAMESPACE"] == ended.metadata["namespace"]
    assert values["POD_UID"] == ended.metadata["uid"]
    assert values["POD_IP"] == values["POD_IPS"] == ended.status["podIP"]
    assert values["HOST_IP"] == values["HOST_IPS"] == ended.status["hostIP"]
    assert (values["LABEL"], values["NOTE"], values["ACCOUNT"]) == ("fields", "noted", "default")
    assert values["NODE"]


async def test_resources_in_the_environment(api: Rest, finished: str) -> None:
    lines = (await _ended(api, finished, "resources")).lines
    assert "limits_cpu=1" in lines
    assert "limits_memory=67108864" in lines
    assert "requests_cpu=1" in lines
    assert "requests_memory=33554432" in lines


async def test_expansion(api: Rest, finished: str) -> None:
    lines = (await _ended(api, finished, "expansion")).lines
    assert lines[0] == "foo;;bar $(FOO)"
    assert {"FOOBAR=foo;;bar", "ESCAPED=$(FOO)", "UNKNOWN=$(NOWHERE)"} <= set(lines)


async def test_configmaps_and_secrets_in_the_environment(api: Rest, finished: str) -> None:
    lines = (await _ended(api, finished, "environment")).lines
    assert {"ONE=value-1", "SECRET=secret-1"} <= set(lines)
    assert {"data-1=value-1", "data-2=v2", "p-data-1=value-1", "p-data-2=v2", "S_data-1=secret-1"} <= set(lines)
    assert not [line for line in lines if line.startswith("ABSENT")]


async def test_termination_messages(api: Rest, finished: str) -> None:
    assert (await _ended(api, finished, "message-file")).terminated["message"] == "DONE"
    assert "message" not in (await _ended(api, finished, "message-log-ok")).terminated
    assert (await _ended(api, finished, "message-log-bad")).terminated["message"] == "DONE"
    assert (await _ended(api, finished, "message-path")).terminated["message"] == "DONE"


async def test_init_containers_run_in_order_and_to_their_end(api: Rest, finished: str) -> None:
    ended = await _ended(api, finished, "init")
    assert ended.lines == ["first", "second"]
    assert ended.status["phase"] == "Succeeded"
    assert [each["state"]["terminated"]["reason"] for each in ended.status["initContainerStatuses"]] == [
        "Completed"
    ] * 2
    conditions = {each["type"]: each for each in ended.status["conditions"]}
    assert (conditions["Initialized"]["status"], conditions["Initialized"]["reason"]) == ("True", "PodCompleted")


async def test_an_init_container_that_fails_ends_the_pod(api: Rest, finished: str) -> None:
    def failed() -> Document:
        document = api.get(f"{finished}/init-fails")
        if document["status"]["phase"] != "Failed":
            raise NotYet(str(document["status"]))
        return document

    status = (await until(failed, timeout=90))["status"]
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 1
    assert "waiting" in status["initContainerStatuses"][1]["state"]
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    conditions = {each["type"]: each for each in status["conditions"]}
    assert conditions["Initialized"]["status"] == "False"


async def test_security_of_a_container(api: Rest, finished: str) -> None:
    ended = await _ended(api, finished, "read-only")
    assert ended.status["phase"] == "Failed"
    assert "Read-only file system" in "".join(ended.lines)
    assert (await _ended(api, finished, "user")).lines == ["1001", "2002"]
    group, groups = (await _ended(api, finished, "group")).lines
    assert group == "2002"
    assert {"3003", "4004"} <= set(groups.split())
    assert (await _ended(api, finished, "unprivileged")).lines == ["NoNewPrivs:\t1", "refused"]


async def test_restart_on_failure(api: Rest, finished: str) -> None:
    ended = await _ended(api, finished, "on-failure")
    assert ended.status["phase"] == "Succeeded"
    assert ended.status["containerStatuses"][0]["restartCount"] == 1


def _probe(**how: Any) -> Document:
    return {"periodSeconds": 1, "failureThreshold": 1, **how}


def _lasting(image: str) -> list[Document]:
    """Pods that stay."""
    serve = "mkdir -p /tmp/www; echo ok > /tmp/www/healthz; exec httpd -f -p 8080 -h /tmp/www"
    vanishing = f"touch /tmp/health; (sleep 2; rm /tmp/health) & {SLEEP}"
    healthy = _probe(exec={"command": ["cat", "/tmp/health"]})
    http = _probe(httpGet={"path": "/healthz", "port": 8080})
    missing = _probe(httpGet={"path": "/gone", "port": 8080}, initialDelaySeconds=1)
    always: dict[str, Any] = {"restartPolicy": "Always"}
    return [
        pod("live-exec", container(image, vanishing, livenessProbe=healthy), **always),
        pod("live-http", container(image, serve, livenessProbe={**http, "initialDelaySeconds": 1}), **always),
        pod("live-http-bad", container(image, serve, livenessProbe=missing), **always),
        pod("live-tcp", container(image, serve, livenessProbe=_probe(tcpSocket={"port": 8080}, initialDelaySeconds=1)), **always),
        pod("ready-late", container(image, serve, readinessProbe={**http, "initialDelaySeconds": 3}), **always),
        pod("ready-never", container(image, readinessProbe=_probe(exec={"command": ["false"]})), **always),
        pod("init-loops", container(image), initContainers=[container(image, "exit 1", "broken")], **always),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def lasting(api: Rest, space: str, image: str) -> str:
    """The path of pods with probes."""
    pods = f"/api/v1/namespaces/{space}/pods"
    for document in _lasting(image):
        api.create(pods, document)
    return pods


def _status(api: Rest, pods: str, name: str) -> dict[str, Any]:
    statuses = api.get(f"{pods}/{name}")["status"].get("containerStatuses") or [{"restartCount": 0, "ready": False}]
    status: dict[str, Any] = statuses[0]
    return status


def _ready(api: Rest, pods: str, name: str) -> bool:
    return bool(_status(api, pods, name)["ready"])


@pytest.mark.parametrize("name", ["live-exec", "live-http-bad"])
async def test_a_dead_container_is_restarted(api: Rest, lasting: str, name: str) -> None:
    await until(lambda: _status(api, lasting, name)["restartCount"] >= 1, timeout=60)
    events = f"{lasting.removesuffix('pods')}events"

    def told() -> bool:
        found = api.get(events, fieldSelector=f"involvedObject.name={name}")["items"]
        return {"Unhealthy", "Killing"} <= {each["reason"] for each in found}

    await until(told)


async def test_readiness_is_late_or_never(api: Rest, lasting: str) -> None:
    await until(lambda: _status(api, lasting, "ready-late")["ready"], timeout=60)
    document = api.get(f"{lasting}/ready-late")
    (ready,) = (each for each in document["status"]["conditions"] if each["type"] == "Ready")
    started = document["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    # Times have whole seconds.
    assert int(ready["lastTransitionTime"][-3:-1]) - int(started[-3:-1]) in {*range(2, 60), *range(-58, -1)}
    never = _status(api, lasting, "ready-never")
    assert (never["ready"], never["restartCount"], never["started"]) == (False, 0, True)


async def test_a_healthy_container_is_left_alone(api: Rest, lasting: str) -> None:
    for name in ("live-http", "live-tcp"):
        await until(partial(_ready, api, lasting, name), timeout=60)
        assert _status(api, lasting, name)["restartCount"] == 0


async def test_a_pod_waits_while_its_init_container_fails(api: Rest, lasting: str) -> None:
    def restarted() -> Document:
        status: Document = api.get(f"{lasting}/init-loops")["status"]
        if (status.get("initContainerStatuses") or [{"restartCount": 0}])[0]["restartCount"] < 1:
            raise NotYet(str(status))
        return status

    status = await until(restarted, timeout=60)
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"


async def test_hooks_run_before_and_after(api: Rest, space: str, image: str) -> None:
    pods = f"/api/v1/namespaces/{space}/pods"
    mount = [{"name": "v", "mountPath": "/v"}]
    hooks = {
        "postStart": {"exec": {"command": ["sh", "-c", "echo started > /v/hooks"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo stopping >> /v/hooks"]}},
    }
    script = "trap 'cat /v/hooks > /dev/termination-log; exit 0' TERM; sleep 3600 & wait"
    body = pod(
        "hooks", container(image, script, lifecycle=hooks, volumeMounts=mount), volumes=[{"name": "v", "emptyDir": {}}]
    )
    body["metadata"]["finalizers"] = ["example.com/look"]
    body["spec"]["terminationGracePeriodSeconds"] = 10
    api.create(pods, body)
    await until(lambda: _status(api, pods, "hooks")["ready"], timeout=60)
    api.delete(f"{pods}/hooks")

    def ended() -> Any:
        return _status(api, pods, "hooks")["state"].get("terminated")

    assert (await until(ended))["message"] == "started\nstopping\n"
    api.patch(f"{pods}/hooks", {"metadata": {"finalizers": None}})


def test_a_secret_is_what_it_was(api: Rest, space: str, finished: str) -> None:
    assert finished
    data = api.get(f"/api/v1/namespaces/{space}/secrets/hidden")["data"]
    assert base64.b64decode(data["data-1"]) == b"secret-1"
