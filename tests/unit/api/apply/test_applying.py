"""Server-side apply next to KEP-555, its documentation, and what kube-apiserver does."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from moorage.api.apply import apply
from moorage.api.errors import ApiError
from moorage.resources.kind import Document
from tests.unit.api.apply.objects import World, at, configmap, deployment
from tests.unit.api.kinds import CONFIGMAP, DEPLOYMENT, NODE, POD, SERVICE


def refused(world: World, config: Document, manager: str = "alice", force: bool = False) -> ApiError:
    with pytest.raises(ApiError) as caught:
        world.apply(config, manager, force)
    return caught.value


def test_the_documentation_s_first_example() -> None:
    """ "Server-Side Apply": the managedFields of a ConfigMap with a label and data."""
    world = World(CONFIGMAP)
    live = world.apply(configmap({"key": "some value"}, labels={"test-label": "test"}), "kubectl")
    assert live["metadata"]["managedFields"] == [
        {
            "manager": "kubectl",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": at(1),
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:labels": {"f:test-label": {}}}, "f:data": {"f:key": {}}},
        }
    ]


def test_the_documentation_s_conflict_example() -> None:
    """The controller manager changes the data; kubectl's next apply conflicts, and may be forced."""
    world = World(CONFIGMAP)
    world.apply(configmap({"key": "some value"}, labels={"test-label": "test"}), "kubectl")
    changed = copy.deepcopy(world.live)
    assert changed is not None
    changed["data"]["key"] = "new value"
    world.write(changed, "kube-controller-manager")
    assert world.fields("kubectl") == {"f:metadata": {"f:labels": {"f:test-label": {}}}}
    assert world.fields("kube-controller-manager", "Update") == {"f:data": {"f:key": {}}}
    error = refused(world, configmap({"key": "some value"}), "kubectl")
    assert (error.code, error.reason) == (409, "Conflict")
    assert error.message == (
        'Apply failed with 1 conflict: conflict with "kube-controller-manager" using v1: .data.key'
    )
    assert error.details["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kube-controller-manager" using v1',
            "field": ".data.key",
        }
    ]
    world.apply(configmap({"key": "some value"}, labels={"test-label": "test"}), "kubectl", force=True)
    assert world.managers() == ["kubectl Apply"]


def test_the_documentation_s_handover_of_replicas() -> None:
    """ "Transferring ownership": the user gives replicas up; the autoscaler has taken them before."""
    world = World()
    world.apply(deployment(replicas=3), "user")
    world.apply({**_named(), "spec": {"replicas": 3}}, "handover-to-hpa")
    live = world.apply(deployment(), "user")
    assert live["spec"]["replicas"] == 3
    world.edit("hpa", "scale", replicas=7)
    assert world.fields("handover-to-hpa") is None
    assert world.apply(deployment(), "user")["spec"]["replicas"] == 7


def _named() -> Document:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "demo"}}


def test_a_field_that_nobody_else_owns_goes_with_its_applier() -> None:
    world = World()
    world.apply(deployment(minReadySeconds=5, replicas=3))
    live = world.apply(deployment(replicas=3))
    assert "minReadySeconds" not in live["spec"]


def test_a_removed_field_that_has_a_default_gets_the_default() -> None:
    world = World()
    world.apply(deployment(replicas=3))
    assert world.apply(deployment())["spec"]["replicas"] == 1


def test_a_field_that_another_owns_stays() -> None:
    world = World()
    world.apply(deployment(minReadySeconds=5), "alice")
    world.apply({**_named(), "spec": {"minReadySeconds": 5}}, "carol")
    live = world.apply(deployment(), "alice")
    assert live["spec"]["minReadySeconds"] == 5
    assert world.fields("carol") == {"f:spec": {"f:minReadySeconds": {}}}
    assert "minReadySeconds" not in world.apply({**_named(), "spec": {}}, "carol")["spec"]


def test_many_conflicts_are_told_by_manager() -> None:
    world = World()
    world.apply(deployment(replicas=1, minReadySeconds=1, paused=True))
    world.edit("bob", replicas=2, minReadySeconds=2)
    world.edit("carl", paused=False)
    error = refused(world, deployment(replicas=1, minReadySeconds=1, paused=True))
    assert error.message == (
        "Apply failed with 3 conflicts: "
        'conflicts with "bob" using apps/v1:\n- .spec.minReadySeconds\n- .spec.replicas\n'
        'conflicts with "carl" using apps/v1:\n- .spec.paused'
    )
    assert len(error.details["causes"]) == 3


def test_a_conflict_with_an_applier_names_no_version() -> None:
    world = World()
    world.apply(deployment(replicas=1), "alice")
    error = refused(world, {**_named(), "spec": {"replicas": 2}}, "carol")
    assert error.message == 'Apply failed with 1 conflict: conflict with "alice": .spec.replicas'


def test_a_conflict_with_a_subresource_names_it() -> None:
    world = World()
    world.apply(deployment(replicas=1))
    world.edit("scaler", "scale", replicas=4)
    error = refused(world, deployment(replicas=1))
    assert 'conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas' in error.message


def test_the_same_value_is_shared() -> None:
    world = World()
    world.apply(deployment(replicas=2), "alice")
    world.apply({**_named(), "spec": {"replicas": 2}}, "carol")
    assert world.managers() == ["alice Apply", "carol Apply"]
    assert "f:replicas" in world.fields("alice")["f:spec"]


def test_force_takes_the_field_from_its_owner() -> None:
    world = World()
    world.apply(deployment(replicas=2), "alice")
    world.apply({**_named(), "spec": {"replicas": 5}}, "carol", force=True)
    assert "f:replicas" not in world.fields("alice")["f:spec"]
    assert world.fields("carol") == {"f:spec": {"f:replicas": {}}}


def test_an_apply_that_changes_nothing_is_no_change() -> None:
    world = World()
    first = copy.deepcopy(world.apply(deployment(replicas=2)))
    assert world.apply(deployment(replicas=2)) == first


def test_the_time_moves_with_the_object() -> None:
    world = World()
    world.apply(deployment(replicas=2))
    live = world.apply(deployment(replicas=3))
    assert live["metadata"]["managedFields"][0]["time"] == at(2)


class TestLists:
    def container(self, name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "image": "i", **more}

    def with_containers(self, *items: dict[str, Any]) -> Document:
        config = deployment()
        config["spec"]["template"]["spec"]["containers"] = list(items)
        return config

    def names(self, live: Document) -> list[str]:
        return [each["name"] for each in live["spec"]["template"]["spec"]["containers"]]

    def test_items_of_two_appliers_live_together(self) -> None:
        world = World()
        world.apply(self.with_containers(self.container("a"), self.container("b")), "alice")
        world.apply(self.with_containers(self.container("sidecar")), "mesh")
        assert self.names(world.live or {}) == ["a", "b", "sidecar"]
        live = world.apply(self.with_containers(self.container("b")), "alice")
        assert self.names(live) == ["b", "sidecar"]

    def test_an_item_goes_with_its_applier_even_where_an_updater_touched_it(self) -> None:
        world = World()
        world.apply(self.with_containers(self.container("a"), self.container("b")))
        changed = copy.deepcopy(world.live)
        assert changed is not None
        changed["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
        world.write(changed, "bob")
        live = world.apply(self.with_containers(self.container("b")))
        assert self.names(live) == ["b"]
        assert world.managers() == ["alice Apply"]

    @pytest.mark.parametrize(
        ("live", "config", "expected"),
        [("ab", "ba", "ba"), ("abc", "ca", "bca"), ("ab", "cab", "cab"), ("ac", "abc", "abc"), ("b", "abc", "abc")],
    )
    def test_the_config_orders_the_list(self, live: str, config: str, expected: str) -> None:
        world = World()
        world.apply(self.with_containers(*[self.container(name) for name in live]), "alice")
        result = world.apply(self.with_containers(*[self.container(name) for name in config]), "bert")
        assert "".join(self.names(result)) == expected

    def test_a_key_with_a_default_may_be_left_out(self) -> None:
        world = World()
        port = {"containerPort": 80}
        live = world.apply(self.with_containers(self.container("a", ports=[port])))
        container = live["spec"]["template"]["spec"]["containers"][0]
        assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
        owned = world.fields("alice")["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"a"}']
        assert owned["f:ports"] == {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}}
        named = {**port, "name": "http"}
        live = world.apply(self.with_containers(self.container("a", ports=[named])))
        assert live["spec"]["template"]["spec"]["containers"][0]["ports"] == [{**named, "protocol": "TCP"}]

    def test_the_same_port_for_two_protocols(self) -> None:
        world = World(SERVICE)
        ports = [{"port": 53, "protocol": "UDP", "name": "u"}, {"port": 53, "name": "t"}]
        config = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": ports}}
        live = world.apply(config)
        assert [each["protocol"] for each in live["spec"]["ports"]] == ["UDP", "TCP"]
        assert len(world.fields("alice")["f:spec"]["f:ports"]) == 2

    def test_an_atomic_list_is_one_value(self) -> None:
        world = World()
        world.apply(self.with_containers(self.container("a", args=["1", "2"])))
        owned = world.fields("alice")["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"a"}']
        assert owned["f:args"] == {}
        live = world.apply(self.with_containers(self.container("a", args=["3"])))
        assert live["spec"]["template"]["spec"]["containers"][0]["args"] == ["3"]
        live = world.apply(self.with_containers(self.container("a", args=[])))
        assert "args" not in live["spec"]["template"]["spec"]["containers"][0]

    def test_an_atomic_map_is_one_value(self) -> None:
        world = World()
        world.apply(deployment())
        assert world.fields("alice")["f:spec"]["f:selector"] == {}

    def test_a_set_is_owned_value_by_value(self) -> None:
        world = World(CONFIGMAP)
        world.apply(configmap(finalizers=["x/a"]), "alice")
        world.apply(configmap(finalizers=["x/b"]), "bert")
        assert world.live is not None
        assert world.live["metadata"]["finalizers"] == ["x/a", "x/b"]
        assert world.fields("bert") == {"f:metadata": {"f:finalizers": {'v:"x/b"': {}}}}
        assert world.apply(configmap(), "alice")["metadata"]["finalizers"] == ["x/b"]

    @pytest.mark.parametrize(
        ("containers", "words"),
        [
            (
                [{"image": "i"}],
                "omits all key fields",
            ),
            ([{"name": "a"}, {"name": "a"}], '.spec.template.spec.containers: duplicate entries for key [name="a"]'),
        ],
    )
    def test_items_that_cannot_be_told_apart(self, containers: list[Any], words: str) -> None:
        error = refused(World(), self.with_containers(*containers))
        assert error.code == 400
        assert error.message.startswith("failed to create typed patch object (demo/web; apps/v1, Kind=Deployment): ")
        assert words in error.message

    def test_duplicates_that_are_there_already_do_not_break_an_apply(self) -> None:
        world = World()
        double = {"name": "X", "value": "1"}
        world.write(self.with_containers(self.container("a", env=[double, {**double, "value": "2"}])))
        live = world.apply({**_named(), "spec": {"replicas": 4}}, force=True)
        assert len(live["spec"]["template"]["spec"]["containers"][0]["env"]) == 2


class TestRefusals:
    def test_unknown_fields(self) -> None:
        error = refused(World(), deployment(foo=1))
        assert error.message == (
            "failed to create typed patch object (demo/web; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema"
        )

    def test_wrong_types(self) -> None:
        error = refused(World(), deployment(replicas="three"))
        assert "cannot unmarshal string" in error.message

    def test_another_version(self) -> None:
        error = refused(World(), {**deployment(), "apiVersion": "apps/v1beta1"})
        assert error.message == (
            "Incorrect version specified in apply patch. Specified patch version: apps/v1beta1, expected: apps/v1"
        )

    def test_another_kind(self) -> None:
        assert "Incorrect kind" in refused(World(), {**deployment(), "kind": "Pod"}).message

    @pytest.mark.parametrize("entries", [[], [{}], [{"manager": "x"}]])
    def test_managed_fields_are_not_applied(self, entries: list[Any]) -> None:
        config = deployment()
        config["metadata"]["managedFields"] = entries
        assert refused(World(), config).message == "metadata.managedFields must be nil"

    def test_metadata_must_be_an_object(self) -> None:
        assert refused(World(), {**deployment(), "metadata": []}).code == 400


class TestNulls:
    def test_a_null_removes_the_value_and_owns_the_field(self) -> None:
        world = World()
        world.apply(deployment(minReadySeconds=5))
        live = world.apply(deployment(minReadySeconds=None))
        assert "minReadySeconds" not in live["spec"]
        assert world.fields("alice")["f:spec"]["f:minReadySeconds"] == {}

    def test_a_null_conflicts_with_another_owner(self) -> None:
        world = World()
        world.apply(deployment(minReadySeconds=5), "alice")
        error = refused(world, {**_named(), "spec": {"minReadySeconds": None}}, "carol")
        assert ".spec.minReadySeconds" in error.message

    def test_an_empty_object_is_kept_and_owned(self) -> None:
        world = World(POD)
        spec = {"containers": [{"name": "a", "image": "i"}], "volumes": [{"name": "v", "emptyDir": {}}]}
        live = world.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
        assert live["spec"]["volumes"] == [{"name": "v", "emptyDir": {}}]
        assert world.fields("alice")["f:spec"]["f:volumes"]['k:{"name":"v"}']["f:emptyDir"] == {}


def test_the_same_quantity_in_other_words_is_no_conflict() -> None:
    def config(cpu: str) -> Document:
        document = deployment()
        container = document["spec"]["template"]["spec"]["containers"][0]
        container["resources"] = {"limits": {"cpu": cpu}}
        return document

    world = World()
    world.apply(config("1"), "alice")
    live = world.apply(config("1000m"), "carol")
    limits = live["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"cpu": "1"}
    with pytest.raises(ApiError):
        world.apply(config("2"), "carol")


class TestSubresources:
    def test_status_is_not_applied_through_the_object(self) -> None:
        world = World()
        world.apply({**deployment(), "status": {"replicas": 3}})
        assert "f:status" not in world.fields("alice")

    def test_status_is_applied_through_its_own_endpoint(self) -> None:
        world = World()
        world.apply(deployment())
        status = {**_named(), "status": {"replicas": 3}, "spec": {"replicas": 9}}
        world.apply(status, "controller", subresource="status")
        assert world.managers() == ["alice Apply", "controller Apply/status"]
        assert world.fields("controller") == {"f:status": {"f:replicas": {}}}

    def test_a_node_s_status_is_its_own(self) -> None:
        world = World(NODE)
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": {"capacity": {"cpu": "4"}}}
        world.apply(node, "agent")
        assert world.fields("agent") == {"f:status": {"f:capacity": {"f:cpu": {}}}}


class TestUpgradeFromClientSideApply:
    ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"

    def world(self, image: str = "nginx:1") -> World:
        world = World()
        config = deployment(replicas=3)
        text = '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"app":"web"}},"spec":'
        text += '{"replicas":3,"template":{"spec":{"containers":[{"name":"web","image":"nginx:1"}]}}}}'
        config["metadata"]["annotations"] = {self.ANNOTATION: text}
        config["spec"]["template"]["spec"]["containers"][0]["image"] = image
        world.write(config, "kubectl-client-side-apply")
        return world

    def test_what_the_annotation_says_is_no_conflict(self) -> None:
        world = self.world()
        live = world.apply(deployment(replicas=5), "kubectl")
        assert live["spec"]["replicas"] == 5
        assert "f:replicas" in world.fields("kubectl")["f:spec"]

    def test_what_others_changed_since_is_one(self) -> None:
        world = self.world()
        world.edit("scaler", replicas=7)
        error = refused(world, deployment(replicas=5), "kubectl")
        assert error.message == 'Apply failed with 1 conflict: conflict with "scaler" using apps/v1: .spec.replicas'

    def test_other_managers_get_no_such_favour(self) -> None:
        error = refused(self.world(), deployment(replicas=5), "helm")
        assert 'conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas' in error.message

    def test_the_annotation_follows(self) -> None:
        world = self.world()
        live = world.apply(deployment(replicas=5), "kubectl")
        text = live["metadata"]["annotations"][self.ANNOTATION]
        assert '"replicas":5' in text
        assert self.ANNOTATION not in text

    def test_a_broken_annotation_allows_nothing(self) -> None:
        world = self.world()
        assert world.live is not None
        world.live["metadata"]["annotations"][self.ANNOTATION] = "{"
        assert refused(world, deployment(replicas=5), "kubectl").code == 409


def test_the_first_apply_to_an_object_without_owners_gives_it_one() -> None:
    world = World()
    live = deployment(replicas=3)
    live["metadata"]["uid"] = "1"
    world.live = live
    error = refused(world, deployment(replicas=5))
    assert (
        error.message
        == 'Apply failed with 1 conflict: conflict with "before-first-apply" using apps/v1: .spec.replicas'
    )
    world.apply(deployment(replicas=5), force=True)
    assert world.managers() == ["alice Apply", "before-first-apply Update"]


def test_what_the_system_sets_may_be_applied_back() -> None:
    world = World()
    live = world.apply(deployment(replicas=2))
    config = copy.deepcopy(live)
    config["metadata"] |= {"resourceVersion": "5", "creationTimestamp": at(9), "generation": 7}
    del config["metadata"]["managedFields"]
    again = apply(DEPLOYMENT, live, config, "carol", force=False, now=at(9))
    owned = next(each for each in again["metadata"]["managedFields"] if each["manager"] == "carol")
    assert set(owned["fieldsV1"]["f:metadata"]) == {"f:labels"}
    assert again["metadata"]["resourceVersion"] == "5", "a precondition, which the caller checks"
    assert "generation" not in again["metadata"]
