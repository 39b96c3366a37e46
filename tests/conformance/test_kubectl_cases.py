"""Kubernetes' own kubectl conformance cases: describe, label, patch, replace, run, expose, dry-run, logs, proxy, guest book."""

from __future__ import annotations

import json
import re
import socket
import urllib.request
from pathlib import Path

import pytest

from tests.conformance.manifests import deployment, pod
from tests.conformance.workloads import nowhere, replicaset
from tests.support.kubectl import Kubectl
from tests.support.wait import until

pytestmark = pytest.mark.docker
PATIENCE = "--timeout=60s"
STAY = "trap 'exit 0' TERM; sleep 3600 & wait"


@pytest.fixture(scope="module")
def pause(shared: Kubectl, image: str) -> str:
    """The name of a pod that runs."""
    shared("apply", "-f", "-", stdin=pod("pause", image, STAY))
    shared("wait", "pod/pause", "--for=condition=Ready", PATIENCE)
    return "pause"


def test_label_and_unlabel(shared: Kubectl, pause: str) -> None:
    shared("label", "pods", pause, "testing-label=testing-label-value")
    header, row = shared("get", "pod", pause, "-L", "testing-label").splitlines()
    assert header.split()[-1] == "TESTING-LABEL"
    assert row.split()[-1] == "testing-label-value"
    refused = shared.attempt("label", "pods", pause, "testing-label=another")
    assert "already has a value (testing-label-value), and --overwrite is false" in refused.err
    shared("label", "pods", pause, "testing-label-")
    assert "testing-label-value" not in shared("get", "pod", pause, "-L", "testing-label")
    assert shared("get", "pods", "-l", "testing-label", "-o", "name") == ""


def test_describe_everything(shared: Kubectl, pause: str) -> None:
    described = shared("describe", "pod", pause)
    for word in (
        "Name:             pause", "Namespace: ", "Node: ", "Labels: ", "Annotations: ", "Status:           Running", "IP: ",
        "Containers:", "Container ID: ", "Image: ", "State:          Running", "Ready:          True",
        "Restart Count:  0", "Conditions:", "QoS Class: ", "Events:",
    ):  # fmt: skip
        assert word in described
    shared("apply", "-f", "-", stdin=json.dumps(replicaset("described", nowhere())))
    shared("wait", "replicaset/described", "--for=jsonpath={.status.replicas}=1", PATIENCE)
    described = shared("describe", "replicaset", "described")
    for word in (
        "Selector:     app=described",
        "Replicas:     1 current / 1 desired",
        "Pods Status:  0 Running / 1 Waiting",
    ):
        assert word in described
    shared("create", "service", "clusterip", "described", "--tcp=6379:redis")
    described = shared("describe", "service", "described")
    for word in ("Selector:                 app=described", "Type:                     ClusterIP", "TargetPort:  "):
        assert word in described
    node = shared("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    for word in ("Name: ", "Labels: ", "Annotations: ", "CreationTimestamp: ", "Conditions:", "Type ", "System Info:"):
        assert word in shared("describe", "node", node)
    described = shared("describe", "namespace", shared.namespace)
    for word in ("Name:         ", "Labels:       kubernetes.io/metadata.name=", "Status:       Active"):
        assert word in described
    shared("delete", "replicaset/described", "service/described")


def test_run_replace_and_dry_run(shared: Kubectl, image: str) -> None:
    assert shared("run", "ran", f"--image={image}", "--image-pull-policy=Never", "--labels=run=e2e", "--restart=Never",
                  "--command", "--", "sh", "-c", STAY) == "pod/ran created"  # fmt: skip
    shared("wait", "pod/ran", "--for=condition=Ready", PATIENCE)
    (found,) = shared.json("get", "pods", "-l", "run=e2e")["items"]
    assert found["spec"]["containers"][0]["image"] == image
    patch = json.dumps({"spec": {"containers": [{"name": "ran", "image": "other.local/x:1"}]}})
    assert "patched" in shared("patch", "pod", "ran", "-p", patch, "--dry-run=server")
    assert shared("get", "pod", "ran", "-o", "jsonpath={.spec.containers[0].image}") == image
    read = shared("get", "pod", "ran", "-o", "json").replace(f'"image": "{image}"', f'"image": "{image[:-1]}2"')
    assert shared("replace", "-f", "-", stdin=read) == "pod/ran replaced"
    assert shared("get", "pod", "ran", "-o", "jsonpath={.spec.containers[0].image}") == f"{image[:-1]}2"
    forced = shared("replace", "--force", "--grace-period=0", "-f", "-", stdin=pod("ran", image, STAY))
    assert forced.splitlines()[-1] == "pod/ran replaced"
    shared("delete", "pod", "ran", "--now")


def test_expose(shared: Kubectl, image: str) -> None:
    shared("apply", "-f", "-", stdin=deployment("primary", image, ports=[{"containerPort": 6379}]))
    shared("expose", "deployment", "primary", "--name=rm2", "--port=1234", "--target-port=6379")
    shared("expose", "service", "rm2", "--name=rm3", "--port=2345", "--target-port=6379")
    for name, port in (("rm2", 1234), ("rm3", 2345)):
        spec = shared.json("get", "service", name)["spec"]
        assert [(each["port"], each["targetPort"]) for each in spec["ports"]] == [(port, 6379)]
        assert spec["selector"] == {"app": "primary"}
    shared("delete", "deployment/primary", "service/rm2", "service/rm3")


def test_patch_adds_annotations(shared: Kubectl, pause: str) -> None:
    shared("patch", "pod", pause, "-p", '{"metadata":{"annotations":{"x":"y"}}}')
    assert shared("get", "pod", pause, "-o", "jsonpath={.metadata.annotations.x}") == "y"
    shared("patch", "pod", pause, "--subresource=status", "--type=merge", "-p", '{"status":{"message":"seen"}}')


def test_versions(shared: Kubectl) -> None:
    assert "v1" in shared("api-versions").splitlines()
    text = shared("version")
    assert re.search(r"Client Version: v1\.\d+", text)
    assert re.search(r"Server Version: v1\.36\.", text)
    out = re.sub(r"\x1b\[[0-9;]*m", "", shared("cluster-info"))
    assert re.search(r"Kubernetes control plane is running at https://127\.0\.0\.1:\d+", out)


def test_proxy_on_a_free_port(shared: Kubectl) -> None:
    with shared.started("proxy", "--port=0") as process:
        assert process.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{found[1]}/api/", timeout=10) as answer:
            assert json.load(answer)["versions"] == ["v1"]


def test_proxy_on_a_unix_socket(shared: Kubectl, tmp_path: Path) -> None:
    path = tmp_path / "kubectl.sock"
    with shared.started("proxy", f"--unix-socket={path}") as process, socket.socket(socket.AF_UNIX) as client:
        assert process.stdout is not None
        assert str(path) in process.stdout.readline()
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(b"GET /api HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        text = b""
        while part := client.recv(65536):
            text += part
    assert b'"versions":["v1"]' in text.replace(b" ", b"")


def test_apply_keeps_and_shows_what_was_applied(shared: Kubectl, image: str) -> None:
    shared("apply", "-f", "-", stdin=deployment("applied", image, replicas=0))
    shared("scale", "deployment/applied", "--replicas=1")
    assert '"replicas": 0' in shared("apply", "view-last-applied", "deployment/applied", "-o", "json")
    diff = shared.attempt("diff", "-f", "-", stdin=deployment("applied", image, replicas=0))
    assert diff.code == 1
    assert "-  replicas: 1" in diff.out
    assert "+  replicas: 0" in diff.out
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept", "labels": {"none": "here"}}}
    allowed = "--prune-allowlist=core/v1/ConfigMap"
    pruned = shared("apply", "--prune", "-l", "none=here", allowed, "-f", "-", stdin=json.dumps(kept))
    assert "configmap/kept created" in pruned
    shared("delete", "deployment", "applied")


def test_get_all_and_sorting(shared: Kubectl, pause: str) -> None:
    assert f"pod/{pause}" in shared("get", "all")
    assert shared("get", "pods", "--sort-by=.metadata.creationTimestamp", "-o", "name").startswith("pod/")
    assert shared("get", "pods,services,deployments.v1.apps", "-o", "name")
    assert "Running" in shared("get", "pod", pause, "-o", "wide")


async def test_cordon_taint_and_drain(shared: Kubectl, image: str) -> None:
    node = shared("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    shared("cordon", node)
    try:
        assert "SchedulingDisabled" in shared("get", "node", node)
        shared("apply", "-f", "-", stdin=pod("kept-out", image, STAY))
        await until(lambda: "were unschedulable" in shared("describe", "pod", "kept-out"))
    finally:
        shared("uncordon", node)
    shared("wait", "pod/kept-out", "--for=condition=Ready", PATIENCE)
    assert "tainted" in shared("taint", "node", node, "testing=yes:NoSchedule")
    assert "testing=yes:NoSchedule" in shared("describe", "node", node)
    assert "untainted" in shared("taint", "node", node, "testing=yes:NoSchedule-")
    drained = shared("drain", node, "--force", "--pod-selector=app=never", "--dry-run=server")
    assert "drained" in drained
    shared("delete", "pod", "kept-out", "--now")


def test_rollout_history_pause_and_resume(shared: Kubectl, image: str) -> None:
    shared("apply", "-f", "-", stdin=deployment("history", image, replicas=0))
    shared("rollout", "status", "deployment/history", PATIENCE)
    assert shared("rollout", "pause", "deployment/history") == "deployment.apps/history paused"
    shared("set", "env", "deployment/history", "A=1")
    assert shared("rollout", "resume", "deployment/history") == "deployment.apps/history resumed"
    shared("rollout", "status", "deployment/history", PATIENCE)
    assert [line.split()[0] for line in shared("rollout", "history", "deployment/history").splitlines()[2:]] == [
        "1",
        "2",
    ]
    assert "A:\t1" in shared("rollout", "history", "deployment/history", "--revision=2")
    shared("delete", "deployment", "history")
