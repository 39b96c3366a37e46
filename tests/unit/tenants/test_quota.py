from __future__ import annotations

from typing import Any

import pytest

from moorage.resources.kind import Kind, ResourceKey
from moorage_tenants.quota import ObjectCharger


def kind(group: str, plural: str, *, namespaced: bool = True, ttl: int | None = None) -> Kind:
    return Kind(
        group=group, version="v1", kind="K", plural=plural, singular="k", namespaced=namespaced, schema="x",
        storage=ResourceKey(group, plural), name_rule=lambda _name: None, ttl=ttl,
    )  # fmt: skip


def container(cpu: str = "", memory: str = "", **more: Any) -> dict[str, Any]:
    requests = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value}
    return {"resources": {"requests": requests}, **more}


PODS = kind("", "pods")


def test_an_object_counts() -> None:
    charger = ObjectCharger()
    assert charger.charge(kind("apps", "deployments"), {}) == {"count/deployments.apps": 1}
    assert charger.charge(kind("", "secrets"), {}) == {"count/secrets": 1, "secrets": 1}
    assert charger.charge(kind("", "nodes", namespaced=False), {}) == {}
    assert charger.charge(kind("", "events", ttl=3600), {}) == {}


def test_a_pod_is_charged_for_what_it_asks() -> None:
    spec = {"containers": [container("100m", "64Mi"), container("1", "1Gi")], "overhead": {"cpu": "50m"}}
    assert ObjectCharger().charge(PODS, {"spec": spec}) == {
        "count/pods": 1,
        "pods": 1,
        "requests.cpu": 1150,
        "requests.memory": 1024**3 + 64 * 1024**2,
    }


def test_limits_stand_in_for_requests() -> None:
    spec = {"containers": [{"resources": {"limits": {"cpu": "2"}}}]}
    vector = ObjectCharger().charge(PODS, {"spec": spec})
    assert (vector["requests.cpu"], vector["limits.cpu"]) == (2000, 2000)


@pytest.mark.parametrize(
    ("init", "running", "charged"),
    [
        ([container("3")], [container("1")], 3000),
        ([container("1")], [container("2")], 2000),
        ([container("1", restartPolicy="Always")], [container("2")], 3000),
        ([container("1", restartPolicy="Always"), container("4")], [container("2")], 5000),
        ([container("4"), container("1", restartPolicy="Always")], [container("2")], 4000),
    ],
)
def test_init_containers_count_at_their_peak(init: list[Any], running: list[Any], charged: int) -> None:
    vector = ObjectCharger().charge(PODS, {"spec": {"initContainers": init, "containers": running}})
    assert vector["requests.cpu"] == charged


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_holds_its_place_only(phase: str) -> None:
    document = {"spec": {"containers": [container("1")]}, "status": {"phase": phase}}
    assert ObjectCharger().charge(PODS, document) == {"count/pods": 1}


def test_what_is_no_quantity_is_left_to_validation() -> None:
    assert ObjectCharger().charge(PODS, {"spec": {"containers": [container("abc")]}}) == {"count/pods": 1, "pods": 1}
