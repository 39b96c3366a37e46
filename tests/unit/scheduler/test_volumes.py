"""Pods with claims: only where their volumes are, and only when those can be had."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest

from moorage.client.informer import Informer
from moorage.client.objects import Document
from moorage.scheduler.nodetable import NodeTable
from moorage.scheduler.place import Placement, Placer
from moorage.scheduler.podinfo import PodInfo
from moorage.scheduler.preemption import Preemptor
from moorage.scheduler.volumes import CONFLICT, NO_DEVICES, NO_ROOM, NONE_TO_BIND, TAKEN, UNBOUND, Volumes
from tests.unit.scheduler.documents import node, pod, table


class Cache:
    """What ``Volumes`` uses of an informer."""

    def __init__(self, *documents: Document) -> None:
        self._documents = documents
        self._indexes: dict[str, Any] = {}

    def replace(self, *documents: Document) -> None:
        self._documents = documents

    def get(self, namespace: str, name: str) -> Document | None:
        for each in self._documents:
            metadata = each["metadata"]
            if (metadata.get("namespace", ""), metadata["name"]) == (namespace, name):
                return each
        return None

    def add_index(self, name: str, index: Any) -> None:
        self._indexes[name] = index

    def add_handler(self, handler: Any) -> None:
        self.handler = handler

    def by_index(self, name: str, value: object) -> list[Document]:
        return [each for each in self._documents if value in list(self._indexes[name](each))]


def claim(name: str, volume: str = "", *, bound: bool = True, **spec: Any) -> Document:
    return {
        "metadata": {"name": name, "namespace": "team"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "slow",
            "resources": {"requests": {"storage": "1Gi"}},
            "volumeName": volume,
            **spec,
        },
        "status": {"phase": "Bound" if volume and bound else "Pending"},
    }


def volume(name: str, *nodes: str, **spec: Any) -> Document:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": list(nodes)}
    affinity = {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}}} if nodes else {}
    return {
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "slow",
            **affinity,
            **spec,
        },
        "status": {"phase": "Available"},
    }


def storage_class(mode: str, provisioner: str = "kubernetes.io/no-provisioner") -> Document:
    return {"metadata": {"name": "slow"}, "provisioner": provisioner, "volumeBindingMode": mode}


LATE = storage_class("WaitForFirstConsumer")


def user(name: str = "p", claim_name: str = "data", **spec: Any) -> PodInfo:
    return pod(name, volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": claim_name}}], **spec)


def storage(claims: Any, volumes: Any, classes: Any, pods: Any, assumed: dict[str, PodInfo]) -> Volumes:
    one, two, three, four = (cast(Informer, Cache(*each)) for each in (claims, volumes, classes, pods))
    return Volumes(one, two, three, four, assumed)


def placer(nodes: NodeTable, claims: Any, volumes: Any = (), classes: Any = (), pods: Any = ()) -> Placer:
    return Placer(nodes, random.Random(0), claims=storage(claims, volumes, classes, pods, {}).judge)


def _two() -> NodeTable:
    return table(node("n1"), node("n2"))


def test_a_pod_goes_where_its_volume_is() -> None:
    found = placer(_two(), [claim("data", "v")], [volume("v", "n2")]).place([user(f"p{i}") for i in range(4)])
    assert {each.node for each in found} == {"n2"}


def test_a_volume_that_no_node_reaches_keeps_its_pod_waiting() -> None:
    (found,) = placer(_two(), [claim("data", "v")], [volume("v", "n3")]).place([user()])
    assert (found.node, found.message) == ("", f"0/2 nodes are available: 2 {CONFLICT}.")


@pytest.mark.parametrize(
    ("claims", "classes", "reason"),
    [
        ([], [], 'persistentvolumeclaim "data" not found'),
        ([claim("data")], [storage_class("Immediate")], UNBOUND),
        ([claim("data")], [], UNBOUND),
        ([claim("data", "v", bound=False)], [], UNBOUND),
    ],
)
def test_why_a_pod_waits_for_its_claim(claims: list[Document], classes: list[Document], reason: str) -> None:
    (found,) = placer(_two(), claims, (), classes).place([user()])
    assert (found.node, found.message) == ("", f"0/2 nodes are available: {reason}.")


def _disk(name: str, size: str) -> Document:
    made = node(name)
    made["status"]["capacity"] = {"ephemeral-storage": size}
    return made


def test_a_nodes_disk_is_promised_once() -> None:
    classes = [storage_class("WaitForFirstConsumer", "moorage.io/local")]
    home = {"csi": {"driver": "local.moorage.io", "volumeHandle": "v", "volumeAttributes": {"node": "n1"}}}
    there = volume("v", "n1", **home, claimRef={"namespace": "team", "name": "old"})
    claims = [claim(f"data-{number}") for number in range(4)]
    nodes = table(_disk("n1", "2Gi"), _disk("n2", "2Gi"))
    found = placer(nodes, claims, [there], classes).place([user(f"p{n}", f"data-{n}") for n in range(4)])
    assert sorted(each.node for each in found) == ["", "n1", "n2", "n2"]
    assert [each.message for each in found if not each.node] == [f"0/2 nodes are available: 2 {NO_ROOM}."]
    storing = Cache(there)
    judge = Volumes(
        cast(Informer, Cache(*claims)),
        cast(Informer, storing),
        cast(Informer, Cache(*classes)),
        cast(Informer, Cache()),
        {},
    ).judge
    (_, fits) = judge(user("p", "data-0")).checks[-1]
    row = nodes.rows[nodes.by_name["n1"]]
    assert not fits(row)
    storing.replace()
    storing.handler(there, None)
    row.pods.clear()
    assert fits(row)
    (silent,) = placer(table(node("n3")), claims, (), classes).place([user("p", "data-0")])
    assert silent.node == "n3"


def test_a_pod_waits_for_the_claim_that_is_made_for_it() -> None:
    scratch = pod("p", volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}])
    waiting = 'waiting for ephemeral volume controller to create the persistentvolumeclaim "p-scratch"'
    assert storage((), (), (), (), {}).judge(scratch).problem == waiting
    others = claim("p-scratch", "v")
    not_owner = "PVC team/p-scratch was not created for pod team/p (pod is not owner)"
    assert storage([others], [volume("v")], (), (), {}).judge(scratch).problem == not_owner
    others["metadata"]["ownerReferences"] = [{"kind": "Pod", "name": "p", "uid": "p", "controller": True}]
    assert storage([others], [volume("v")], (), (), {}).judge(scratch).problem == ""


def test_a_pod_that_needs_devices_waits_for_who_allocates_them() -> None:
    plain, devices = pod("a"), pod("b", resourceClaims=[{"name": "gpu", "resourceClaimName": "gpu"}])
    found = {each.pod.uid: each for each in placer(_two(), ()).place([devices, plain])}
    assert found["a"].node
    assert found["b"].message == f"0/2 nodes are available: {NO_DEVICES}."


def test_a_claim_that_goes_gets_no_new_pods() -> None:
    going = claim("data", "v")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    (found,) = placer(_two(), [going], [volume("v")]).place([user()])
    assert 'persistentvolumeclaim "data" is being deleted' in found.message


def test_a_late_claim_goes_where_a_volume_can_be_had() -> None:
    def place(*volumes: Document) -> Placement:
        (found,) = placer(_two(), [claim("data")], volumes, [LATE]).place([user()])
        return found

    held = {"claimRef": {"namespace": "team", "name": "another"}}
    small = {"capacity": {"storage": "1Mi"}}
    assert place(volume("a", "n1", **held), volume("b", "n1", **small), volume("c", "n2")).node == "n2"
    assert place(volume("a", "n1", **held)).message == f"0/2 nodes are available: 2 {NONE_TO_BIND}."


def test_a_provisioner_makes_a_volume_anywhere() -> None:
    classes = [storage_class("WaitForFirstConsumer", "moorage.io/local")]
    (found,) = placer(_two(), [claim("data")], (), classes).place([user()])
    assert found.node


def test_volumes_are_made_where_their_class_allows() -> None:
    made = storage_class("WaitForFirstConsumer", "moorage.io/local")
    made["allowedTopologies"] = [{"matchLabelExpressions": [{"key": "kubernetes.io/hostname", "values": ["n2"]}]}]
    found = placer(_two(), [claim("data")], (), [made]).place([user(f"p{number}") for number in range(3)])
    assert {each.node for each in found} == {"n2"}
    made["allowedTopologies"][0]["matchLabelExpressions"][0]["values"] = ["n3"]
    (nowhere,) = placer(_two(), [claim("data")], (), [made]).place([user()])
    assert nowhere.message == f"0/2 nodes are available: 2 {NONE_TO_BIND}."


def test_a_claim_for_one_pod_has_one_pod() -> None:
    uses = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
    first = {
        "metadata": {"name": "first", "namespace": "team", "uid": "first"},
        "spec": {"nodeName": "n1", "volumes": [uses]},
        "status": {"phase": "Running"},
    }
    alone = [claim("data", "v", accessModes=["ReadWriteOncePod"])]
    (found,) = placer(_two(), alone, [volume("v")], (), [first]).place([user()])
    assert found.message == f"0/2 nodes are available: {TAKEN}."
    ended = {**first, "status": {"phase": "Succeeded"}}
    (found,) = placer(_two(), alone, [volume("v")], (), [ended]).place([user()])
    assert found.node
    on_its_way = {"first": user("first")}
    assert storage(alone, [volume("v")], (), (), on_its_way).judge(user()).problem == TAKEN


def test_pods_that_are_alike_but_for_their_claims_are_judged_alone() -> None:
    claims = [claim("data", "far"), claim("other", "near")]
    made = placer(_two(), claims, [volume("far", "n3"), volume("near", "n1")])
    found = {each.pod.uid: each.node for each in made.place([user("a"), user("b", "other")])}
    assert found == {"a": "", "b": "n1"}


def test_nobody_has_to_go_for_a_pod_whose_volume_is_elsewhere() -> None:
    nodes = table(node("n1", cpu="1"), node("n2", cpu="1"))
    made = placer(nodes, [claim("data", "v")], [volume("v", "n2")])
    made.place([pod("low-1", "900m"), pod("low-2", "900m")])
    urgent = user("urgent", priority=10, more={"cpu": "900m"})
    victims = Preemptor(nodes, made).choose(urgent, [], set())
    assert victims is not None
    assert victims.node == "n2"
