"""What a pod gets that says nothing."""

from typing import Any

import pytest

from moorage.resources.kind import Document
from tests.unit.resources.documents import edited, kind, pod, stored, workload

POD = kind("Pod")
CONTAINER = "spec/containers/0"


def container(edits: dict[str, Any]) -> Document:
    result: Document = stored(POD, edited(pod(), {f"{CONTAINER}/{path}": value for path, value in edits.items()}))[
        "spec"
    ]["containers"][0]
    return result


def test_the_least_pod() -> None:
    assert stored(POD, pod()) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "nginx:1.27",
                    "imagePullPolicy": "IfNotPresent",
                    "resources": {},
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                }
            ],
            "dnsPolicy": "ClusterFirst",
            "enableServiceLinks": True,
            "preemptionPolicy": "PreemptLowerPriority",
            "priority": 0,
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "serviceAccount": "default",
            "serviceAccountName": "default",
            "terminationGracePeriodSeconds": 30,
            "tolerations": [
                {
                    "key": f"node.kubernetes.io/{state}",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
                for state in ("not-ready", "unreachable")
            ],
        },
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }


def test_a_template_gets_less_than_a_pod() -> None:
    spec = stored(kind("Deployment", "apps"), workload("Deployment"))["spec"]["template"]["spec"]
    assert spec["schedulerName"] == "default-scheduler"
    assert not spec.keys() & {"enableServiceLinks", "tolerations", "serviceAccountName", "priority"}


def test_what_is_given_stays() -> None:
    given = {
        "dnsPolicy": "Default",
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "schedulerName": "mine",
        "securityContext": {"runAsUser": 5},
        "enableServiceLinks": False,
    }
    spec = stored(POD, pod(**given))["spec"]
    assert {name: spec[name] for name in given} == given
    mine = {
        "imagePullPolicy": "Never",
        "terminationMessagePath": "/x",
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    assert container(mine).items() >= mine.items()


def test_ports_speak_tcp() -> None:
    ports = [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]
    assert [port["protocol"] for port in container({"ports": ports})["ports"]] == ["TCP", "UDP"]


def test_probes() -> None:
    given = {"livenessProbe": {"httpGet": {"port": 80}}, "readinessProbe": {"grpc": {"port": 9}, "periodSeconds": 3}}
    probes = container(given)
    numbers = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    assert probes["livenessProbe"] == {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, **numbers}
    assert probes["readinessProbe"] == {"grpc": {"port": 9, "service": ""}, **numbers, "periodSeconds": 3}


def test_hooks() -> None:
    hooks = container(
        {"lifecycle": {"preStop": {"httpGet": {"port": "http"}}, "postStart": {"exec": {"command": ["a"]}}}}
    )
    assert hooks["lifecycle"]["preStop"] == {"httpGet": {"port": "http", "path": "/", "scheme": "HTTP"}}
    assert hooks["lifecycle"]["postStart"] == {"exec": {"command": ["a"]}}


def test_references_to_fields() -> None:
    env = container(
        {
            "env": [
                {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            ]
        }
    )["env"]
    assert env[0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert env[1]["valueFrom"]["resourceFieldRef"]["divisor"] == "0"


def test_requests_follow_limits_in_pods_only() -> None:
    limits = {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}}
    assert container(limits)["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    template = edited(workload("ReplicaSet"), {"spec/template/spec/containers/0/resources": {"limits": {"cpu": "1"}}})
    inside = stored(kind("ReplicaSet", "apps"), template)["spec"]["template"]["spec"]["containers"][0]
    assert inside["resources"] == {"limits": {"cpu": "1"}}


def test_amounts_are_rounded_up_to_millis() -> None:
    assert container({"resources": {"requests": {"cpu": "1u", "memory": "5n"}}})["resources"]["requests"] == {
        "cpu": "1m",
        "memory": "1m",
    }


def test_host_network_opens_the_same_ports() -> None:
    spec = stored(POD, edited(pod(hostNetwork=True), {f"{CONTAINER}/ports": [{"containerPort": 80}]}))["spec"]
    assert spec["containers"][0]["ports"] == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        ({}, {"emptyDir": {}}),
        ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s", "defaultMode": 420}}),
        ({"configMap": {"name": "c", "defaultMode": 256}}, {"configMap": {"name": "c", "defaultMode": 256}}),
        ({"hostPath": {"path": "/x"}}, {"hostPath": {"path": "/x", "type": ""}}),
        ({"image": {"reference": "data:1"}}, {"image": {"reference": "data:1", "pullPolicy": "IfNotPresent"}}),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            {
                "projected": {
                    "sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}],
                    "defaultMode": 420,
                }
            },
        ),
        (
            {"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {
                "downwardAPI": {
                    "items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.labels", "apiVersion": "v1"}}],
                    "defaultMode": 420,
                }
            },
        ),
        (
            {"ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            {"ephemeral": {"volumeClaimTemplate": {"spec": {"volumeMode": "Filesystem"}}}},
        ),
    ],
)
def test_volumes(given: dict[str, Any], filled: dict[str, Any]) -> None:
    assert stored(POD, pod(volumes=[{"name": "v", **given}]))["spec"]["volumes"] == [{"name": "v", **filled}]


def test_the_old_name_of_the_service_account_counts() -> None:
    spec = stored(POD, pod(serviceAccount="robot"))["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "robot"


@pytest.mark.parametrize(
    ("toleration", "count"),
    [
        ({"operator": "Exists"}, 1),
        ({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}, 2),
        ({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoSchedule"}, 3),
        ({"key": "other", "operator": "Exists"}, 3),
    ],
)
def test_tolerations_are_added_where_there_are_none(toleration: dict[str, Any], count: int) -> None:
    assert len(stored(POD, pod(tolerations=[toleration]))["spec"]["tolerations"]) == count


def test_system_priorities() -> None:
    assert stored(POD, pod(priorityClassName="system-node-critical"))["spec"]["priority"] == 2_000_001_000
    assert "priority" not in stored(POD, pod(priorityClassName="mine"))["spec"]


def test_a_gated_pod_says_so() -> None:
    status = stored(POD, pod(schedulingGates=[{"name": "example.com/wait"}]))["status"]
    assert status["conditions"][0]["reason"] == "SchedulingGated"


def test_a_create_brings_no_status() -> None:
    assert stored(POD, {**pod(), "status": {"phase": "Running"}})["status"]["phase"] == "Pending"
