"""What a node tells of itself through ``/api/v1/nodes/NAME/proxy``: Prometheus' pages, the summary, and who may read which."""

from __future__ import annotations

import json

import pytest

from tests.conformance import manifests
from tests.support.kubectl import Kubectl
from tests.support.rest import Rest
from tests.support.wait import until

pytestmark = pytest.mark.docker
NODE = "/api/v1/nodes/test-node"


async def test_metrics_of_a_node_and_its_pods(kubectl: Kubectl, namespace: str, image: str) -> None:
    """The agent listens nowhere: all comes over its tunnel."""
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    spec = manifests.pod("measured", image, "exec sleep 600", restart="Always", readinessProbe=probe)
    kubectl("apply", "-f", "-", stdin=spec)
    kubectl("wait", "--for=condition=Ready", "pod/measured", "--timeout=60s")

    def page(path: str) -> str:
        return kubectl("get", "--raw", f"{NODE}/proxy{path}")

    own = f'namespace="{namespace}",pod="measured"'

    def all_of_it() -> bool:
        metrics = page("/metrics")
        assert "kubelet_running_pods " in metrics
        assert 'kubelet_runtime_operations_total{operation_type="create_container"}' in metrics
        assert "kubelet_pod_start_duration_seconds_count" in metrics
        assert 'kubelet_node_name{node="test-node"} 1' in metrics
        probes = page("/metrics/probes")
        assert f'result="successful",container="main",pod="measured",namespace="{namespace}"' in probes
        cadvisor = page("/metrics/cadvisor")
        for name in ("container_cpu_usage_seconds_total", "container_memory_working_set_bytes"):
            lines = [line for line in cadvisor.splitlines() if line.startswith(name) and own in line]
            assert len(lines) == 1, f"{name}: {lines}"
            assert float(lines[0].split()[1]) > 0
        network = 'container_network_receive_bytes_total{container="",'
        assert any(line.startswith(network) and own in line for line in cadvisor.splitlines())
        resource = page("/metrics/resource")
        assert f"pod_memory_working_set_bytes{{{own}}}" in resource
        return True

    await until(all_of_it)
    summary = json.loads(page("/stats/summary"))
    assert summary["node"]["nodeName"] == "test-node"
    (mine,) = [one for one in summary["pods"] if one["podRef"]["namespace"] == namespace]
    uid = kubectl("get", "pod", "measured", "-o", "jsonpath={.metadata.uid}")
    assert mine["podRef"] == {"name": "measured", "namespace": namespace, "uid": uid}
    assert mine["containers"][0]["memory"]["workingSetBytes"] > 0
    assert page("/healthz") == "ok"
    pods = json.loads(page("/pods"))
    assert "measured" in [one["metadata"]["name"] for one in pods["items"]]
    assert json.loads(page("/configz"))["kubeletconfig"]["containerLogMaxFiles"] == 5
    for wrong, words in (
        (f"{NODE}/proxy/nothing", "the server could not find the requested resource"),
        (f"{NODE}:22/proxy/metrics", "it has no other ports here"),
        ("/api/v1/nodes/nowhere/proxy/metrics", 'nodes "nowhere" not found'),
    ):
        refused = kubectl.attempt("get", "--raw", wrong)
        assert refused.code != 0
        assert words in refused.err, refused.err
    assert kubectl("get", "--raw", f"{NODE}:10250/proxy/healthz") == "ok"


def test_who_may_read_a_page(api: Rest, kubectl: Kubectl, namespace: str) -> None:
    """``nodes/proxy`` opens all; ``nodes/metrics`` and its like open their own page, and nothing else."""
    may = {
        "none": [],
        "metrics": ["/metrics", "/metrics/cadvisor", "/metrics/probes", "/metrics/resource"],
        "stats": ["/stats/summary?only_cpu_and_memory=true"],
        "healthz": ["/healthz"],
        "pods": ["/pods", "/runningpods/"],
        "configz": ["/configz"],
    }
    every = sorted({path for paths in may.values() for path in paths})
    may["proxy"] = every
    for part, allowed in may.items():
        name = f"{namespace}-{part}"
        user = f"reader-{name}"
        if part != "none":
            kubectl("create", "clusterrole", name, "--verb=get", f"--resource=nodes/{part}")
            kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--user={user}")
        try:
            for path in every:
                answer = kubectl.attempt("get", "--raw", f"{NODE}/proxy{path}", "--as", user)
                assert (answer.code == 0) is (path in allowed), (part, path, answer.err)
                if path not in allowed:
                    assert 'cannot get resource "nodes/' in answer.err
        finally:
            if part != "none":
                kubectl("delete", "clusterrole,clusterrolebinding", name)
