"""What the books have readers do with pods and services: crash, wait, serve, fall out of a service, be switched."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

import pytest

from tests.conformance.traffic import PORT, ask, ask_from_node, client, look_up, server
from tests.conformance.workloads import SLEEP, container, pod, replication_controller, running
from tests.support.docker import docker
from tests.support.kubectl import Kubectl
from tests.support.rest import Document, Rest
from tests.support.wait import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

PATIENCE = "--timeout=90s"
STATUSES = (199, 200, 399, 400)


def _service(name: str, selector: Document, **spec: Any) -> Document:
    ports = [{"port": 80, "targetPort": PORT}]
    return {"metadata": {"name": name}, "spec": {"selector": selector, "ports": ports, **spec}}


def _answering(image: str, status: int) -> Document:
    """A server whose every answer has this status, with a liveness probe that asks it."""
    answer = f"printf 'HTTP/1.0 {status} X\\r\\nContent-Length: 0\\r\\n\\r\\n'"
    script = f'echo "#!/bin/sh" > /tmp/a; echo "{answer}" >> /tmp/a; chmod +x /tmp/a; exec nc -ll -p 8080 -e /tmp/a'
    probe = {
        "httpGet": {"path": "/status/", "port": 8080},
        "initialDelaySeconds": 1,
        "periodSeconds": 1,
        "failureThreshold": 2,
    }
    return pod(f"status-{status}", container(image, script, livenessProbe=probe), restartPolicy="Always")


@pytest.fixture(scope="module")
def root(api: Rest, shared: Kubectl, space: str, image: str) -> str:
    """The namespace's path. What waits or talks in it was started together."""
    path = f"/api/v1/namespaces/{space}"
    api.create(f"{path}/configmaps", {"metadata": {"name": "settings"}, "data": {"DBHOST": "old"}})
    api.create(f"{path}/services", _service("early", {"app": "none"}))
    mount = [{"name": "v", "mountPath": "/v"}]
    talk = f"echo shared > /v/file; echo both > /tmp/index.html; trap 'exit 0' TERM; httpd -f -p {PORT} -h /tmp & wait"
    two = pod(
        "two",
        container(image, talk, "web", volumeMounts=mount),
        container(image, SLEEP, "beside", volumeMounts=mount),
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    waits = container(image, "until nslookup -type=a awaited.$NS.svc.cluster.local >/dev/null; do sleep 0.2; done", "pingdb",
                      env=[{"name": "NS", "value": space}])  # fmt: skip
    probe = {"exec": {"command": ["test", "!", "-e", "/tmp/away"]}, "periodSeconds": 1, "failureThreshold": 1}
    turning = server(image, "turning", app="turning")
    turning["spec"]["containers"][0]["readinessProbe"] = probe
    source = [{"configMapRef": {"name": "settings"}}]
    crashing = pod("crashing", container(image, SLEEP, envFrom=source, volumeMounts=mount), restartPolicy="Always",
                   volumes=[{"name": "v", "emptyDir": {}}])  # fmt: skip
    made = [two, pod("waits", container(image), initContainers=[waits]), turning, crashing, client(image),
            server(image, "v1", app="colours"), server(image, "v2", app="colours")]  # fmt: skip
    for each, version in zip(made[-2:], ("1", "2"), strict=True):
        each["metadata"]["labels"]["version"] = version
    for document in (*made, *(_answering(image, status) for status in STATUSES)):
        api.create(f"{path}/pods", document)
    return path


def _status(api: Rest, root: str, name: str) -> Document:
    statuses = api.get(f"{root}/pods/{name}")["status"].get("containerStatuses") or [
        {"ready": False, "restartCount": 0}
    ]
    found: Document = statuses[0]
    return found


def _ready(api: Rest, root: str, name: str) -> bool:
    return bool(_status(api, root, name)["ready"])


async def test_two_containers_share_an_address_and_a_folder(api: Rest, shared: Kubectl, root: str) -> None:
    """And their host name; ``exec`` goes to the first, or to the one that is named."""
    shared("wait", "--for=condition=Ready", "pod/two", "pod/client", PATIENCE)
    asked = f'printf "GET / HTTP/1.0\\r\\n\\r\\n" | nc -w 2 localhost {PORT} | tail -1'
    assert shared("exec", "two", "-c", "beside", "--", "sh", "-c", asked) == "both"
    assert shared("exec", "two", "-c", "beside", "--", "cat", "/v/file") == "shared"
    address = api.get(f"{root}/pods/two")["status"]["podIP"]
    assert ask(shared, "client", address, PORT) == ["both"]
    for words in ([], ["-c", "beside"]):
        assert address in shared("exec", "two", *words, "--", "ip", "addr")
        assert shared("exec", "two", *words, "--", "hostname") == "two"
    defaulted = shared.attempt("exec", "two", "--", "ps")
    assert "httpd" in defaulted.out
    assert "Defaulted container" in defaulted.err
    mode = shared("exec", "two", "--", "ls", "-ld", "/v")
    assert mode.startswith("drwxrwxrwx"), mode


async def test_a_container_that_is_removed_comes_back(api: Rest, shared: Kubectl, root: str) -> None:
    """``docker rm -f``: a new container in the same pod, with its volume; its environment is that of its start."""
    await until(partial(_ready, api, root, "crashing"), timeout=90)
    before, address = _status(api, root, "crashing"), api.get(f"{root}/pods/crashing")["status"]["podIP"]
    shared("exec", "crashing", "--", "touch", "/v/kept")
    api.patch(f"{root}/configmaps/settings", {"data": {"DBHOST": "new"}})
    assert shared("exec", "crashing", "--", "sh", "-c", "echo $DBHOST") == "old"
    identity = before["containerID"].removeprefix("docker://")
    docker("rm", "-f", identity)

    def back() -> bool:
        now = _status(api, root, "crashing")
        assert now["ready"], now
        assert now["containerID"] != before["containerID"], now
        return True

    await until(back, timeout=60)
    assert api.get(f"{root}/pods/crashing")["status"]["podIP"] == address
    assert shared("exec", "crashing", "--", "ls", "/v") == "kept"
    assert shared("exec", "crashing", "--", "sh", "-c", "echo $DBHOST") == "new"
    assert re.search(r"Started +\S+ \(x2 over", shared("describe", "pod", "crashing"))


async def test_a_pod_waits_for_what_it_needs(api: Rest, shared: Kubectl, root: str) -> None:
    """``Init:0/1`` until the service is there whose name its init container asks for."""
    await until(lambda: shared("get", "pod", "waits", "--no-headers").split()[1:3] == ["0/1", "Init:0/1"], timeout=60)
    assert shared("logs", "waits", "-c", "pingdb") == ""
    assert "is waiting to start: PodInitializing" in shared.attempt("logs", "waits").err
    api.create(f"{root}/services", _service("awaited", {"app": "turning"}))
    await until(lambda: shared("get", "pod", "waits", "--no-headers").split()[1:3] == ["1/1", "Running"], timeout=60)


async def test_which_statuses_are_well(api: Rest, shared: Kubectl, root: str) -> None:
    """200 to 399; others end the container, and the event says what was answered."""

    def restarted(status: int) -> bool:
        return int(_status(api, root, f"status-{status}")["restartCount"]) > 0

    for status in (199, 400):
        await until(partial(restarted, status), timeout=60)
    for status in (200, 399):
        assert _status(api, root, f"status-{status}")["restartCount"] == 0
        assert _ready(api, root, f"status-{status}")
    described = shared("describe", "pod", "status-400")
    assert "Liveness probe failed: HTTP probe failed with statuscode: 400" in described
    assert "Container main failed liveness probe, will be restarted" in described


async def test_a_pod_that_is_not_ready_is_out_of_its_service(api: Rest, shared: Kubectl, root: str) -> None:
    """It runs on, is named among those that are not ready, and comes back; nothing is restarted."""
    address = api.create(f"{root}/services", _service("turned", {"app": "turning"}))["spec"]["clusterIP"]
    await until(lambda: ask(shared, "client", address, 80) == ["turning"], timeout=60)
    host = api.get(f"{root}/pods/turning")["status"]["podIP"]
    shared("exec", "turning", "--", "touch", "/tmp/away")
    await until(lambda: re.search(rf"NotReadyAddresses: +{host}$", shared("describe", "ep", "turned"), re.MULTILINE))
    await until(lambda: ask(shared, "client", address, 80) == [""])
    assert "Readiness probe failed" in shared("describe", "pod", "turning")
    shared("exec", "turning", "--", "rm", "/tmp/away")
    await until(lambda: ask(shared, "client", address, 80) == ["turning"])
    assert _status(api, root, "turning")["restartCount"] == 0
    # A service answers at its ports only.
    assert "100% packet loss" in shared.attempt("exec", "client", "--", "ping", "-c", "1", "-W", "1", address).out


async def test_the_selector_switches_the_version(api: Rest, shared: Kubectl, root: str) -> None:
    """Both versions, then one, then the other; two services may select the same pods, and one goes alone."""
    address = api.create(f"{root}/services", _service("colours", {"app": "colours"}))["spec"]["clusterIP"]
    other = api.create(f"{root}/services", _service("colours-too", {"app": "colours"}))["spec"]["clusterIP"]

    def served(wanted: set[str], at: str = address) -> bool:
        found = set(ask(shared, "client", at, 80, times=12))
        assert found == wanted, found
        return True

    await until(partial(served, {"v1", "v2"}), timeout=60)
    for version in ("2", "1"):
        api.patch(f"{root}/services/colours", {"spec": {"selector": {"version": version}}})
        await until(partial(served, {f"v{version}"}))
    api.delete(f"{root}/services/colours")
    await until(lambda: ask(shared, "client", address, 80) == [""])
    assert served({"v1", "v2"}, other)
    space = root.rpartition("/")[2]
    assert "can't find" in look_up(shared, "client", f"colours.{space}.svc.cluster.local")


def test_one_pod_is_exposed(api: Rest, shared: Kubectl, root: str) -> None:
    assert api.get(f"{root}/pods/two")
    words = ["--port=80", f"--target-port={PORT}", "--name=testing-vip", "--type=LoadBalancer", "--selector=name=two"]
    assert shared("expose", "pods/two", *words) == "service/testing-vip exposed"
    spec = api.get(f"{root}/services/testing-vip")["spec"]
    assert (spec["type"], spec["selector"], spec["ports"][0]["port"]) == ("LoadBalancer", {"name": "two"}, 80)
    assert spec["ports"][0]["nodePort"]
    assert "testing-vip" in shared("get", "services")


async def test_ports_and_addresses_that_are_chosen(api: Rest, shared: Kubectl, root: str) -> None:
    """A node port and an address of one's own; what is taken or out of range is refused in Kubernetes' words."""
    shared("wait", "--for=condition=Ready", "pod/two", "pod/client", PATIENCE)
    free = api.create(f"{root}/services", _service("first", {"name": "two"}, type="NodePort"))["spec"]
    address, number = free["clusterIP"], free["ports"][0]["nodePort"]
    api.delete(f"{root}/services/first")
    ports = [{"port": 90, "targetPort": PORT, "nodePort": number}]
    body = _service("chosen", {"name": "two"}, type="NodePort", clusterIP=address, ports=ports)
    made = api.create(f"{root}/services", body)["spec"]
    assert (made["clusterIP"], made["ports"][0]["nodePort"]) == (address, number)
    await until(lambda: ask(shared, "client", address, 90) == ["both"])
    node = api.get("/api/v1/nodes/test-node")["status"]["addresses"][0]["address"]
    assert ask_from_node(node, number) == "both"
    taken = _service("second", {}, type="NodePort", ports=ports)
    assert "provided port is already allocated" in api.request("POST", f"{root}/services", taken).refused(422)
    away = _service("third", {}, type="NodePort", ports=[{"port": 80, "nodePort": 3000}])
    refusal = api.request("POST", f"{root}/services", away).refused(422)
    assert "provided port is not in the valid range. The range of valid ports is 30000-32767" in refusal
    held = _service("fourth", {}, clusterIP=address)
    assert "provided IP is already allocated" in api.request("POST", f"{root}/services", held).refused(422)


async def test_variables_of_services_that_were_there(api: Rest, shared: Kubectl, root: str, space: str) -> None:
    """All seven; none of a service that came later."""
    shared("wait", "--for=condition=Ready", "pod/client", PATIENCE)
    api.create(f"{root}/services", _service("late", {}))
    address = api.get(f"{root}/services/early")["spec"]["clusterIP"]
    found = dict(line.partition("=")[::2] for line in shared("exec", "client", "--", "env").splitlines())
    assert {name: value for name, value in found.items() if name.startswith("EARLY_")} == {
        "EARLY_SERVICE_HOST": address,
        "EARLY_SERVICE_PORT": "80",
        "EARLY_PORT": f"tcp://{address}:80",
        "EARLY_PORT_80_TCP": f"tcp://{address}:80",
        "EARLY_PORT_80_TCP_PROTO": "tcp",
        "EARLY_PORT_80_TCP_PORT": "80",
        "EARLY_PORT_80_TCP_ADDR": address,
    }
    assert not [name for name in found if name.startswith("LATE_")]


async def test_a_controller_keeps_its_number(api: Rest, shared: Kubectl, root: str, image: str) -> None:
    """Up and down; what is replaced leaves its pods alone, and what comes later is of the new template."""
    path = f"{root}/replicationcontrollers"
    api.create(path, replication_controller("kept", running(image), replicas=2))

    def names(count: int) -> set[str]:
        found = {
            each["metadata"]["name"]
            for each in api.get(f"{root}/pods", labelSelector="app=kept")["items"]
            if "deletionTimestamp" not in each["metadata"]
        }
        assert len(found) == count, found
        return found

    first = await until(partial(names, 2), timeout=60)
    shared("wait", "--for=condition=Ready", "pod", "-l", "app=kept", PATIENCE)
    extra = pod("extra", container(image), labels={"app": "kept"})
    api.create(f"{root}/pods", extra)
    await until(partial(api.missing, f"{root}/pods/extra"), timeout=60)
    assert names(2) == first

    def relabel(document: Document) -> None:
        document["spec"]["template"]["metadata"]["labels"]["new"] = "yes"

    api.change(f"{path}/kept", relabel)
    assert names(2) == first
    gone = sorted(first)[0]
    api.delete(f"{root}/pods/{gone}")
    await until(lambda: api.names(f"{root}/pods", labelSelector="app=kept,new=yes"))
    wrong = replication_controller("wrong", running(image))
    wrong["spec"]["selector"] = {"app": "wrong", "deployment": "demo"}
    refusal = api.request("POST", path, wrong).refused(422)
    assert "`selector` does not match template `labels`" in refusal
    assert 'replicationcontroller "kept" deleted' in shared("delete", "rc/kept")
    await until(lambda: not api.names(f"{root}/pods", labelSelector="app=kept"), timeout=60)


async def test_a_pod_is_bound_by_hand_or_by_name(api: Rest, shared: Kubectl, root: str, image: str) -> None:
    """POST of a Binding in place of a scheduler, and ``nodeName`` without one."""
    api.create(f"{root}/pods", pod("by-hand", container(image), schedulerName="nobody"))
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "by-hand"},
        "target": {"kind": "Node", "name": "test-node"},
    }
    api.create(f"{root}/pods/by-hand/binding", binding)
    api.create(f"{root}/pods", pod("by-name", container(image), nodeName="test-node", schedulerName="nobody"))
    shared("wait", "--for=condition=Ready", "pod/by-hand", "pod/by-name", PATIENCE)
    assert "Scheduled" not in shared("describe", "pod", "by-name").partition("Events:")[2]


def test_logs_of_a_time(shared: Kubectl, root: str, image: str) -> None:
    """``--since=1s`` and ``--since=24h``."""
    shared("apply", "-f", "-", stdin=json.dumps(pod("speaks", container(image, f"echo once; sleep 2; {SLEEP}"))))
    shared("wait", "--for=condition=Ready", "pod/speaks", PATIENCE)
    assert shared("logs", "speaks", "--since=24h") == "once"
    shared("exec", "speaks", "--", "sleep", "1.5")
    assert shared("logs", "speaks", "--since=1s") == ""
    shared("delete", "pod", "speaks", "--now")
