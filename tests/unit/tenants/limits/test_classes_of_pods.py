"""Priority classes, runtime classes and storage classes as admissions."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.resources.kind import Document
from moorage_tenants.limits.claims import Claims
from moorage_tenants.limits.priorities import Priorities
from moorage_tenants.limits.runtime_classes import RuntimeClasses
from tests.unit.tenants.limits.asking import World, admitted, asked, kind, pod

POD, CLAIM = kind("Pod"), kind("PersistentVolumeClaim")
PRIORITY_CLASS = kind("PriorityClass", "scheduling.k8s.io")


def priority(name: str, value: int, **more: Any) -> Document:
    metadata = {"name": name}
    return {
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": metadata, "value": value, **more,
    }  # fmt: skip


HIGH = priority("high", 1000, preemptionPolicy="Never")
USUAL = priority("usual", 5, globalDefault=True)


@pytest.mark.parametrize(
    ("classes", "spec", "expected"),
    [
        ([], {}, (None, 0, "PreemptLowerPriority")),
        ([HIGH, USUAL], {}, ("usual", 5, "PreemptLowerPriority")),
        ([HIGH, USUAL], {"priorityClassName": "high"}, ("high", 1000, "Never")),
        ([HIGH], {"priorityClassName": "high", "priority": 1000}, ("high", 1000, "Never")),
    ],
)
async def test_a_class_becomes_a_number(classes: list[Document], spec: dict[str, Any], expected: Any) -> None:
    document = pod(**spec)
    assert await admitted(Priorities(), asked(World(*classes), POD, document)) == []
    got = document["spec"]
    assert (got.get("priorityClassName"), got["priority"], got["preemptionPolicy"]) == expected


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"priorityClassName": "none"}, "no PriorityClass with name none was found"),
        (
            {"priorityClassName": "high", "priority": 7},
            "the integer value of priority (7) must not be provided in pod spec; priority admission controller computed "
            "1000 from the given PriorityClass name",
        ),
        (
            {"priority": 7},
            "the integer value of priority (7) must not be provided in pod spec; priority admission controller computed "
            "0 from the given PriorityClass name",
        ),
        (
            {"priorityClassName": "high", "preemptionPolicy": "PreemptLowerPriority"},
            "the string value of PreemptionPolicy (PreemptLowerPriority) must not be provided in pod spec; priority "
            "admission controller computed Never from the given PriorityClass name",
        ),
    ],
)
async def test_nobody_makes_up_a_priority(spec: dict[str, Any], problem: str) -> None:
    assert await admitted(Priorities(), asked(World(HIGH), POD, pod(**spec))) == [problem]


async def test_an_update_keeps_what_it_leaves_out() -> None:
    old = pod(priority=1000, preemptionPolicy="Never", priorityClassName="high")
    new = pod(priorityClassName="high")
    assert await admitted(Priorities(), asked(World(), POD, new, old)) == []
    assert (new["spec"]["priority"], new["spec"]["preemptionPolicy"]) == (1000, "Never")


async def test_there_is_one_default() -> None:
    second = priority("second", 9, globalDefault=True)
    assert await admitted(Priorities(), asked(World(USUAL), PRIORITY_CLASS, second)) == [
        "PriorityClass usual is already marked as default. Only one default can exist"
    ]
    assert await admitted(Priorities(), asked(World(USUAL), PRIORITY_CLASS, dict(USUAL), USUAL)) == []


def runtime(name: str, **more: Any) -> Document:
    return {
        "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": "runc", **more,
    }  # fmt: skip


HEAVY = runtime(
    "heavy",
    overhead={"podFixed": {"cpu": "250m"}},
    scheduling={"nodeSelector": {"pool": "kata"}, "tolerations": [{"key": "kata", "operator": "Exists"}]},
)


async def test_a_runtime_class_adds_what_it_takes() -> None:
    document = pod(
        runtimeClassName="heavy", nodeSelector={"zone": "a"}, tolerations=[{"key": "x", "operator": "Exists"}]
    )
    assert await admitted(RuntimeClasses(), asked(World(HEAVY), POD, document)) == []
    spec = document["spec"]
    assert spec["overhead"] == {"cpu": "250m"}
    assert spec["nodeSelector"] == {"zone": "a", "pool": "kata"}
    assert [each["key"] for each in spec["tolerations"]] == ["x", "kata"]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"runtimeClassName": "gone"}, 'pod rejected: RuntimeClass "gone" not found'),
        (
            {"overhead": {"cpu": "1"}},
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
        (
            {"runtimeClassName": "heavy", "overhead": {"cpu": "1"}},
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
        ),
        (
            {"runtimeClassName": "heavy", "nodeSelector": {"pool": "other"}},
            "conflict: runtimeClass.scheduling.nodeSelector[pool] = kata; pod.spec.nodeSelector[pool] = other",
        ),
        ({"runtimeClassName": "heavy", "overhead": {"cpu": "0.25"}}, None),
        ({}, None),
    ],
)
async def test_what_a_runtime_class_refuses(spec: dict[str, Any], problem: str | None) -> None:
    expected = [] if problem is None else [problem]
    assert await admitted(RuntimeClasses(), asked(World(HEAVY), POD, pod(**spec))) == expected


def storage(name: str, made: str, default: bool, **more: Any) -> Document:
    annotations = {"storageclass.kubernetes.io/is-default-class": str(default).lower()}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "creationTimestamp": made, "annotations": annotations},
        "provisioner": "moorage.io/local",
        **more,
    }


def claim(size: str = "1Gi", phase: str = "Bound", **spec: Any) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": "shop", "name": "data"},
        "spec": {"resources": {"requests": {"storage": size}}, **spec},
        "status": {"phase": phase},
    }


@pytest.mark.parametrize(
    ("classes", "spec", "expected"),
    [
        ([], {}, None),
        ([storage("a", "2026-01-01T00:00:00Z", False)], {}, None),
        ([storage("a", "2026-01-01T00:00:00Z", True), storage("b", "2026-01-02T00:00:00Z", True)], {}, "b"),
        ([storage("b", "2026-01-01T00:00:00Z", True), storage("a", "2026-01-01T00:00:00Z", True)], {}, "a"),
        ([storage("a", "2026-01-01T00:00:00Z", True)], {"storageClassName": ""}, ""),
        ([storage("a", "2026-01-01T00:00:00Z", True)], {"storageClassName": "own"}, "own"),
    ],
)
async def test_claims_get_the_default_class(
    classes: list[Document], spec: dict[str, Any], expected: str | None
) -> None:
    document = claim(**spec)
    assert await admitted(Claims(), asked(World(*classes), CLAIM, document)) == []
    assert document["spec"].get("storageClassName") == expected


@pytest.mark.parametrize(
    ("phase", "expandable", "size", "problem"),
    [
        ("Bound", True, "2Gi", None),
        ("Bound", False, "1Gi", None),
        ("Pending", True, "2Gi", "Only bound persistent volume claims can be expanded"),
        (
            "Bound",
            False,
            "2Gi",
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support "
            "resize",
        ),
    ],
)
async def test_claims_grow_where_their_class_allows_it(
    phase: str, expandable: bool, size: str, problem: str | None
) -> None:
    world = World(storage("gold", "2026-01-01T00:00:00Z", False, allowVolumeExpansion=expandable))
    old, new = (claim(each, phase, storageClassName="gold") for each in ("1Gi", size))
    assert await admitted(Claims(), asked(world, CLAIM, new, old)) == ([] if problem is None else [problem])
