"""kubectl on pods that run on the real engine: describe, scale, set image, rollout, logs, wait, delete."""

from __future__ import annotations

import re
import time

import pytest

from tests.conformance.manifests import deployment, pod
from tests.support.kubectl import Kubectl
from tests.support.wait import until

pytestmark = pytest.mark.docker
PATIENCE = "--timeout=60s"


def test_a_node_is_ready(kubectl: Kubectl) -> None:
    assert kubectl("wait", "node/test-node", "--for=condition=Ready", PATIENCE) == "node/test-node condition met"
    header, row = kubectl("get", "nodes").splitlines()
    assert header.split() == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert row.split()[:2] == ["test-node", "Ready"]
    text = kubectl("describe", "node", "test-node")
    for word in (
        "Conditions:",
        "Capacity:",
        "Allocatable:",
        "Non-terminated Pods:",
        "Allocated resources:",
        "HolderIdentity:",
    ):
        assert word in text


def test_a_deployment_from_apply_to_delete(kubectl: Kubectl, image: str) -> None:
    kubectl("apply", "-f", "-", stdin=deployment("web", image, replicas=2))
    assert kubectl("rollout", "status", "deployment/web", PATIENCE).endswith('deployment "web" successfully rolled out')
    assert kubectl("wait", "deployment/web", "--for=condition=Available", PATIENCE).endswith("condition met")
    header, row = kubectl("get", "deployment").splitlines()
    assert header.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row.split()[:4] == ["web", "2/2", "2", "2"]
    header, *rows = kubectl("get", "pods").splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [row.split()[1:4] for row in rows] == [["1/1", "Running", "0"]] * 2
    wide = kubectl("get", "pods", "-o", "wide").splitlines()
    assert wide[0].split()[5:7] == ["IP", "NODE"]
    assert all(re.search(r" \d+\.\d+\.\d+\.\d+ +test-node ", row) for row in wide[1:])
    assert (
        kubectl("delete", "deployment", "web", PATIENCE)
        == f'deployment.apps "web" deleted from {kubectl.namespace} namespace'
    )
    kubectl("wait", "pods", "--all", "--for=delete", PATIENCE)
    assert kubectl("get", "pods,replicasets", "-o", "name") == ""


def test_scale_and_set_image_and_undo(kubectl: Kubectl, image: str) -> None:
    kubectl("apply", "-f", "-", stdin=deployment("web", image))
    assert kubectl("scale", "deployment/web", "--replicas=3") == "deployment.apps/web scaled"
    kubectl("rollout", "status", "deployment/web", PATIENCE)
    assert len(kubectl("get", "pods", "-o", "name", "--field-selector=status.phase=Running").split()) == 3
    refused = kubectl.attempt("scale", "deployment/web", "--current-replicas=7", "--replicas=1")
    assert refused.code == 1
    kubectl("scale", "deployment/web", "--replicas=1")
    assert kubectl("set", "image", "deployment/web", "main=missing.local/none:1") == "deployment.apps/web image updated"
    assert kubectl("rollout", "history", "deployment/web").splitlines()[-1].split()[0] == "2"
    assert kubectl("rollout", "undo", "deployment/web") == "deployment.apps/web rolled back"
    kubectl("rollout", "status", "deployment/web", PATIENCE)
    assert kubectl.json("get", "deployment", "web")["spec"]["template"]["spec"]["containers"][0]["image"] == image
    assert kubectl("rollout", "restart", "deployment/web") == "deployment.apps/web restarted"
    kubectl("rollout", "status", "deployment/web", PATIENCE)


async def test_describe_shows_events_and_states(kubectl: Kubectl, image: str) -> None:
    kubectl("apply", "-f", "-", stdin=deployment("web", image))
    kubectl("rollout", "status", "deployment/web", PATIENCE)
    text = kubectl("describe", "deployment", "web")
    assert re.search(r"Replicas: +1 desired \| 1 updated \| 1 total \| 1 available \| 0 unavailable", text)
    text = kubectl("describe", "pod", "-l", "app=web")
    for word in ("Status:           Running", "Container ID:  docker://", "Ready:          True", "PodScheduled"):
        assert word in text

    def told() -> bool:
        """Events are written behind the work, in batches."""
        text = kubectl("describe", "pod", "-l", "app=web") + kubectl("describe", "deployment", "web")
        for reason in ("Scheduled", "Created", "Started", "ScalingReplicaSet"):
            assert re.search(rf"Normal +{reason} ", text), text
        return True

    await until(told)
    assert "Successfully assigned" in kubectl("events", "--for", kubectl("get", "pods", "-o", "name"))


async def test_a_pod_that_fits_nowhere_says_why(kubectl: Kubectl, image: str) -> None:
    big = pod("big", image, "true", resources={"requests": {"cpu": "10000"}})
    kubectl("apply", "-f", "-", stdin=big)
    await until(lambda: "0/1 nodes are available: 1 Insufficient cpu" in kubectl("describe", "pod", "big"))
    assert kubectl("get", "pod", "big", "--no-headers").split()[2] == "Pending"


def test_logs(kubectl: Kubectl, image: str) -> None:
    kubectl(
        "apply",
        "-f",
        "-",
        stdin=pod("talker", image, "for i in 1 2 3; do echo line $i; done; sleep 0.3; echo error >&2"),
    )
    kubectl("wait", "pod/talker", "--for=jsonpath={.status.phase}=Succeeded", PATIENCE)
    assert kubectl("logs", "talker").splitlines() == ["line 1", "line 2", "line 3", "error"]
    assert kubectl("logs", "talker", "--tail=1") == "error"
    assert re.match(r"\d{4}-\d\d-\d\dT\S+Z line 1\n", kubectl("logs", "talker", "--timestamps"))
    assert kubectl("logs", "talker", "--limit-bytes=6") == "line 1"
    missing = kubectl.attempt("logs", "talker", "-c", "other")
    assert "container other is not valid for pod talker" in missing.err
    assert kubectl("get", "pod", "talker", "--no-headers").split()[1:3] == ["0/1", "Completed"]


async def test_logs_follow_what_is_written(kubectl: Kubectl, image: str) -> None:
    script = "i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.2; done"
    kubectl("apply", "-f", "-", stdin=deployment("clock", image, script=f"({script})"))
    kubectl("rollout", "status", "deployment/clock", PATIENCE)
    with kubectl.started("logs", "-f", "deployment/clock") as follow:
        assert follow.stdout is not None
        lines = [follow.stdout.readline().strip() for _ in range(8)]
    assert lines == [f"tick {number}" for number in range(1, 9)]


def test_logs_of_the_previous_container(kubectl: Kubectl, image: str) -> None:
    script = "echo $(cat /proc/sys/kernel/random/uuid) >&2; exit 3"
    kubectl("apply", "-f", "-", stdin=pod("crasher", image, script, restart="Always"))
    kubectl("wait", "pod/crasher", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1", PATIENCE)
    status = kubectl.json("get", "pod", "crasher")["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert len(kubectl("logs", "crasher", "--previous")) == 36


def test_a_crashing_pod_shows_it(kubectl: Kubectl, image: str) -> None:
    kubectl("apply", "-f", "-", stdin=pod("crasher", image, "exit 1", restart="Always"))
    waiting = "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff"
    kubectl("wait", "pod/crasher", waiting, PATIENCE)
    assert kubectl("get", "pod", "crasher", "--no-headers").split()[2] in {"CrashLoopBackOff", "Error", "Running"}


def test_wait_gives_up(kubectl: Kubectl, image: str) -> None:
    kubectl("apply", "-f", "-", stdin=pod("sleeper", image, "sleep 60"))
    start = time.monotonic()
    refused = kubectl.attempt("wait", "pod/sleeper", "--for=condition=Never", "--timeout=1s")
    assert refused.code == 1
    assert "timed out waiting for the condition" in refused.err
    assert time.monotonic() - start < 30


def test_a_pod_is_deleted_with_its_grace_and_without(kubectl: Kubectl, image: str) -> None:
    kubectl("apply", "-f", "-", stdin=pod("a", image, "trap 'exit 0' TERM; sleep 3600 & wait"))
    kubectl("wait", "pod/a", "--for=condition=Ready", PATIENCE)
    assert kubectl("delete", "pod", "a", PATIENCE) == f'pod "a" deleted from {kubectl.namespace} namespace'
    kubectl("apply", "-f", "-", stdin=pod("a", image, "sleep 3600"))
    forced = kubectl.attempt("delete", "pod", "a", "--grace-period=0", "--force")
    assert forced.code == 0
    assert kubectl("get", "pods", "-o", "name") == ""
