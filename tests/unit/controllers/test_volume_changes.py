"""Claims that grow or get a class late, volumes that are emptied and had again, volumes of nodes that are gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from moorage.client.informer import Informers
from moorage.client.objects import Document
from moorage.client.resource import EVENTS, NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES
from moorage.controllers.context import Context
from moorage.controllers.volumes import expansion, provisioning, recycling
from moorage.controllers.volumes.controller import VolumesController
from moorage.controllers.volumes.plan import Assign, Bind, Wait, of_claim
from tests.support import virtual
from tests.unit.controllers.world import World

DONE = {"pv.kubernetes.io/bind-completed": "yes"}


def node(name: str = "n1", disk: str = "10Gi") -> Document:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"capacity": {"ephemeral-storage": disk}},
    }


def claim(size: str = "1Gi", has: str = "1Gi", name: str = "data", **spec: Any) -> Document:
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-of-{name}", "annotations": DONE},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "local",
            "resources": {"requests": {"storage": size}},
            "volumeName": "v",
            **spec,
        },
        "status": {"phase": "Bound", "capacity": {"storage": has}, "accessModes": ["ReadWriteOnce"]},
    }


def volume(size: str = "1Gi", phase: str = "Bound", home: str = "n1", **spec: Any) -> Document:
    csi = {"driver": "local.moorage.io", "volumeHandle": "v", "volumeAttributes": {"node": home}}
    reference = {"namespace": "shop", "name": "data", "uid": "uid-of-data"}
    return {
        "metadata": {
            "name": "v",
            "uid": "uid-of-v",
            "annotations": {"pv.kubernetes.io/provisioned-by": "moorage.io/local"},
        },
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "local",
            "persistentVolumeReclaimPolicy": "Delete",
            "csi": csi,
            "claimRef": reference,
            **spec,
        },
        "status": {"phase": phase},
    }


async def _run(world: World, seconds: float = 40) -> World:
    """The controller against the world for a while of virtual time."""
    informers = Informers(world.client)
    controller = VolumesController(Context(world.client, informers))
    tasks = [asyncio.ensure_future(each) for each in (informers.run(), controller.run())]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return world


def _reasons(world: World) -> set[str]:
    return {str(each["reason"]) for each in world.all(EVENTS)}


def test_a_claim_grows_with_its_volume() -> None:
    async def main() -> World:
        world = World(1)
        world.put(NODES, node())
        world.put(PERSISTENT_VOLUMES, volume())
        grown = claim("3Gi")
        grown["status"]["conditions"] = [{"type": "Other"}, {"type": expansion.FAILED, "message": "x"}]
        world.put(PERSISTENT_VOLUME_CLAIMS, grown)
        return await _run(world)

    world = virtual.run(main())
    (one,), (other,) = world.all(PERSISTENT_VOLUMES), world.all(PERSISTENT_VOLUME_CLAIMS)
    assert one["spec"]["capacity"] == {"storage": "3Gi"}
    assert other["status"]["capacity"] == {"storage": "3Gi"}
    assert other["status"]["allocatedResources"] == {"storage": "3Gi"}
    assert other["status"]["conditions"] == [{"type": "Other"}]
    assert "VolumeResizeSuccessful" in _reasons(world)


def test_a_claim_does_not_outgrow_its_nodes_disk_and_may_take_it_back() -> None:
    async def main() -> tuple[Document, World]:
        world = World(2)
        world.put(NODES, node())
        world.put(PERSISTENT_VOLUMES, volume())
        world.put(PERSISTENT_VOLUME_CLAIMS, claim("11Gi"))
        await _run(world)
        (before,) = world.all(PERSISTENT_VOLUME_CLAIMS)
        spec = {**before["spec"], "resources": {"requests": {"storage": "1Gi"}}}
        world.change(PERSISTENT_VOLUME_CLAIMS, before, spec=spec)
        return before, await _run(world)

    before, world = virtual.run(main())
    (condition,) = before["status"]["conditions"]
    assert condition["type"] == "ControllerResizeError"
    assert condition["message"] == 'node "n1" has 9Gi left for volumes, and 10Gi are asked for'
    assert before["status"]["capacity"] == {"storage": "1Gi"}
    assert world.all(PERSISTENT_VOLUMES)[0]["spec"]["capacity"] == {"storage": "1Gi"}
    assert not world.all(PERSISTENT_VOLUME_CLAIMS)[0]["status"].get("conditions")
    assert "VolumeResizeFailed" in _reasons(world)


def test_a_volume_of_somebody_elses_driver_is_theirs_to_grow() -> None:
    foreign = volume(csi={"driver": "ebs.example.com", "volumeHandle": "h"})
    assert expansion.of(claim("2Gi"), foreign) == expansion.Elsewhere()
    assert expansion.of(claim("1Gi"), foreign) == expansion.Settled(stale=False)
    grown = expansion.of(claim("2Gi", "1Gi"), volume("2Gi"))
    assert grown == expansion.Growth("2Gi", 0)
    large = volume("2Gi")
    large["metadata"]["resourceVersion"] = "7"
    assert [each["name"] for each in expansion.grown(claim("2Gi"), large, "2Gi")] == ["data"]


@pytest.mark.parametrize(
    ("document", "default", "plan"),
    [
        (claim(storageClassName=None, volumeName=""), "local", Assign("local")),
        (claim(storageClassName="", volumeName=""), "local", None),
        (claim(storageClassName=None, volumeName=""), "", None),
    ],
)
def test_the_default_class_comes_late(document: Document, default: str, plan: Assign | None) -> None:
    document["metadata"]["annotations"] = {}
    found = of_claim(document, None, [], None, None, default)
    message = "no persistent volumes available for this claim and no storage class is set"
    assert found == (plan or Wait("Normal", "FailedBinding", message))
    fitting = volume(storageClassName="", phase="Available", claimRef=None)
    assert isinstance(of_claim(document, None, [fitting], None, None, default), Bind)


def test_a_claim_that_waits_without_a_class_gets_the_default_one_when_there_is_one() -> None:
    async def main() -> World:
        world = World(3)
        waiting = claim(storageClassName=None, volumeName="")
        waiting["metadata"]["annotations"], waiting["status"] = {}, {}
        world.put(PERSISTENT_VOLUME_CLAIMS, waiting)
        running = asyncio.ensure_future(_run(world, 120))
        await asyncio.sleep(30)
        assert "storageClassName" not in _set(world.all(PERSISTENT_VOLUME_CLAIMS)[0]["spec"])
        mark = {"storageclass.kubernetes.io/is-default-class": "true"}
        for name, made in (("older", "2026-01-01T00:00:00Z"), ("newer", "2026-02-01T00:00:00Z")):
            metadata = {"name": name, "annotations": mark, "creationTimestamp": made}
            world.put(STORAGE_CLASSES, {"metadata": metadata, "provisioner": "none"})
        await world.notify()
        return await running

    (given,) = virtual.run(main()).all(PERSISTENT_VOLUME_CLAIMS)
    assert given["spec"]["storageClassName"] == "newer"


def _set(spec: Document) -> set[str]:
    return {name for name, value in spec.items() if value is not None}


def test_no_folder_is_promised_that_the_disk_cannot_hold() -> None:
    late = {
        "metadata": {"name": "local"},
        "provisioner": "moorage.io/local",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    there = [volume("6Gi")]
    assert provisioning.why_not(claim("4Gi"), late, node(), there) == ""
    assert provisioning.why_not(claim("5Gi"), late, node(), there) == (
        'node "n1" has 4Gi left for volumes, and 5Gi are asked for'
    )
    assert provisioning.why_not(claim("5Gi"), late, {**node(), "status": {}}, there) == ""
    here = {"matchLabelExpressions": [{"key": "kubernetes.io/hostname", "values": ["n2", "n3"]}]}
    assert provisioning.why_not(claim("1Gi"), {**late, "allowedTopologies": [here]}, node("n2")) == ""
    left_out = provisioning.why_not(claim("1Gi"), {**late, "allowedTopologies": [here]}, node("n1"))
    assert left_out == 'allowedTopologies of the class leave out node "n1"'


def test_a_claim_says_for_whose_place_it_waits() -> None:
    async def main() -> set[str]:
        world = World(9)
        late = {"metadata": {"name": "local"}, "provisioner": "moorage.io/local"}
        world.put(STORAGE_CLASSES, {**late, "volumeBindingMode": "WaitForFirstConsumer"})
        waiting = claim(volumeName="")
        waiting["metadata"]["annotations"], waiting["status"] = {}, {}
        world.put(PERSISTENT_VOLUME_CLAIMS, waiting)
        await _run(world)
        uses = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
        for name in ("b", "a"):
            world.put(
                PODS, {"metadata": {"namespace": "shop", "name": name}, "spec": {"volumes": uses, "containers": []}}
            )
        await _run(world)
        return {f"{each['reason']}: {each.get('message') or each.get('note')}" for each in world.all(EVENTS)}

    assert virtual.run(main()) == {
        "WaitForFirstConsumer: waiting for first consumer to be created before binding",
        "WaitForPodScheduled: waiting for pods a,b to be scheduled",
    }


@pytest.mark.parametrize(("nodes", "left"), [(["n1"], 1), (["n2"], 0)])
def test_a_released_folder_of_a_lost_node_is_given_up(nodes: list[str], left: int) -> None:
    async def main() -> World:
        world = World(4)
        for name in nodes:
            world.put(NODES, node(name))
        world.put(PERSISTENT_VOLUMES, volume(phase="Released"))
        return await _run(world)

    assert len(virtual.run(main()).all(PERSISTENT_VOLUMES)) == left


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"phase": "Bound"}, 1),
        ({"phase": "Released"}, 1),
        ({"phase": "Released", "persistentVolumeReclaimPolicy": "Retain"}, 0),
        ({"phase": "Available", "claimRef": None}, 0),
    ],
)
def test_a_folder_holds_its_volume_back_while_it_is_to_be_emptied(changes: dict[str, Any], left: int) -> None:
    async def main() -> World:
        world = World(8)
        world.put(NODES, node())
        made = volume(**changes)
        made["metadata"] |= {"finalizers": ["volumes.moorage.io/folder"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
        world.put(PERSISTENT_VOLUMES, made)
        if changes["phase"] == "Bound":
            world.put(PERSISTENT_VOLUME_CLAIMS, claim())
        return await _run(world)

    assert len(virtual.run(main()).all(PERSISTENT_VOLUMES)) == left


def recyclable() -> Document:
    made = volume(phase="Released", csi=None, hostPath={"path": "/srv/v"}, persistentVolumeReclaimPolicy="Recycle")
    made["metadata"]["annotations"] = {recycling.IMAGE_ANNOTATION: "shell:1"}
    return made


def _ended(world: World, phase: str, **status: Any) -> None:
    (recycler,) = world.all(PODS)
    world.change(PODS, recycler, status={"phase": phase, **status})


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_recycler_empties_a_volume(phase: str) -> None:
    async def main() -> tuple[Document, World]:
        world = World(5)
        world.put(PERSISTENT_VOLUMES, recyclable())
        running = asyncio.ensure_future(_run(world, 200))
        await asyncio.sleep(30)
        (recycler,) = world.all(PODS)
        _ended(world, phase, message="out of time")
        await world.notify()
        await running
        return recycler, world

    recycler, world = virtual.run(main())
    assert (recycler["metadata"]["namespace"], recycler["metadata"]["name"]) == ("kube-system", "recycler-for-v")
    assert recycler["metadata"]["ownerReferences"][0]["uid"] == "uid-of-v"
    assert recycler["spec"]["containers"][0]["image"] == "shell:1"
    assert recycler["spec"]["volumes"] == [{"name": "scrub", "hostPath": {"path": "/srv/v"}}]
    assert recycler["spec"]["activeDeadlineSeconds"] == 90
    (one,) = world.all(PERSISTENT_VOLUMES)
    assert world.all(PODS) == []
    if phase == "Succeeded":
        assert "claimRef" not in one["spec"]
        assert one["status"]["phase"] == "Available"
        assert "VolumeRecycled" in _reasons(world)
    else:
        assert one["status"]["phase"] == "Failed"
        assert one["status"]["message"] == "Recycle failed: out of time"
        assert "VolumeFailedRecycle" in _reasons(world)


def test_what_a_recycler_did_for_an_earlier_claim_counts_for_nothing() -> None:
    async def main() -> tuple[Document, World]:
        world = World(7)
        released = recyclable()
        world.put(PERSISTENT_VOLUMES, released)
        earlier = recycling.pod({**released, "spec": {**released["spec"], "claimRef": {"uid": "earlier"}}})
        world.put(PODS, {**earlier, "status": {"phase": "Succeeded"}})
        await _run(world, 60)
        (recycler,) = world.all(PODS)
        return recycler, world

    recycler, world = virtual.run(main())
    (one,) = world.all(PERSISTENT_VOLUMES)
    assert one["status"]["phase"] == "Released"
    assert recycling.emptied_of(recycler) == recycling.claim_of(one) != "earlier"


def test_a_pod_of_somebody_else_is_no_recycler() -> None:
    async def main() -> World:
        world = World(6)
        world.put(PERSISTENT_VOLUMES, recyclable())
        metadata = {"namespace": "kube-system", "name": "recycler-for-v"}
        world.put(PODS, {"metadata": metadata, "spec": {"containers": []}, "status": {"phase": "Succeeded"}})
        return await _run(world)

    world = virtual.run(main())
    assert world.all(PERSISTENT_VOLUMES)[0]["status"]["phase"] == "Failed"
    assert len(world.all(PODS)) == 1


def test_names_of_recyclers_are_names() -> None:
    long = recyclable()
    long["metadata"]["name"] = "v" * 253
    name = recycling.name_of(long).name
    assert len(name) == 253
    other = recyclable()
    other["metadata"]["name"] = "v" * 252 + "w"
    assert recycling.name_of(other).name != name
    assert recycling.can(recyclable())
    assert not recycling.can(volume())
