"""Claims and volumes: which go together, and what becomes of each."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from moorage.client.informer import Informers
from moorage.client.objects import Document
from moorage.client.resource import NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES
from moorage.controllers.context import Context
from moorage.controllers.volumes import provisioning
from moorage.controllers.volumes.controller import VolumesController
from moorage.controllers.volumes.matching import best, why_not
from moorage.controllers.volumes.plan import (
    Bind,
    Leave,
    Lose,
    Provision,
    Reclaim,
    Turn,
    Unbind,
    Wait,
    of_claim,
    of_volume,
)
from moorage.resources.storage import home_of
from tests.support import virtual
from tests.unit.controllers.world import World

DONE = {"pv.kubernetes.io/bind-completed": "yes"}
BY_US = {"pv.kubernetes.io/bound-by-controller": "yes"}
NODE = {"metadata": {"name": "n1", "labels": {"kubernetes.io/hostname": "n1"}}}


def volume(name: str = "v", size: str = "1Gi", phase: str = "Available", **spec: Any) -> Document:
    labels, annotations = spec.pop("labels", {}), spec.pop("annotations", {})
    return {
        "metadata": {"name": name, "uid": f"{name}-uid", "labels": labels, "annotations": annotations},
        "spec": {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "slow", **spec},
        "status": {"phase": phase},
    }


def claim(size: str = "1Gi", **spec: Any) -> Document:
    annotations = spec.pop("annotations", {})
    return {
        "metadata": {"name": "data", "namespace": "shop", "uid": "claim-uid", "annotations": annotations},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "slow",
            "resources": {"requests": {"storage": size}},
            **spec,
        },
    }


def held(uid: str = "", name: str = "data") -> Document:
    reference = {"namespace": "shop", "name": name}
    return {**reference, "uid": uid} if uid else reference


def on(*names: str) -> Document:
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": list(names)}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [
        (claim("2Gi"), volume(size="1Gi")),
        (claim(storageClassName="fast"), volume()),
        (claim(volumeMode="Block"), volume()),
        (claim(accessModes=["ReadWriteMany"]), volume()),
        (claim(accessModes=["ReadWriteOnce", "ReadOnlyMany"]), volume()),
        (claim(selector={"matchLabels": {"disk": "ssd"}}), volume(labels={"disk": "hdd"})),
        (claim(), volume(claimRef=held(name="another"))),
        (claim(), volume(claimRef=held("an-earlier-uid"))),
        (claim(), volume(phase="Released")),
        (claim(volumeAttributesClassName="gold"), volume()),
        (claim(), volume(nodeAffinity=on("n2"))),
        (claim("2Gi"), volume(claimRef=held())),
    ],
)
def test_what_does_not_go_together(wanted: Document, offered: Document) -> None:
    assert best(wanted, [offered], node=NODE, delayed=False) is None


def test_the_smallest_that_is_large_enough_is_chosen() -> None:
    volumes = [volume("a", "5Gi"), volume("b", "2Gi"), volume("c", "2Gi"), volume("d", "1Gi")]
    found = best(claim("1.5Gi"), volumes, node=None, delayed=False)
    assert found is not None
    assert found["metadata"]["name"] == "b"


def test_the_volume_made_for_a_claim_goes_before_all_others() -> None:
    made = volume("z", "9Gi", claimRef=held(), storageClassName="other")
    assert best(claim(), [volume("a"), made], node=None, delayed=True) is made


def test_a_claim_that_waits_for_its_pod_gets_what_the_node_reaches() -> None:
    volumes = [volume("a", nodeAffinity=on("n2")), volume("b", "2Gi", nodeAffinity=on("n1", "n3"))]
    assert best(claim(), volumes, node=None, delayed=True) is None
    assert best(claim(), volumes, node=NODE, delayed=True) is volumes[1]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (claim("2Gi"), "requested PV is too small"),
        (claim(storageClassName=""), "storageClassName does not match"),
        (claim(volumeMode="Block"), "incompatible volumeMode"),
        (claim(accessModes=["ReadWriteMany"]), "incompatible accessMode"),
        (claim(selector={"matchLabels": {"a": "b"}}), ""),
    ],
)
def test_why_a_named_volume_does_not_serve(wanted: Document, problem: str) -> None:
    assert why_not(wanted, volume()) == problem


def test_plans_for_claims() -> None:
    free, named = [volume()], claim(volumeName="v")
    assert of_claim(claim(), None, free, None, None) == Bind(free[0])
    assert of_claim(claim(), None, [], None, None) == Provision()
    assert of_claim(claim(storageClassName=""), None, [], None, None) == Wait(
        "Normal", "FailedBinding", "no persistent volumes available for this claim and no storage class is set"
    )
    late = {"volumeBindingMode": "WaitForFirstConsumer"}
    assert of_claim(claim(), None, free, late, None) == Wait(
        "Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding"
    )
    assert of_claim(claim(), None, free, late, NODE) == Bind(free[0])
    assert of_claim(named, free[0], [], None, None) == Bind(free[0])
    assert of_claim(named, None, [], None, None) == Wait("Warning", "FailedBinding", 'volume "v" not found')
    other = volume(claimRef=held("x", "other"))
    assert of_claim(named, other, [], None, None) == Wait(
        "Warning", "FailedBinding", 'volume "v" already bound to a different claim.'
    )
    small = of_claim(claim("2Gi", volumeName="v"), free[0], [], None, None)
    assert small == Wait("Warning", "VolumeMismatch", 'Cannot bind to requested volume "v": requested PV is too small')


def test_a_bound_claim_whose_volume_is_gone_is_lost() -> None:
    bound = claim(volumeName="v", annotations=DONE)
    assert isinstance(of_claim(bound, None, [volume("w")], None, None), Lose)
    assert isinstance(of_claim(bound, volume(claimRef=held("x", "other")), [], None, None), Lose)
    ours = volume(claimRef=held("claim-uid"))
    assert of_claim(bound, ours, [], None, None) == Bind(ours)


@pytest.mark.parametrize(
    ("one", "its_claim", "plan"),
    [
        (volume(), None, Turn("Available")),
        (volume(claimRef=held()), claim(), Turn("Available")),
        (volume(claimRef=held("claim-uid"), phase="Bound"), None, Turn("Released")),
        (volume(claimRef=held("an-earlier-uid"), phase="Bound"), claim(), Turn("Released")),
        (volume(claimRef=held("claim-uid"), phase="Released"), None, Reclaim()),
        (volume(claimRef=held("claim-uid")), claim(volumeName="v"), Turn("Bound")),
        (volume(claimRef=held("claim-uid")), claim(), Leave()),
        (volume(claimRef=held("claim-uid"), annotations=BY_US), claim(volumeName="w"), Unbind(whole=True)),
        (volume(claimRef=held("claim-uid")), claim(volumeName="w"), Unbind(whole=False)),
    ],
)
def test_plans_for_volumes(one: Document, its_claim: Document | None, plan: object) -> None:
    assert of_volume(one, its_claim) == plan


async def _run(world: World, seconds: float) -> None:
    """The controller against the world for a while of virtual time."""
    informers = Informers(world.client)
    controller = VolumesController(Context(world.client, informers))
    tasks = [asyncio.ensure_future(each) for each in (informers.run(), controller.run())]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("seed", range(5))
def test_no_volume_goes_to_two_claims(seed: int) -> None:
    world = World(seed)
    for number in range(6):
        made = claim()
        made["metadata"] |= {"name": f"data-{number}", "uid": f"uid-of-{number}"}
        world.put(PERSISTENT_VOLUME_CLAIMS, made)
    for number in range(4):
        world.put(PERSISTENT_VOLUMES, volume(f"v{number}", f"{number + 1}Gi", phase="Pending"))
    virtual.run(_run(world, 120))
    claims = world.all(PERSISTENT_VOLUME_CLAIMS)
    bound = {each["spec"]["volumeName"]: each for each in claims if each["status"]["phase"] == "Bound"}
    assert sorted(bound) == ["v0", "v1", "v2", "v3"]
    for each in world.all(PERSISTENT_VOLUMES):
        mine = bound[each["metadata"]["name"]]
        assert each["status"]["phase"] == "Bound"
        assert each["spec"]["claimRef"]["uid"] == mine["metadata"]["uid"]
        assert mine["status"]["capacity"] == each["spec"]["capacity"]
    assert sorted(each["status"]["phase"] for each in claims if "volumeName" not in each["spec"]) == ["Pending"] * 2


def test_a_claim_of_a_late_class_is_bound_when_its_pod_has_a_node() -> None:
    async def main() -> tuple[Document, Document]:
        world = World(1)
        made = world.put(PERSISTENT_VOLUME_CLAIMS, claim())
        world.put(PERSISTENT_VOLUMES, volume("far", nodeAffinity=on("n2")))
        world.put(PERSISTENT_VOLUMES, volume("near", nodeAffinity=on("n1")))
        late = {"metadata": {"name": "slow"}, "provisioner": "none", "volumeBindingMode": "WaitForFirstConsumer"}
        world.put(STORAGE_CLASSES, late)
        world.put(NODES, NODE)
        await _run(world, 40)
        before = world.find(PERSISTENT_VOLUME_CLAIMS, "data", "shop") or made
        uses = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
        metadata = {"name": "web", "namespace": "shop"}
        world.put(PODS, {"metadata": metadata, "spec": {"nodeName": "n1", "containers": [], "volumes": [uses]}})
        await _run(world, 40)
        return before, world.find(PERSISTENT_VOLUME_CLAIMS, "data", "shop") or made

    before, after = virtual.run(main())
    assert before["status"]["phase"] == "Pending"
    assert "volumeName" not in before["spec"]
    assert (after["status"]["phase"], after["spec"]["volumeName"]) == ("Bound", "near")


LOCAL = {"metadata": {"name": "slow"}, "provisioner": "moorage.io/local", "volumeBindingMode": "WaitForFirstConsumer"}


def test_a_folder_is_made_once_on_the_node_of_the_first_pod() -> None:
    async def main() -> World:
        world = World(3)
        world.put(PERSISTENT_VOLUME_CLAIMS, claim("3Gi"))
        world.put(STORAGE_CLASSES, LOCAL)
        world.put(NODES, NODE)
        uses = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
        metadata = {"name": "web", "namespace": "shop"}
        world.put(PODS, {"metadata": metadata, "spec": {"nodeName": "n1", "containers": [], "volumes": [uses]}})
        await _run(world, 60)
        return world

    world = virtual.run(main())
    (made,) = world.all(PERSISTENT_VOLUMES)
    assert made["metadata"]["name"] == "pvc-claim-uid"
    assert made["spec"]["capacity"] == {"storage": "3Gi"}
    assert made["spec"]["nodeAffinity"] == on("n1")
    assert home_of(made) == "n1"
    assert made["status"]["phase"] == "Bound"
    bound = world.find(PERSISTENT_VOLUME_CLAIMS, "data", "shop")
    assert bound is not None
    assert bound["spec"]["volumeName"] == "pvc-claim-uid"
    assert bound["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == "n1"


@pytest.mark.parametrize(
    ("wanted", "storage_class", "problem"),
    [
        (claim(), LOCAL, ""),
        (claim(), {**LOCAL, "volumeBindingMode": "Immediate"}, "need volumeBindingMode WaitForFirstConsumer"),
        (claim(volumeMode="Block"), LOCAL, "volumeMode Block is not supported"),
        (claim(selector={"matchLabels": {"a": "b"}}), LOCAL, "selector is not supported"),
        (claim(dataSource={"kind": "PersistentVolumeClaim", "name": "x"}), LOCAL, "dataSource is not supported"),
    ],
)
def test_what_a_folder_cannot_be(wanted: Document, storage_class: Document, problem: str) -> None:
    found = provisioning.why_not(wanted, storage_class, NODE)
    assert problem in found
    assert bool(found) == bool(problem)


def test_a_volume_is_released_with_its_claim_and_kept() -> None:
    async def main() -> World:
        world = World(2)
        world.put(PERSISTENT_VOLUME_CLAIMS, claim())
        world.put(PERSISTENT_VOLUMES, volume(persistentVolumeReclaimPolicy="Retain"))
        await _run(world, 40)
        await world.batch(
            [
                {
                    "verb": "delete",
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": "shop",
                    "name": "data",
                }
            ]
        )
        await _run(world, 40)
        return world

    (left,) = virtual.run(main()).all(PERSISTENT_VOLUMES)
    assert left["status"]["phase"] == "Released"
    assert left["spec"]["claimRef"]["uid"] == "claim-uid"
