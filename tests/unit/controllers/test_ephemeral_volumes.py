"""Claims of generic ephemeral volumes: one for each, the pod's own, and never somebody else's."""

from __future__ import annotations

import asyncio
from typing import Any

from moorage.client.informer import Informers
from moorage.client.objects import Document
from moorage.client.resource import EVENTS, PERSISTENT_VOLUME_CLAIMS, PODS
from moorage.controllers.context import Context
from moorage.controllers.volumes.ephemeral import EphemeralVolumesController, conflict, wanted
from tests.support import virtual
from tests.unit.controllers.world import World

SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def pod(name: str = "web", **metadata: Any) -> Document:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": SPEC}
    volumes = [
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
    ]
    about = {"name": name, "namespace": "shop", "uid": f"uid-of-{name}", **metadata}
    return {"metadata": about, "spec": {"containers": [], "volumes": volumes}}


def test_the_claim_is_the_pods_own() -> None:
    ((name, claim),) = wanted(pod())
    assert name == "scratch"
    assert claim["spec"] == SPEC
    assert claim["metadata"] == {
        "name": "web-scratch",
        "namespace": "shop",
        "labels": {"a": "b"},
        "ownerReferences": [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": "web",
                "uid": "uid-of-web",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    assert conflict(pod(), claim) == ""
    assert conflict(pod(uid="another"), claim) == (
        "PVC shop/web-scratch was not created for pod shop/web (pod is not owner)"
    )


async def _run(world: World, seconds: float) -> None:
    informers = Informers(world.client)
    controller = EphemeralVolumesController(Context(world.client, informers))
    tasks = [asyncio.ensure_future(each) for each in (informers.run(), controller.run())]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_claims_are_made_once_and_not_for_pods_that_go() -> None:
    async def main() -> World:
        world = World(1)
        world.put(PODS, pod())
        world.put(PODS, pod("going", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["x"]))
        await _run(world, 20)
        await _run(world, 20)
        return world

    (made,) = virtual.run(main()).all(PERSISTENT_VOLUME_CLAIMS)
    assert made["metadata"]["name"] == "web-scratch"


def test_a_taken_name_is_told_of_and_used_once_it_is_free() -> None:
    async def main() -> tuple[list[Document], Document | None]:
        world = World(2)
        taken = world.put(
            PERSISTENT_VOLUME_CLAIMS, {"metadata": {"name": "web-scratch", "namespace": "shop"}, "spec": SPEC}
        )
        world.put(PODS, pod())
        running = asyncio.ensure_future(_run(world, 300))
        await asyncio.sleep(60)
        events = world.all(EVENTS)
        assert world.find(PERSISTENT_VOLUME_CLAIMS, "web-scratch", "shop") == taken
        gone = {
            "verb": "delete",
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": "shop",
            "name": "web-scratch",
        }
        await world.batch([gone])
        await running
        return events, world.find(PERSISTENT_VOLUME_CLAIMS, "web-scratch", "shop")

    events, claim = virtual.run(main())
    said = {(each["reason"], each.get("message") or each.get("note")) for each in events}
    assert said == {
        (
            "FailedBinding",
            "ephemeral volume scratch: PVC shop/web-scratch was not created for pod shop/web (pod is not owner)",
        )
    }
    assert claim is not None
    assert claim["metadata"]["ownerReferences"][0]["uid"] == "uid-of-web"
