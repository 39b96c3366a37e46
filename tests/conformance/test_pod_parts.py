"""Parts of a running pod that may change: containers to look at it with, and its resources."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.conformance.workloads import container, pod
from tests.support.kubectl import Kubectl
from tests.support.rest import STRATEGIC, Document, Rest
from tests.support.wait import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]

SMALL = {"limits": {"cpu": "200m", "memory": "64Mi"}, "requests": {"cpu": "200m", "memory": "64Mi"}}
LARGE = {"limits": {"cpu": "300m", "memory": "96Mi"}, "requests": {"cpu": "300m", "memory": "96Mi"}}
BURST = {"limits": {"cpu": "200m", "memory": "64Mi"}, "requests": {"cpu": "100m", "memory": "32Mi"}}
UNEVEN = {"limits": {"memory": "64Mi"}, "requests": {"memory": "32Mi"}}


@pytest.fixture(scope="module", autouse=True)
def pods(api: Rest, shared: Kubectl, space: str, image: str) -> str:
    """A guaranteed pod, and one to be looked at."""
    path = f"/api/v1/namespaces/{space}/pods"
    api.create(path, pod("sized", container(image, resources=SMALL)))
    api.create(path, pod("looked-at", container(image)))
    api.create(path, pod("burst", container(image, resources=BURST)))
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    restarted = container(image, resources=UNEVEN, resizePolicy=policy)
    api.create(path, pod("restarted", restarted, restartPolicy="Always"))
    shared("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    return path


def _resized(resources: Any) -> Document:
    return {"spec": {"containers": [{"name": "main", "resources": resources}]}}


async def test_resize_in_place(api: Rest, shared: Kubectl, pods: str) -> None:
    """The container gets its new limits while it runs (conformance: in-place pod resize)."""
    api.patch(f"{pods}/sized/resize", _resized(LARGE), STRATEGIC)

    def granted() -> bool:
        status = api.get(f"{pods}/sized")["status"]["containerStatuses"][0]
        assert status["resources"] == LARGE, status
        assert status["allocatedResources"] == LARGE["requests"]
        assert status["restartCount"] == 0
        return True

    await until(granted, timeout=30)
    limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    assert shared("exec", "sized", "--", "sh", "-c", limit) == str(96 * 2**20)
    assert api.get(f"{pods}/sized/resize")["spec"] == api.get(f"{pods}/sized")["spec"]


async def test_a_resize_that_no_node_can_grant(api: Rest, pods: str) -> None:
    """The pod says so, and keeps what it has."""
    huge = {"limits": {"cpu": "5000", "memory": "96Mi"}, "requests": {"cpu": "5000", "memory": "96Mi"}}
    api.patch(f"{pods}/sized/resize", _resized(huge), STRATEGIC)

    def refused() -> bool:
        conditions = {one["type"]: one for one in api.get(f"{pods}/sized")["status"]["conditions"]}
        assert conditions.get("PodResizePending", {}).get("reason") == "Infeasible", conditions
        return True

    await until(refused, timeout=30)
    back = api.patch(f"{pods}/sized/resize", _resized(LARGE), STRATEGIC)
    assert back["spec"]["containers"][0]["resources"] == LARGE


def _set(resources: Any, document: Document) -> None:
    document["spec"]["containers"][0]["resources"] = resources


@pytest.mark.parametrize("name", ["sized", "burst", "restarted"])
async def test_resize_by_replacing(api: Rest, shared: Kubectl, pods: str, name: str) -> None:
    """The whole object is written to ``/resize``, which then shows what the pod shows. Less memory, too: in place where that may
    be, by a restart where the container asks for one.
    """
    wanted = {
        "sized": {"limits": {"cpu": "250m", "memory": "80Mi"}, "requests": {"cpu": "250m", "memory": "80Mi"}},
        "burst": {"limits": {"cpu": "300m", "memory": "72Mi"}, "requests": {"cpu": "50m", "memory": "24Mi"}},
        "restarted": {"limits": {"memory": "48Mi"}, "requests": {"memory": "40Mi"}},
    }[name]
    one = f"{pods}/{name}"
    before = api.get(one)["metadata"]["generation"]
    written = api.request("GET", f"{one}/resize").ok()
    _set(wanted, written)
    answer = api.request("PUT", f"{one}/resize", written)
    if answer.code == 409:
        api.change(f"{one}/resize", partial(_set, wanted))
    else:
        assert answer.ok()["metadata"]["generation"] > before

    def granted() -> bool:
        document = api.get(one)
        (status,) = document["status"]["containerStatuses"]
        assert status.get("resources") == wanted, status
        assert status["restartCount"] == (1 if name == "restarted" else 0)
        assert document["status"]["observedGeneration"] == document["metadata"]["generation"]
        assert not [each for each in document["status"]["conditions"] if each["type"].startswith("PodResize")]
        return True

    await until(granted, timeout=60)
    limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    mebibytes = int(wanted["limits"]["memory"].removesuffix("Mi"))
    await until(lambda: shared("exec", name, "--", "sh", "-c", limit) == str(mebibytes * 2**20))
    assert api.get(f"{one}/resize")["spec"] == api.get(one)["spec"]


def test_a_resize_keeps_the_class(api: Rest, pods: str) -> None:
    """Quality of service may not change, nor may anything else but CPU and memory."""
    burst = {"limits": {"cpu": "400m", "memory": "96Mi"}, "requests": {"cpu": "300m", "memory": "96Mi"}}
    answer = api.request("PATCH", f"{pods}/sized/resize", _resized(burst), STRATEGIC)
    assert "Pod QOS Class may not change as a result of resizing" in answer.refused(422)


async def test_debug_by_kubectl(api: Rest, shared: Kubectl, pods: str, image: str) -> None:
    """``kubectl debug`` adds a container that sees the processes of another; it can neither change nor go."""
    words = ["debug", "looked-at", f"--image={image}", "--image-pull-policy=Never", "--target=main", "-c", "looker"]
    shared(*words, "--", "sh", "-c", "ps")

    def ended() -> bool:
        statuses = api.get(f"{pods}/looked-at")["status"].get("ephemeralContainerStatuses", [])
        assert [one["state"].get("terminated", {}).get("exitCode") for one in statuses] == [0], statuses
        return True

    await until(ended, timeout=30)
    assert "sleep 3600" in shared("logs", "looked-at", "-c", "looker")
    path = f"{pods}/looked-at/ephemeralcontainers"
    document = api.get(path)
    document["spec"]["ephemeralContainers"] = []
    refusal = api.request("PUT", path, document).refused(422)
    assert 'existing ephemeral containers "looker" may not be removed' in refusal
