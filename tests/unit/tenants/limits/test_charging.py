"""What objects cost."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.resources.builtin import builtin_registry
from moorage.resources.kind import GroupVersionKind, Kind
from moorage_tenants.limits.charging import ObjectCharger

_REGISTRY = builtin_registry()
CHARGER = ObjectCharger()


def kind(name: str, group: str = "") -> Kind:
    found = _REGISTRY.by_kind(GroupVersionKind(group, "v1", name))
    assert found is not None
    return found


def container(cpu: str = "", memory: str = "", **more: Any) -> dict[str, Any]:
    requests = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value}
    return {"name": "c", "resources": {"requests": requests}, **more}


POD = kind("Pod")


def charged(document: dict[str, Any], of: Kind = POD) -> dict[str, Any]:
    return {name: value for name, value in CHARGER.charge(of, document).items() if name != "@"}


def classed(document: dict[str, Any], of: Kind = POD) -> Any:
    return CHARGER.charge(of, document).get("@")


@pytest.mark.parametrize(
    ("name", "group", "vector"),
    [
        ("Deployment", "apps", {"count/deployments.apps": 1}),
        ("Secret", "", {"count/secrets": 1, "secrets": 1}),
        ("ConfigMap", "", {"count/configmaps": 1, "configmaps": 1}),
        ("ResourceQuota", "", {"count/resourcequotas": 1, "resourcequotas": 1}),
        ("ReplicationController", "", {"count/replicationcontrollers": 1, "replicationcontrollers": 1}),
        ("ServiceAccount", "", {"count/serviceaccounts": 1}),
        ("Namespace", "", {"count/namespaces": 1}),
        ("Node", "", {}),
        ("Event", "", {}),
        ("Event", "events.k8s.io", {}),
        ("StorageClass", "storage.k8s.io", {}),
    ],
)
def test_an_object_counts(name: str, group: str, vector: dict[str, int]) -> None:
    assert CHARGER.charge(kind(name, group), {"metadata": {"name": "x"}}) == vector


def test_a_pod_is_charged_for_what_it_asks() -> None:
    spec = {"containers": [container("100m", "64Mi"), container("1", "1Gi")], "overhead": {"cpu": "50m"}}
    assert charged({"spec": spec}) == {
        "count/pods": 1,
        "pods": 1,
        "cpu": 1150,
        "requests.cpu": 1150,
        "memory": 1024**3 + 64 * 1024**2,
        "requests.memory": 1024**3 + 64 * 1024**2,
    }


def test_special_resources_count_under_requests() -> None:
    listed = {"hugepages-2Mi": "4Mi", "example.com/gpu": "2", "ephemeral-storage": "1Gi", "cpu": "1"}
    spec = {"containers": [{"name": "c", "resources": {"requests": listed, "limits": listed}}]}
    vector = charged({"spec": spec})
    assert vector == {
        "count/pods": 1,
        "pods": 1,
        "cpu": 1000,
        "requests.cpu": 1000,
        "limits.cpu": 1000,
        "hugepages-2Mi": 4 * 1024**2,
        "requests.hugepages-2Mi": 4 * 1024**2,
        "requests.example.com/gpu": 2,
        "ephemeral-storage": 1024**3,
        "requests.ephemeral-storage": 1024**3,
        "limits.ephemeral-storage": 1024**3,
    }


@pytest.mark.parametrize(
    ("init", "running", "cpu"),
    [
        ([container("3")], [container("1")], 3000),
        ([container("1")], [container("2")], 2000),
        ([container("1", restartPolicy="Always")], [container("2")], 3000),
        ([container("1", restartPolicy="Always"), container("4")], [container("2")], 5000),
        ([container("4"), container("1", restartPolicy="Always")], [container("2")], 4000),
    ],
)
def test_init_containers_count_at_their_peak(init: list[Any], running: list[Any], cpu: int) -> None:
    assert charged({"spec": {"initContainers": init, "containers": running}})["requests.cpu"] == cpu


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_holds_its_place_only(phase: str) -> None:
    assert charged({"spec": {"containers": [container("1")]}, "status": {"phase": phase}}) == {"count/pods": 1}


def resized(spec: str, held: str, allocated: str = "", infeasible: bool = False) -> dict[str, Any]:
    status: dict[str, Any] = {"name": "c", "resources": {"requests": {"cpu": held}, "limits": {"cpu": held}}}
    if allocated:
        status["allocatedResources"] = {"cpu": allocated}
    conditions = [{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}] if infeasible else []
    asked = {"requests": {"cpu": spec}, "limits": {"cpu": spec}}
    return {
        "spec": {"containers": [{"name": "c", "resources": asked}]},
        "status": {"phase": "Running", "containerStatuses": [status], "conditions": conditions},
    }


@pytest.mark.parametrize(
    ("pod", "requests", "limits"),
    [
        (resized("2", "1"), 2000, 2000),
        (resized("1", "2"), 2000, 2000),
        (resized("1", "1", allocated="3"), 3000, 1000),
        (resized("9", "1", infeasible=True), 1000, 1000),
        ({"spec": {"containers": [container("1")]}, "status": {"containerStatuses": [{"name": "c"}]}}, 1000, None),
    ],
)
def test_a_resized_pod_counts_what_it_asks_or_holds(pod: dict[str, Any], requests: int, limits: int | None) -> None:
    vector = charged(pod)
    assert (vector["requests.cpu"], vector.get("limits.cpu")) == (requests, limits)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [{"name": "c"}]}, {"scopes": ["NotTerminating", "BestEffort"]}),
        (
            {"containers": [container("1")], "activeDeadlineSeconds": 5, "priorityClassName": "high"},
            {"scopes": ["Terminating", "NotBestEffort"], "priorityClass": "high"},
        ),
        (
            {
                "containers": [{"name": "c"}],
                "affinity": {
                    "podAntiAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {"weight": 1, "podAffinityTerm": {"topologyKey": "x", "namespaceSelector": {}}}
                        ]
                    }
                },
            },
            {"scopes": ["NotTerminating", "BestEffort", "CrossNamespacePodAffinity"]},
        ),
        (
            {
                "containers": [{"name": "c"}],
                "affinity": {
                    "podAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "x", "namespaces": ["a"]}]
                    }
                },
            },
            {"scopes": ["NotTerminating", "BestEffort", "CrossNamespacePodAffinity"]},
        ),
    ],
)
def test_the_class_of_a_pod(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    assert classed({"spec": spec}) == expected


def test_a_claim_is_charged_for_its_size_and_its_class() -> None:
    spec = {"resources": {"requests": {"storage": "2Gi"}}, "storageClassName": "gold"}
    of = kind("PersistentVolumeClaim")
    bare = {"count/persistentvolumeclaims": 1, "persistentvolumeclaims": 1}
    classed_claim = {
        **bare,
        "requests.storage": 2 * 1024**3,
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": 1,
        "gold.storageclass.storage.k8s.io/requests.storage": 2 * 1024**3,
    }
    assert CHARGER.charge(of, {"spec": spec}) == classed_claim
    allocated = {"spec": spec, "status": {"allocatedResources": {"storage": "5Gi"}}}
    assert charged(allocated, of)["requests.storage"] == 5 * 1024**3
    assert charged({"spec": {"resources": {"requests": {"storage": "1Gi"}}}}, of) == {
        **bare,
        "requests.storage": 1024**3,
    }


def test_the_class_of_a_claim() -> None:
    claim = {
        "spec": {"volumeAttributesClassName": "fast"},
        "status": {
            "currentVolumeAttributesClassName": "slow",
            "modifyVolumeStatus": {"targetVolumeAttributesClassName": "fast"},
        },
    }
    assert classed(claim, kind("PersistentVolumeClaim")) == {"volumeAttributesClass": ["fast", "slow"]}


@pytest.mark.parametrize(
    ("spec", "extra"),
    [
        ({"type": "ClusterIP", "ports": [{}]}, {}),
        ({"type": "NodePort", "ports": [{}, {}]}, {"services.nodeports": 2}),
        ({"type": "LoadBalancer", "ports": [{}]}, {"services.loadbalancers": 1, "services.nodeports": 1}),
        (
            {
                "type": "LoadBalancer",
                "allocateLoadBalancerNodePorts": False,
                "ports": [{"nodePort": 30001}, {}],
            },
            {"services.loadbalancers": 1, "services.nodeports": 1},
        ),
        (
            {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": [{}]},
            {"services.loadbalancers": 1},
        ),
    ],
)
def test_services_are_charged_by_type(spec: dict[str, Any], extra: dict[str, int]) -> None:
    assert CHARGER.charge(kind("Service"), {"spec": spec}) == {"count/services": 1, "services": 1, **extra}


def test_a_namespace_belongs_to_whom_its_label_names() -> None:
    of = kind("Namespace")
    assert CHARGER.tenant(of, {"metadata": {"labels": {"tenancy.moorage.io/tenant": "acme"}}}) == "acme"
    assert CHARGER.tenant(of, {"metadata": {}}) == ""
    assert CHARGER.tenant(POD, {"metadata": {"labels": {"tenancy.moorage.io/tenant": "acme"}}}) is None


def quota(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": "most"}, "spec": spec}


def test_a_quota_sets_rows() -> None:
    hard = {"cpu": "1500m", "requests.memory": "1Gi", "pods": "5", "limits.cpu": "0.0001"}
    limits = CHARGER.limits(kind("ResourceQuota"), quota(hard=hard), None)
    assert limits is not None
    assert limits.scope == "quota/shop/most"
    assert limits.hard == {"cpu": 1500, "requests.memory": 1024**3, "pods": 5, "limits.cpu": 0}
    assert list(limits.matcher) == []


def test_scopes_become_requirements() -> None:
    expressions = [{"scopeName": "PriorityClass", "operator": "In", "values": ["a", "b"]}]
    document = quota(hard={}, scopes=["BestEffort"], scopeSelector={"matchExpressions": expressions})
    limits = CHARGER.limits(kind("ResourceQuota"), document, None)
    assert limits is not None
    assert list(limits.matcher) == [
        {"scope": "BestEffort", "operator": "Exists"},
        {"scope": "PriorityClass", "operator": "In", "values": ["a", "b"]},
    ]


def test_rows_are_set_only_where_they_change() -> None:
    of, old = kind("ResourceQuota"), quota(hard={"pods": "5"})
    assert CHARGER.limits(of, {**old, "status": {"hard": {"pods": "5"}}}, old) is None
    assert CHARGER.limits(of, quota(hard={"pods": "6"}), old) is not None
    assert CHARGER.limits(of, quota(hard={"pods": "5"}, scopes=["BestEffort"]), old) is not None
    assert CHARGER.limits(POD, {"metadata": {"name": "p"}}, None) is None


def test_a_tenant_sets_rows() -> None:
    tenant = {
        "metadata": {"name": "acme"},
        "spec": {"quota": {"hard": {"requests.cpu": "4"}}, "namespaces": {"limit": 3}},
    }
    limits = CHARGER.limits(kind("Tenant", "tenancy.moorage.io"), tenant, None)
    assert limits is not None
    assert (limits.scope, limits.hard) == ("tenant/acme", {"requests.cpu": 4000, "count/namespaces": 3})


def test_a_charge_that_was_seen_before_is_the_same_and_nobody_changes_it_for_the_next() -> None:
    pod = {"spec": {"containers": [container("100m")]}}
    first = CHARGER.charge(POD, pod)
    assert isinstance(first, dict)
    expected = dict(first)
    first["cpu"] = 5
    assert CHARGER.charge(POD, pod) == expected
    held = {"containerStatuses": [{"name": "c", "resources": {"requests": {"cpu": "300m"}}}]}
    assert CHARGER.charge(POD, {**pod, "status": held})["cpu"] == 300
    assert "cpu" not in CHARGER.charge(POD, {**pod, "status": {"phase": "Failed"}})
