"""PodDisruptionBudgets: their life, what their status says of real pods, and the evictions that they hold up."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.workloads import container, deployment, nowhere, pod, running
from tests.support.kubectl import Kubectl
from tests.support.rest import JSON_PATCH, Document, Rest
from tests.support.wait import NotYet, until

pytestmark = pytest.mark.docker


class Budgets:
    """The budgets of one namespace."""

    def __init__(self, api: Rest, namespace: str) -> None:
        self.api = api
        self.path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
        self.pods = f"/api/v1/namespaces/{namespace}/pods"

    def create(self, name: str, labels: dict[str, str], **spec: Any) -> Document:
        """A budget of the pods with ``labels``."""
        metadata = {"name": name, "labels": {"set": "tested"}}
        return self.api.create(self.path, {"metadata": metadata, "spec": {"selector": {"matchLabels": labels}, **spec}})

    async def says(self, name: str, **wanted: int) -> Document:
        """Wait until the status of the present generation says this."""

        def look() -> Document:
            found = self.api.get(f"{self.path}/{name}")
            status = found.get("status") or {}
            if status.get("observedGeneration") != found["metadata"]["generation"]:
                raise NotYet(f"not looked at yet: {status}")
            if any(status.get(key) != value for key, value in wanted.items()):
                raise NotYet(str(status))
            return found

        return await until(look, timeout=30)

    def evict(self, name: str) -> Any:
        """POST an Eviction."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        return self.api.request("POST", f"{self.pods}/{name}/eviction", body)


@pytest.fixture
def budgets(api: Rest, namespace: str) -> Budgets:
    return Budgets(api, namespace)


async def test_create_update_patch(budgets: Budgets) -> None:
    budgets.create("b", {"foo": "bar"}, minAvailable=1)
    found = await budgets.says("b", expectedPods=0)
    changed = budgets.api.replace(f"{budgets.path}/b", {**found, "spec": {**found["spec"], "minAvailable": 2}})
    assert changed["spec"]["minAvailable"] == 2
    assert changed["metadata"]["generation"] == 2
    patched = budgets.api.patch(f"{budgets.path}/b", {"spec": {"minAvailable": "3%"}})
    assert patched["spec"]["minAvailable"] == "3%"
    budgets.api.delete(f"{budgets.path}/b")
    assert budgets.api.missing(f"{budgets.path}/b")


async def test_a_collection_is_listed_and_deleted(budgets: Budgets) -> None:
    for name in ("a", "b", "c"):
        budgets.create(name, {"foo": name}, minAvailable=1)
    assert budgets.api.names(budgets.path) == ["a", "b", "c"]
    everywhere = budgets.api.names("/apis/policy/v1/poddisruptionbudgets", labelSelector="set=tested")
    assert {"a", "b", "c"} <= set(everywhere)
    budgets.api.delete(budgets.path, labelSelector="set=tested")
    assert budgets.api.names(budgets.path) == []


async def test_a_status_is_updated_and_patched(budgets: Budgets) -> None:
    budgets.create("b", {"foo": "bar"}, minAvailable=1)
    await budgets.says("b", expectedPods=0)
    path = f"{budgets.path}/b/status"
    read = budgets.api.get(path)
    read["status"] |= {"observedGeneration": 1, "disruptedPods": {"p": "2026-01-01T00:00:00Z"}}
    assert budgets.api.replace(path, read)["status"]["disruptedPods"]
    operation = [{"op": "replace", "path": "/status/conditions/0/message", "value": "patched"}]
    patched = budgets.api.request("PATCH", path, operation, JSON_PATCH).ok()
    assert patched["status"]["conditions"][0]["message"] == "patched"
    assert patched["spec"] == read["spec"]


async def test_status_and_evictions_of_running_pods(budgets: Budgets, image: str) -> None:
    budgets.create("b", {"app": "web"}, minAvailable=2)
    await budgets.says("b", currentHealthy=0, disruptionsAllowed=0)
    for name in ("p1", "p2"):
        budgets.api.create(budgets.pods, pod(name, container(image), labels={"app": "web"}))
    found = await budgets.says("b", currentHealthy=2, desiredHealthy=2, expectedPods=2, disruptionsAllowed=0)
    verdict = found["status"]["conditions"][0]
    assert (verdict["type"], verdict["status"], verdict["reason"]) == ("DisruptionAllowed", "False", "InsufficientPods")
    refused = budgets.evict("p1")
    assert refused.refused(429) == "Cannot evict pod as it would violate the pod's disruption budget."
    causes = refused.document["details"]["causes"]
    assert causes[0]["message"] == "The disruption budget b needs 2 healthy pods and has 2 currently"
    budgets.api.patch(f"{budgets.path}/b", {"spec": {"minAvailable": 1}})
    await budgets.says("b", desiredHealthy=1, disruptionsAllowed=1)
    assert budgets.evict("p1").ok()["status"] == "Success"
    await until(lambda: budgets.api.missing(f"{budgets.pods}/p1"), timeout=30)
    await budgets.says("b", currentHealthy=1, disruptionsAllowed=0)
    assert budgets.evict("p2").code == 429
    budgets.api.delete(f"{budgets.path}/b")
    assert budgets.evict("p2").code == 201


async def test_shares_are_of_what_the_owner_wants(budgets: Budgets, namespace: str) -> None:
    budgets.create("b", {"app": "shop"}, maxUnavailable="20%")
    document = deployment("shop", nowhere(), 10)
    budgets.api.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", document)
    await budgets.says("b", expectedPods=10, desiredHealthy=8, currentHealthy=0, disruptionsAllowed=0)


async def test_kubectl_sees_budgets_and_drains(budgets: Budgets, kubectl: Kubectl, namespace: str, image: str) -> None:
    kubectl("create", "pdb", "kept", "--selector=app=kept", "--min-available=1")
    document = deployment("kept", running(image), 1)
    budgets.api.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", document)
    await budgets.says("kept", currentHealthy=1, disruptionsAllowed=0)
    header, row = kubectl("get", "pdb").splitlines()
    assert header.split() == ["NAME", "MIN", "AVAILABLE", "MAX", "UNAVAILABLE", "ALLOWED", "DISRUPTIONS", "AGE"]
    assert row.split()[:4] == ["kept", "1", "N/A", "0"]
    [running_pod] = budgets.api.get(budgets.pods)["items"]
    node = running_pod["spec"]["nodeName"]
    try:
        held = kubectl.attempt("drain", node, "--pod-selector=app=kept", "--timeout=2s", "--grace-period=1")
        assert held.code != 0
        assert "Cannot evict pod as it would violate the pod's disruption budget." in held.err
    finally:
        kubectl("uncordon", node)
    assert (
        budgets.api.get(f"{budgets.pods}/{running_pod['metadata']['name']}")["metadata"].get("deletionTimestamp")
        is None
    )
