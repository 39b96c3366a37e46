"""What quotas ask of a pod beside fitting in."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.resources.kind import Document
from moorage_tenants.limits.classes import matches
from moorage_tenants.limits.requirements import QuotaRequirements
from tests.unit.tenants.limits.asking import World, admitted, asked, containers, kind, pod

POD = kind("Pod")


def quota(name: str, hard: dict[str, str], **spec: Any) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"namespace": "shop", "name": name},
        "spec": {"hard": hard, **spec},
    }


@pytest.mark.parametrize(
    ("hard", "problems"),
    [
        ({"pods": "1", "requests.ephemeral-storage": "1Gi"}, []),
        ({"cpu": "1"}, ["failed quota: most: must specify cpu for: c1"]),
        ({"requests.cpu": "1"}, ["failed quota: most: must specify requests.cpu for: c1"]),
        ({"limits.cpu": "1", "limits.memory": "1"},
         ["failed quota: most: must specify limits.cpu for: c1; limits.memory for: c0,c1"]),
    ],
)  # fmt: skip
async def test_containers_say_what_is_counted(hard: dict[str, str], problems: list[str]) -> None:
    world = World(quota("most", hard))
    document = pod(containers=containers(({"cpu": "1"}, {"cpu": "1"}), ({}, {})))
    assert await admitted(QuotaRequirements(), asked(world, POD, document)) == problems


async def test_a_quota_with_other_scopes_asks_nothing() -> None:
    world = World(quota("most", {"requests.cpu": "1"}, scopes=["Terminating"]))
    assert await admitted(QuotaRequirements(), asked(world, POD, pod())) == []
    assert await admitted(QuotaRequirements(), asked(world, POD, pod(activeDeadlineSeconds=5))) == [
        "failed quota: most: must specify requests.cpu for: c"
    ]


async def test_a_pod_may_say_it_as_a_whole() -> None:
    world = World(quota("most", {"requests.cpu": "1"}))
    whole = pod(resources={"requests": {"cpu": "1"}})
    assert await admitted(QuotaRequirements(), asked(world, POD, whole)) == []


async def test_every_quota_that_fails_is_named() -> None:
    world = World(quota("a", {"cpu": "1"}), quota("b", {"memory": "1"}))
    assert await admitted(QuotaRequirements(), asked(world, POD, pod())) == [
        "[failed quota: a: must specify cpu for: c, failed quota: b: must specify memory for: c]"
    ]


@pytest.mark.parametrize(
    ("requirement", "of", "holds"),
    [
        ({"scope": "BestEffort", "operator": "Exists"}, {"scopes": ["BestEffort"]}, True),
        ({"scope": "BestEffort", "operator": "Exists"}, {"scopes": ["NotBestEffort"]}, False),
        ({"scope": "BestEffort", "operator": "Exists"}, {}, False),
        ({"scope": "PriorityClass", "operator": "Exists"}, {"priorityClass": "a"}, True),
        ({"scope": "PriorityClass", "operator": "Exists"}, {}, False),
        ({"scope": "PriorityClass", "operator": "DoesNotExist"}, {}, True),
        ({"scope": "PriorityClass", "operator": "DoesNotExist"}, {"priorityClass": "a"}, False),
        ({"scope": "PriorityClass", "operator": "In", "values": ["a", "b"]}, {"priorityClass": "a"}, True),
        ({"scope": "PriorityClass", "operator": "In", "values": ["ab"]}, {"priorityClass": "a"}, False),
        ({"scope": "PriorityClass", "operator": "NotIn", "values": ["b"]}, {"priorityClass": "a"}, True),
        ({"scope": "PriorityClass", "operator": "NotIn", "values": ["a"]}, {"priorityClass": "a"}, False),
        ({"scope": "PriorityClass", "operator": "NotIn", "values": ["a"]}, {}, True),
        ({"scope": "VolumeAttributesClass", "operator": "In", "values": ["x"]}, {"volumeAttributesClass": ["x", "y"]}, True),
        ({"scope": "VolumeAttributesClass", "operator": "In", "values": ["z"]}, {"volumeAttributesClass": ["x"]}, False),
        ({"scope": "VolumeAttributesClass", "operator": "NotIn", "values": ["x"]}, {"volumeAttributesClass": ["x", "y"]}, True),
    ],
)  # fmt: skip
def test_operators(requirement: dict[str, Any], of: dict[str, Any], holds: bool) -> None:
    assert matches([requirement], of) is holds


@pytest.mark.parametrize(
    ("hard", "requests", "problems"),
    [
        ({"requests.cpu": "1"}, {}, 1),
        ({"requests.cpu": "1"}, {"cpu": "1"}, 0),
        ({"pods": "1"}, {}, 0),
    ],
)
async def test_a_tenants_quota_asks_the_same(hard: dict[str, str], requests: dict[str, str], problems: int) -> None:
    label = {"tenancy.moorage.io/tenant": "blue"}
    world = World(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": label}},
        {
            "apiVersion": "tenancy.moorage.io/v1",
            "kind": "Tenant",
            "metadata": {"name": "blue"},
            "spec": {"quota": {"hard": hard}},
        },
    )
    document = pod(containers=containers((requests, {})))
    told = await admitted(QuotaRequirements(), asked(world, POD, document))
    assert len(told) == problems
    assert not told or told[0].startswith(
        'failed quota of tenant "blue": must specify requests.cpu for: c0. Let the container request it'
    )
