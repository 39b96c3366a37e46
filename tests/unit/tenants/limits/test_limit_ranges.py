"""Limit ranges: what they add and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.resources.kind import Document
from moorage_tenants.limits.limit_ranges import LimitRanger
from tests.unit.tenants.limits.asking import World, admitted, asked, containers, kind, pod

POD, CLAIM = kind("Pod"), kind("PersistentVolumeClaim")


def limit_range(*items: Document, name: str = "bounds", namespace: str = "shop") -> Document:
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"limits": list(items)},
    }


def claim(size: str) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": "shop", "name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }


async def test_defaults_go_where_nothing_is_said() -> None:
    world = World(
        limit_range(
            {"type": "Container", "default": {"cpu": "2", "memory": "1Gi"}, "defaultRequest": {"cpu": "500m"}},
        )
    )
    document = pod(
        containers=[*containers(({"cpu": "1"}, {})), {"name": "bare", "image": "x"}],
        initContainers=[{"name": "first", "image": "x"}],
    )
    assert await admitted(LimitRanger(), asked(world, POD, document)) == []
    one, bare = document["spec"]["containers"]
    assert one["resources"] == {
        "requests": {"cpu": "1", "memory": "1Gi"},
        "limits": {"cpu": "2", "memory": "1Gi"},
    }
    expected = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}
    assert bare["resources"] == document["spec"]["initContainers"][0]["resources"] == expected
    assert document["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: memory request for container c0; cpu, memory limit for container c0; "
        "cpu, memory request for container bare; cpu, memory limit for container bare; "
        "cpu, memory request for init container first; cpu, memory limit for init container first"
    )


async def test_other_namespaces_are_left_alone() -> None:
    world = World(limit_range({"type": "Container", "default": {"cpu": "2"}}, namespace="other"))
    document = pod()
    assert await admitted(LimitRanger(), asked(world, POD, document)) == []
    assert "annotations" not in document["metadata"]


@pytest.mark.parametrize(
    ("item", "requests", "limits", "problems"),
    [
        ({"min": {"cpu": "100m"}}, {"cpu": "50m"}, {"cpu": "200m"},
         ["minimum cpu usage per Container is 100m, but request is 50m"]),
        ({"min": {"memory": "1Gi"}, "defaultRequest": {}}, {"memory": "2Gi"}, {"memory": "2Gi"}, []),
        ({"max": {"cpu": "1"}}, {"cpu": "2"}, {"cpu": "2"}, ["maximum cpu usage per Container is 1, but limit is 2"]),
        ({"max": {"cpu": "1"}}, {}, {}, []),
        ({"maxLimitRequestRatio": {"cpu": "2"}}, {"cpu": "100m"}, {"cpu": "1"},
         ["cpu max limit to request ratio per Container is 2, but provided ratio is 10.000000"]),
        ({"maxLimitRequestRatio": {"cpu": "2"}}, {}, {},
         ["cpu max limit to request ratio per Container is 2, but no request is specified or request is 0"]),
        ({"maxLimitRequestRatio": {"cpu": "2"}}, {"cpu": "1"}, {},
         ["cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0"]),
        ({"maxLimitRequestRatio": {"memory": "1500m"}}, {"memory": "2Gi"}, {"memory": "3Gi"}, []),
        ({"min": {"cpu": "1", "memory": "1Gi"}}, {"cpu": "1m", "memory": "1Mi"}, {},
         ["[minimum cpu usage per Container is 1, but request is 1m, "
          "minimum memory usage per Container is 1Gi, but request is 1Mi]"]),
    ],
)  # fmt: skip
async def test_containers_are_bounded(
    item: dict[str, Any], requests: dict[str, str], limits: dict[str, str], problems: list[str]
) -> None:
    world = World(limit_range({"type": "Container", **item}))
    document = pod(containers=containers((requests, limits)))
    assert await admitted(LimitRanger(), asked(world, POD, document)) == problems


@pytest.mark.parametrize(
    ("item", "problems"),
    [
        ({"max": {"cpu": "2"}}, ["maximum cpu usage per Pod is 2, but limit is 4"]),
        ({"max": {"memory": "1Gi"}}, ["maximum memory usage per Pod is 1Gi.  No limit is specified"]),
        ({"min": {"memory": "1Gi"}}, ["minimum memory usage per Pod is 1Gi.  No request is specified"]),
        ({"min": {"cpu": "3"}}, ["minimum cpu usage per Pod is 3, but request is 2"]),
        ({"max": {"cpu": "4"}, "min": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "2"}}, []),
    ],
)
async def test_pods_are_bounded_as_a_whole(item: dict[str, Any], problems: list[str]) -> None:
    world = World(limit_range({"type": "Pod", **item}))
    document = pod(containers=containers(({"cpu": "1"}, {"cpu": "2"}), ({"cpu": "1"}, {"cpu": "2"})))
    assert await admitted(LimitRanger(), asked(world, POD, document)) == problems


async def test_init_containers_are_bounded_too() -> None:
    world = World(limit_range({"type": "Container", "max": {"cpu": "1"}}))
    heavy = containers(({"cpu": "3"}, {"cpu": "3"}))
    document = pod(initContainers=heavy)
    assert await admitted(LimitRanger(), asked(world, POD, document)) == [
        "maximum cpu usage per Container is 1, but limit is 3"
    ]


@pytest.mark.parametrize(
    ("size", "problems"),
    [
        ("1Gi", ["minimum storage usage per PersistentVolumeClaim is 2Gi, but request is 1Gi"]),
        ("5Gi", []),
        ("20Gi", ["maximum storage usage per PersistentVolumeClaim is 10Gi, but request is 20Gi"]),
    ],
)
async def test_claims_are_bounded(size: str, problems: list[str]) -> None:
    bounds = {"type": "PersistentVolumeClaim", "min": {"storage": "2Gi"}, "max": {"storage": "10Gi"}}
    world = World(limit_range(bounds))
    assert await admitted(LimitRanger(), asked(world, CLAIM, claim(size))) == problems
    assert await admitted(LimitRanger(), asked(world, CLAIM, claim(size), claim("5Gi"))) == problems


async def test_a_pod_is_looked_at_again_only_when_it_is_resized() -> None:
    world = World(limit_range({"type": "Container", "max": {"cpu": "1"}}))
    heavy = pod(containers=containers(({"cpu": "3"}, {"cpu": "3"})))
    assert await admitted(LimitRanger(), asked(world, POD, heavy, pod())) == []
    assert await admitted(LimitRanger(), asked(world, POD, heavy, operation="CREATE", subresource="binding")) == []
    assert await admitted(LimitRanger(), asked(world, POD, heavy, pod(), subresource="resize")) == [
        "maximum cpu usage per Container is 1, but limit is 3"
    ]


async def test_what_is_going_is_left_alone() -> None:
    going = claim("20Gi")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world = World(limit_range({"type": "PersistentVolumeClaim", "max": {"storage": "10Gi"}}))
    assert await admitted(LimitRanger(), asked(world, CLAIM, claim("20Gi"), going)) == []


async def test_a_changed_range_counts_at_once() -> None:
    world = World(limit_range({"type": "Container", "max": {"cpu": "1"}}))
    admission = LimitRanger()
    heavy = pod(containers=containers(({"cpu": "3"}, {"cpu": "3"})))
    assert await admitted(admission, asked(world, POD, heavy))
    world.put(limit_range({"type": "Container", "max": {"cpu": "4"}}))
    assert await admitted(admission, asked(world, POD, heavy)) == []
