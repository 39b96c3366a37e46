"""The published definitions and our own."""

from moorage.resources import schemas
from moorage.resources.schemas.definitions import Definitions, references

POD = "io.k8s.api.core.v1.Pod"


def test_a_reference_is_followed_and_what_stands_beside_it_is_kept() -> None:
    spec = schemas.definition("io.k8s.api.apps.v1.DeploymentSpec")
    strategy = schemas.resolve(spec["properties"]["strategy"])
    assert "rollingUpdate" in strategy["properties"]
    assert strategy["x-kubernetes-patch-strategy"] == "retainKeys"
    assert schemas.resolve(spec["properties"]["strategy"]) is strategy
    assert schemas.resolve(spec["properties"]["replicas"]) is spec["properties"]["replicas"]


def test_lists_say_how_they_merge() -> None:
    containers = schemas.definition("io.k8s.api.core.v1.PodSpec")["properties"]["containers"]
    assert containers["x-kubernetes-list-type"] == "map"
    assert containers["x-kubernetes-list-map-keys"] == ["name"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"


def test_only_what_is_reached_is_kept_and_without_descriptions() -> None:
    definitions = Definitions()
    definitions.load(["io.k8s.api.core.v1.ConfigMap"])
    node = definitions.definition("io.k8s.api.core.v1.ConfigMap")
    assert "description" not in node["properties"]["data"]
    assert "io.k8s.api.core.v1.ConfigMap" in definitions._nodes
    assert "io.k8s.api.core.v1.PodSpec" not in definitions._nodes


def test_descriptions_are_there_for_those_who_publish_them() -> None:
    whole = schemas.described()
    assert "Pod is a collection of containers" in whole[POD]["description"]
    assert whole["io.moorage.gitops.v1.Repository"]["description"]


def test_every_reference_leads_somewhere() -> None:
    whole = schemas.described()
    assert all(name in whole for node in whole.values() for name in references(node))


def test_own_definitions_describe_every_field() -> None:
    for name, node in schemas.described().items():
        if name.startswith("io.moorage."):
            assert node["description"]
            assert all(child["description"] for child in node.get("properties", {}).values()), name
