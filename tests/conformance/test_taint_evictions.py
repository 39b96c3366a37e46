"""What a NoExecute taint does to pods that run: each goes when its toleration says, by the clock of the machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.conformance.workloads import container, pod
from tests.support.rest import STRATEGIC, Document, Rest
from tests.support.wait import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]

TAINT = {"key": "kubernetes.io/e2e-evict-taint-key", "value": "evictTaintVal", "effect": "NoExecute"}
SOON, LATER, PATIENT = 2, 6, 6
"""For how many seconds the pods tolerate the taint."""


def _tolerating(**more: int) -> Document:
    return {**TAINT, "operator": "Equal", **more}


def _running(api: Rest, path: str) -> bool:
    return str(api.get(path)["status"]["phase"]) == "Running"


@pytest.fixture
def node(api: Rest) -> Iterator[str]:
    """The only node; without taints at the end."""
    (name,) = api.names("/api/v1/nodes")
    yield name
    api.patch(f"/api/v1/nodes/{name}", {"spec": {"taints": None}})


async def test_pods_go_when_their_tolerations_end(api: Rest, space: str, image: str, node: str) -> None:
    """ "evicts pods with minTolerationSeconds", beside a pod that tolerates nothing and one that tolerates for ever."""
    pods = f"/api/v1/namespaces/{space}/pods"
    tolerations = {
        "none": [],
        "soon": [_tolerating(tolerationSeconds=SOON)],
        # The shortest of those that match counts.
        "later": [
            _tolerating(tolerationSeconds=LATER),
            {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
        ],
        "stays": [_tolerating()],
    }
    for name, each in tolerations.items():
        api.create(pods, pod(name, container(image), tolerations=each))
    for name in tolerations:
        await until(partial(_running, api, f"{pods}/{name}"), timeout=60)
    api.patch(f"/api/v1/nodes/{node}", {"spec": {"taints": [TAINT]}}, STRATEGIC)
    tainted = time.monotonic()
    gone: dict[str, float] = {}
    for name in ("none", "soon", "later"):
        await until(partial(api.missing, f"{pods}/{name}"), timeout=60)
        gone[name] = time.monotonic() - tainted
    assert gone["soon"] >= SOON - 1, gone
    assert gone["later"] >= LATER - 1, gone
    assert gone["none"] < gone["soon"] < gone["later"], gone
    assert _running(api, f"{pods}/stays")

    def told() -> bool:
        found = api.get(f"/api/v1/namespaces/{space}/events", fieldSelector="reason=TaintManagerEviction")["items"]
        assert {each["involvedObject"]["name"] for each in found} == {"none", "soon", "later"}
        return True

    await until(told)
    api.delete(f"{pods}/stays", {"gracePeriodSeconds": 0})


async def test_a_pod_is_marked_before_it_goes_and_kept_when_the_taint_goes(
    api: Rest, space: str, image: str, node: str
) -> None:
    """ "removing taint cancels eviction"; who goes says ``DisruptionTarget`` first."""
    pods = f"/api/v1/namespaces/{space}/pods"
    kept = pod("kept", container(image), tolerations=[_tolerating(tolerationSeconds=PATIENT)])
    goes = pod("goes", container(image), tolerations=[])
    goes["metadata"]["finalizers"] = ["example.com/look"]
    for document in (kept, goes):
        api.create(pods, document)
    for name in ("kept", "goes"):
        await until(partial(_running, api, f"{pods}/{name}"), timeout=60)
    api.patch(f"/api/v1/nodes/{node}", {"spec": {"taints": [TAINT]}}, STRATEGIC)
    await until(lambda: "deletionTimestamp" in api.get(f"{pods}/goes")["metadata"])
    api.patch(f"/api/v1/nodes/{node}", {"spec": {"taints": None}})
    lifted = time.monotonic()
    conditions = {each["type"]: each for each in api.get(f"{pods}/goes")["status"]["conditions"]}
    assert conditions["DisruptionTarget"]["reason"] == "DeletionByTaintManager"
    assert conditions["DisruptionTarget"]["message"] == "Taint manager: deleting due to NoExecute taint"
    api.patch(f"{pods}/goes", {"metadata": {"finalizers": None}})

    def past() -> bool:
        assert "deletionTimestamp" not in api.get(f"{pods}/kept")["metadata"]
        return time.monotonic() - lifted > PATIENT + 1

    await until(past)
    api.delete(f"{pods}/kept", {"gracePeriodSeconds": 0})
