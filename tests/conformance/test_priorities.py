"""PriorityClasses and RuntimeClasses, and what they mean for pods."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.conformance.workloads import container, nowhere, pod
from tests.support.kubectl import Kubectl
from tests.support.rest import JSON_PATCH, STRATEGIC, Rest
from tests.support.wait import until

pytestmark = pytest.mark.docker

PRIORITIES = "/apis/scheduling.k8s.io/v1/priorityclasses"
RUNTIMES = "/apis/node.k8s.io/v1/runtimeclasses"
_numbers = itertools.count(1)


@pytest.fixture
def high(api: Rest) -> Iterator[str]:
    name = f"high-{next(_numbers)}"
    api.create(PRIORITIES, {"metadata": {"name": name, "labels": {"e2e": name}}, "value": 1000})
    yield name
    api.delete(PRIORITIES, labelSelector=f"e2e={name}")


async def test_endpoints(api: Rest, high: str) -> None:
    path = f"{PRIORITIES}/{high}"
    assert api.get(path)["preemptionPolicy"] == "PreemptLowerPriority"
    assert high in api.names(PRIORITIES)
    assert api.patch(path, {"description": "patched"}, STRATEGIC)["description"] == "patched"
    read = api.get(path)
    assert api.replace(path, {**read, "description": "updated"})["description"] == "updated"
    operation = [{"op": "replace", "path": "/value", "value": 5}]
    patched = api.request("PATCH", path, operation, JSON_PATCH).refused(422)
    assert "value: Forbidden: may not be changed in an update." in patched
    replaced = api.request("PUT", path, {**api.get(path), "preemptionPolicy": "Never"}).refused(422)
    assert "preemptionPolicy: Invalid value" in replaced
    assert "field is immutable" in replaced


async def test_a_pod_gets_the_number_of_its_class(api: Rest, namespace: str, high: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    classed = api.create(pods, pod("classed", **nowhere(), priorityClassName=high))["spec"]
    assert (classed["priority"], classed["preemptionPolicy"]) == (1000, "PreemptLowerPriority")
    assert api.create(pods, pod("plain", **nowhere()))["spec"]["priority"] == 0
    critical = api.create(pods, pod("critical", **nowhere(), priorityClassName="system-node-critical"))["spec"]
    assert critical["priority"] == 2_000_001_000
    refused = api.request("POST", pods, pod("none", **nowhere(), priorityClassName="nowhere")).refused(403)
    assert refused == 'pods "none" is forbidden: no PriorityClass with name nowhere was found'


async def test_system_classes_are_the_systems(api: Rest) -> None:
    assert {"system-cluster-critical", "system-node-critical"} <= set(api.names(PRIORITIES))
    own = {"metadata": {"name": "system-mine"}, "value": 1}
    assert "are reserved for system use only" in api.request("POST", PRIORITIES, own).refused(422)
    mighty = {"metadata": {"name": "mighty"}, "value": 1_000_000_001}
    assert "maximum allowed value of a user defined priority is 1000000000" in (
        api.request("POST", PRIORITIES, mighty).refused(422)
    )


async def test_kubectl_makes_a_class(api: Rest, kubectl: Kubectl) -> None:
    name = f"made-{next(_numbers)}"
    kubectl("create", "priorityclass", name, "--value=7", "--preemption-policy=Never")
    header, row = kubectl("get", "pc", name).splitlines()
    assert header.split() == ["NAME", "VALUE", "GLOBAL-DEFAULT", "AGE", "PREEMPTIONPOLICY"]
    assert [row.split()[index] for index in (0, 1, 2, 4)] == [name, "7", "false", "Never"]
    api.delete(f"{PRIORITIES}/{name}")


async def test_a_runtime_class_lets_pods_in(api: Rest, namespace: str, image: str) -> None:
    pods, name = f"/api/v1/namespaces/{namespace}/pods", f"plain-{next(_numbers)}"
    missing = api.request("POST", pods, pod("missing", container(image), runtimeClassName=name)).refused(403)
    assert missing == f'pods "missing" is forbidden: pod rejected: RuntimeClass "{name}" not found'
    api.create(RUNTIMES, {"metadata": {"name": name}, "handler": "runc"})
    api.create(pods, pod("scheduled", container(image), runtimeClassName=name))
    await until(lambda: api.get(f"{pods}/scheduled")["spec"].get("nodeName"))
    api.delete(f"{RUNTIMES}/{name}")
    deleted = api.request("POST", pods, pod("deleted", container(image), runtimeClassName=name)).refused(403)
    assert "not found" in deleted
    api.delete(f"{pods}/scheduled")


async def test_a_runtime_class_adds_its_overhead(api: Rest, namespace: str, image: str) -> None:
    pods, name = f"/api/v1/namespaces/{namespace}/pods", f"heavy-{next(_numbers)}"
    overhead = {"podFixed": {"cpu": "10m", "memory": "1Mi"}}
    api.create(RUNTIMES, {"metadata": {"name": name}, "handler": "runc", "overhead": overhead})
    made = api.create(pods, pod("heavy", container(image), runtimeClassName=name))
    assert made["spec"]["overhead"] == {"cpu": "10m", "memory": "1Mi"}
    await until(lambda: api.get(f"{pods}/heavy")["spec"].get("nodeName"))
    api.delete(f"{RUNTIMES}/{name}")
    api.delete(f"{pods}/heavy")


async def test_runtime_class_operations(api: Rest) -> None:
    name = f"ops-{next(_numbers)}"
    with api.watch(RUNTIMES, labelSelector=f"e2e={name}") as events:
        api.create(RUNTIMES, {"metadata": {"name": name, "labels": {"e2e": name}}, "handler": "h"})
        assert next(events)[0] == "ADDED"
        api.patch(f"{RUNTIMES}/{name}", {"metadata": {"annotations": {"patched": "true"}}})
        assert next(events)[1]["metadata"]["annotations"] == {"patched": "true"}
        read = api.get(f"{RUNTIMES}/{name}")
        refused = api.request("PUT", f"{RUNTIMES}/{name}", {**read, "handler": "other"}).refused(422)
        assert "handler: Invalid value" in refused
        assert api.names(RUNTIMES, labelSelector=f"e2e={name}") == [name]
        api.delete(RUNTIMES, labelSelector=f"e2e={name}")
        assert next(events)[0] == "DELETED"
