"""managedFields after creates, updates and patches."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from moorage.api.apply import name_from_user_agent
from moorage.api.apply.walking import compare, created
from moorage.api.structure import structure_of
from moorage.resources.kind import Document
from tests.unit.api.apply.objects import World, at, configmap, deployment
from tests.unit.api.kinds import CONFIGMAP, DEPLOYMENT, NODE, POD


def test_a_created_deployment_s_fields_are_those_that_kube_apiserver_lists() -> None:
    world = World()
    live = world.write(deployment(replicas=2), "kubectl-create")
    entry = live["metadata"]["managedFields"][0]
    assert {key: value for key, value in entry.items() if key != "fieldsV1"} == {
        "manager": "kubectl-create",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": at(1),
        "fieldsType": "FieldsV1",
    }
    fields = entry["fieldsV1"]
    assert fields["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    spec = fields["f:spec"]
    assert "." not in spec
    assert (spec["f:replicas"], spec["f:selector"]) == ({}, {})
    assert spec["f:strategy"] == {
        "f:type": {},
        "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
    }
    assert spec["f:template"]["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    containers = spec["f:template"]["f:spec"]["f:containers"]
    assert list(containers) == ['k:{"name":"web"}']
    assert {".", "f:name", "f:image", "f:imagePullPolicy"} <= set(containers['k:{"name":"web"}'])


def test_creating_and_comparing_with_nothing_find_the_same_fields() -> None:
    document = deployment(replicas=2, strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}})
    DEPLOYMENT.default(document)
    structure = structure_of(DEPLOYMENT.schema)
    assert created(document, structure) == compare({}, document, structure).added


def test_what_a_create_cannot_set_is_not_owned() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": []},
        "status": {"phase": "X"},
    }
    world = World(POD)
    world.write(pod)
    assert "f:status" not in world.fields("bob", "Update")
    node = World(NODE)
    node.write({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": {"capacity": {"cpu": "1"}}})
    assert "f:status" in node.fields("bob", "Update")


def test_an_update_owns_what_it_changes() -> None:
    world = World()
    world.write(deployment(replicas=1), "alice")
    world.edit("bob", replicas=2, minReadySeconds=3)
    assert world.fields("bob", "Update") == {"f:spec": {"f:replicas": {}, "f:minReadySeconds": {}}}
    assert "f:replicas" not in world.fields("alice", "Update")["f:spec"]


def test_a_removed_field_is_nobody_s() -> None:
    world = World(CONFIGMAP)
    world.write(configmap({"a": "1", "b": "2"}), "alice")
    changed = copy.deepcopy(world.live)
    assert changed is not None
    del changed["data"]["b"]
    world.write(changed, "bob")
    assert world.fields("alice", "Update") == {"f:data": {".": {}, "f:a": {}}}
    assert world.fields("bob", "Update") is None


def test_an_update_that_changes_nothing_changes_nothing() -> None:
    world = World()
    world.write(deployment(replicas=1), "alice")
    before = copy.deepcopy(world.live)
    assert world.edit("bob", replicas=1) == before


def test_the_system_s_fields_are_nobody_s() -> None:
    world = World(CONFIGMAP)
    world.write(configmap({"a": "1"}), "alice")
    changed = copy.deepcopy(world.live)
    assert changed is not None
    changed["metadata"] |= {"resourceVersion": "9", "generation": 3, "uid": "2"}
    world.write(changed, "bob")
    assert world.managers() == ["alice Update"]


def test_a_status_update_is_told_apart() -> None:
    world = World()
    world.write(deployment(replicas=1), "alice")
    world.edit("controller", "status", replicas=1, conditions=[{"type": "Available", "status": "True"}])
    assert world.managers() == ["alice Update", "controller Update/status"]
    owned = world.fields("controller", "Update")["f:status"]
    assert owned == {
        "f:replicas": {},
        "f:conditions": {".": {}, 'k:{"type":"Available"}': {".": {}, "f:type": {}, "f:status": {}}},
    }


def with_entries(world: World, entries: Any) -> Document:
    assert world.live is not None
    changed = copy.deepcopy(world.live)
    changed["metadata"]["managedFields"] = entries
    return changed


def test_managed_fields_are_cleared_by_one_empty_entry() -> None:
    world = World()
    world.write(deployment(), "alice")
    world.write(with_entries(world, [{}]), "bob")
    assert world.managers() == []
    world.edit("bob", replicas=4)
    assert world.managers() == [], "ownership starts again with the next apply only"


@pytest.mark.parametrize("entries", [[], None, "x", [1], [{"manager": "x"}], [{"operation": "Update"}]])
def test_clients_that_do_not_understand_managed_fields_keep_them(entries: Any) -> None:
    world = World()
    world.write(deployment(), "alice")
    world.write(with_entries(world, entries), "bob")
    assert world.managers() == ["alice Update"]


def test_managed_fields_can_be_set_but_not_through_a_subresource() -> None:
    entry = {
        "manager": "carol",
        "operation": "Apply",
        "apiVersion": "apps/v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }
    world = World()
    world.write(deployment(replicas=1), "alice")
    world.write(with_entries(world, [entry]), "bob", "status")
    assert world.managers() == ["alice Update"]
    world.write(with_entries(world, [entry]), "bob")
    assert world.managers() == ["carol Apply"]


def test_the_eleventh_updater_makes_the_oldest_ancient() -> None:
    world = World(CONFIGMAP)
    world.write(configmap({"k0": "0"}), "m00")
    for number in range(1, 13):
        changed = copy.deepcopy(world.live) or {}
        changed["data"][f"k{number}"] = "x"
        world.write(changed, f"m{number:02d}")
    assert len(world.managers()) == 10
    assert world.managers()[0] == "ancient-changes Update"
    ancient = world.fields("ancient-changes", "Update")
    assert {"f:k0", "f:k1", "f:k2"} <= set(ancient["f:data"])
    assert world.managers()[1:] == [f"m{number:02d} Update" for number in range(4, 13)]


def test_appliers_do_not_count_towards_the_cap() -> None:
    world = World(CONFIGMAP)
    world.apply(configmap({"a": "1"}), "zoe")
    for number in range(12):
        changed = copy.deepcopy(world.live) or {}
        changed["data"][f"k{number}"] = "x"
        world.write(changed, f"m{number:02d}")
    assert world.managers()[:2] == ["zoe Apply", "ancient-changes Update"]
    assert len(world.managers()) == 11


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("kubectl/v1.37.0 (linux/amd64) kubernetes/abc", "kubectl"),
        ("python-requests", "python-requests"),
        ("", "unknown"),
        ("/x", "unknown"),
        ("a\x00b\n/1", "ab"),
        ("ü" * 100 + "/1", "ü" * 64),
    ],
)
def test_the_default_manager(user_agent: str, name: str) -> None:
    assert name_from_user_agent(user_agent) == name
