"""What administrators do with nodes, with real kubectl: top, cordon, drain, uncordon, debug, cp."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.workloads import container, pod
from tests.support.kubectl import Kubectl
from tests.support.rest import Rest
from tests.support.wait import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

BUSY = "while :; do :; done & trap 'kill $!; exit 0' TERM; wait"


@pytest.fixture(scope="module", autouse=True)
def pods(api: Rest, shared: Kubectl, space: str, image: str) -> str:
    """A pod that computes, one that holds files, one without a controller to be drained."""
    path = f"/api/v1/namespaces/{space}/pods"
    api.create(path, pod("busy", container(image, BUSY, resources={"limits": {"cpu": "100m"}})))
    api.create(path, pod("files", container(image), labels={"app": "files"}))
    api.create(path, pod("drained", container(image), labels={"app": "drained"}))
    shared("wait", "--for=condition=Ready", "pod/busy", "pod/files", "pod/drained", "--timeout=120s")
    return path


@pytest.fixture
def node(api: Rest) -> str:
    """The only node that is ready (others are tests' own, and never are)."""
    (name,) = (
        each["metadata"]["name"]
        for each in api.get("/api/v1/nodes")["items"]
        if any(one["type"] == "Ready" and one["status"] == "True" for one in each["status"].get("conditions", ()))
    )
    return str(name)


async def test_top_of_pods_and_nodes(shared: Kubectl, api: Rest, space: str, node: str) -> None:
    def busy() -> bool:
        rows = {line.split()[0]: line.split()[1:] for line in shared("top", "pods", "--no-headers").splitlines()}
        assert {"busy", "files"} <= set(rows), rows
        assert int(rows["busy"][0].removesuffix("m")) > int(rows["files"][0].removesuffix("m")), rows
        assert all(re.fullmatch(r"\d+Mi", memory) for _, memory in rows.values())
        return True

    await until(busy, timeout=60, every=1)
    assert re.search(r"^busy +main +\d+m +\d+Mi", shared("top", "pod", "busy", "--containers", "--no-headers"))
    assert re.match(rf"{node} +\d+m +\d+% +\d+Mi +\d+%", shared("top", "nodes", "--no-headers"))
    assert shared("top", "pods", "-l", "app=files", "--no-headers").startswith("files ")
    one = api.get(f"/apis/metrics.k8s.io/v1beta1/namespaces/{space}/pods/busy")
    assert (one["kind"], one["apiVersion"]) == ("PodMetrics", "metrics.k8s.io/v1beta1")
    assert one["containers"][0]["usage"]["cpu"].endswith("n")
    assert float(one["window"].removesuffix("s")) >= 1
    assert api.get(f"/apis/metrics.k8s.io/v1beta1/nodes/{node}")["usage"]["memory"].endswith("Ki")
    api.request("GET", f"/apis/metrics.k8s.io/v1beta1/namespaces/{space}/pods/none").refused(404)
    api.request("POST", "/apis/metrics.k8s.io/v1beta1/nodes", {}).refused(405)
    table = api.request(
        "GET", "/apis/metrics.k8s.io/v1beta1/nodes", accept="application/json;as=Table;v=v1;g=meta.k8s.io"
    )
    assert [row["cells"][0] for row in table.ok()["rows"]] == [node]


async def test_a_node_is_emptied(shared: Kubectl, api: Rest, pods: str, node: str, image: str) -> None:
    try:
        out = shared("drain", node, "--pod-selector=app=drained", "--force", "--timeout=60s")
        assert f"node/{node} drained" in out
        assert api.missing(f"{pods}/drained")
        assert api.get(f"/api/v1/nodes/{node}")["spec"]["unschedulable"] is True
        assert "SchedulingDisabled" in shared("get", "nodes", "--no-headers")
        api.create(pods, pod("kept-out", container(image)))

        def refused() -> bool:
            conditions = api.get(f"{pods}/kept-out")["status"].get("conditions") or []
            return any(each.get("reason") == "Unschedulable" for each in conditions)

        await until(refused)
    finally:
        shared("uncordon", node)
    shared("wait", "--for=condition=Ready", "pod/kept-out", "--timeout=60s")
    assert "unschedulable" not in api.get(f"/api/v1/nodes/{node}")["spec"]


def test_files_are_copied_both_ways(shared: Kubectl, tmp_path: Path) -> None:
    folder = tmp_path / "sent"
    (folder / "below").mkdir(parents=True)
    (folder / "one").write_bytes(bytes(range(256)) * 400)
    (folder / "below" / "two").write_text("two\n")
    shared("cp", str(folder), "files:/tmp/got")
    shared("cp", "files:/tmp/got", str(tmp_path / "back"))
    assert (tmp_path / "back" / "one").read_bytes() == bytes(range(256)) * 400
    assert (tmp_path / "back" / "below" / "two").read_text() == "two\n"


async def test_a_node_is_looked_into(shared: Kubectl, api: Rest, pods: str, node: str, image: str) -> None:
    words = ("debug", f"node/{node}", f"--image={image}", "--image-pull-policy=Never", "--profile=general")
    shared(*words, "--", "sh", "-c", "ls -d /host/etc && ls -d /proc/1")
    (name,) = [one for one in api.names(pods) if one.startswith("node-debugger-")]

    def ended() -> bool:
        status = api.get(f"{pods}/{name}")["status"]
        assert status["phase"] == "Succeeded", status
        return True

    await until(ended, timeout=60)
    assert shared("logs", name).split() == ["/host/etc", "/proc/1"]
    spec = api.get(f"{pods}/{name}")["spec"]
    assert spec["hostPID"]
    assert spec["nodeName"] == node
