"""What keeps claims and volumes, and what lets them go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from moorage.client.informer import Informers
from moorage.client.resource import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, VOLUME_ATTRIBUTES_CLASSES
from moorage.controllers.context import Context
from moorage.controllers.protection.controller import ProtectionController
from moorage.controllers.protection.decide import attributes_classes, claims_of, is_bound, release, waits
from tests.support import virtual
from tests.unit.controllers.world import World

CLAIM = "kubernetes.io/pvc-protection"
GOING = "2026-01-01T00:00:00Z"


def pod(**spec: Any) -> dict[str, Any]:
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "db"}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
        {"name": "tmp", "emptyDir": {}},
    ]
    return {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"volumes": volumes, **spec}}


def test_claims_of_a_pod() -> None:
    assert list(claims_of(pod(nodeName="n1"))) == ["db", "web-scratch"]
    assert list(claims_of(pod())) == []


def test_a_claim_of_its_own_is_free_when_the_node_is_done_with_the_pod() -> None:
    ended = pod(nodeName="n1")
    ended["metadata"].update(deletionTimestamp=GOING, deletionGracePeriodSeconds=30)
    assert list(claims_of(ended)) == ["db", "web-scratch"]
    ended["metadata"]["deletionGracePeriodSeconds"] = 0
    assert list(claims_of(ended)) == ["db"]


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"finalizers": [CLAIM]}, False),
        ({"deletionTimestamp": GOING}, False),
        ({"deletionTimestamp": GOING, "finalizers": ["other"]}, False),
        ({"deletionTimestamp": GOING, "finalizers": ["other", CLAIM]}, True),
    ],
)
def test_who_waits(metadata: dict[str, Any], found: bool) -> None:
    assert waits(PERSISTENT_VOLUME_CLAIMS, {"metadata": metadata}) is found


def test_a_release_leaves_the_finalizers_of_others() -> None:
    metadata = {"name": "db", "namespace": "shop", "uid": "u", "resourceVersion": "7", "finalizers": ["other", CLAIM]}
    assert release(PERSISTENT_VOLUME_CLAIMS, {"metadata": metadata})["patch"]["metadata"] == {
        "uid": "u",
        "resourceVersion": "7",
        "finalizers": ["other"],
    }


def test_a_bound_volume_stays() -> None:
    assert is_bound({"status": {"phase": "Bound"}})
    assert not is_bound({"status": {"phase": "Released"}})
    volume = {"metadata": {"deletionTimestamp": GOING, "finalizers": ["kubernetes.io/pv-protection"]}}
    assert waits(PERSISTENT_VOLUMES, volume)


def test_classes_of_attributes_are_in_use_while_a_claim_has_or_wants_them() -> None:
    claim = {
        "spec": {"volumeAttributesClassName": "gold"},
        "status": {
            "currentVolumeAttributesClassName": "silver",
            "modifyVolumeStatus": {"targetVolumeAttributesClassName": "gold"},
        },
    }
    assert attributes_classes(claim) == {"gold", "silver"}
    assert attributes_classes({"spec": {"volumeAttributesClassName": "x"}}) == {"x"}
    assert attributes_classes({}) == set()


async def _run(world: World, seconds: float) -> None:
    informers = Informers(world.client)
    controller = ProtectionController(Context(world.client, informers))
    tasks = [asyncio.ensure_future(each) for each in (informers.run(), controller.run())]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_class_of_attributes_goes_when_its_last_user_is_gone() -> None:
    async def main() -> tuple[int, int]:
        world = World(1)
        kept = "kubernetes.io/vac-protection"
        metadata = {"name": "gold", "finalizers": [kept], "deletionTimestamp": GOING}
        world.put(VOLUME_ATTRIBUTES_CLASSES, {"metadata": metadata})
        using = world.put(
            PERSISTENT_VOLUME_CLAIMS,
            {"metadata": {"name": "db", "namespace": "shop"}, "spec": {"volumeAttributesClassName": "gold"}},
        )
        running = asyncio.ensure_future(_run(world, 60))
        await asyncio.sleep(30)
        before = len(world.all(VOLUME_ATTRIBUTES_CLASSES))
        world.change(PERSISTENT_VOLUME_CLAIMS, using, spec={"volumeAttributesClassName": "silver"})
        await world.notify()
        await running
        return before, len(world.all(VOLUME_ATTRIBUTES_CLASSES))

    assert virtual.run(main()) == (1, 0)
