"""The published definitions, and what merge machinery asks of them."""

from moorage.resources import schemas
from moorage.resources.schemas.definitions import Definitions, references

POD = "io.k8s.api.core.v1.Pod"


def test_fields_are_found_through_references() -> None:
    pod = schemas.definition(POD)
    spec = schemas.field(pod, "spec")
    assert spec is not None
    containers = schemas.field(spec, "containers")
    assert containers is not None
    container = schemas.items(containers)
    assert container is not None
    assert schemas.field(container, "image") is not None
    assert schemas.field(container, "nonsense") is None
    assert schemas.items(container) is None


def test_a_map_has_any_field() -> None:
    metadata = schemas.field(schemas.definition(POD), "metadata")
    assert metadata is not None
    labels = schemas.field(metadata, "labels")
    assert labels is not None
    value = schemas.field(labels, "anything")
    assert value is not None
    assert "string" in value["type"]


def test_lists_say_how_they_merge() -> None:
    spec = schemas.definition("io.k8s.api.core.v1.PodSpec")
    containers = schemas.field(spec, "containers")
    assert containers is not None
    assert schemas.list_type(containers) == "map"
    assert schemas.map_keys(containers) == ("name",)
    assert schemas.merge_key(containers) == "name"
    assert schemas.patch_strategies(containers) == ("merge",)
    assert not schemas.is_atomic(containers)
    ports = schemas.field(schemas.definition("io.k8s.api.core.v1.Container"), "ports")
    assert ports is not None
    assert schemas.map_keys(ports) == ("containerPort", "protocol")
    assert schemas.map_key_defaults(ports) == {"protocol": "TCP"}


def test_atomic_lists_and_objects() -> None:
    args = schemas.field(schemas.definition("io.k8s.api.core.v1.Container"), "args")
    assert args is not None
    assert schemas.is_atomic(args)
    assert schemas.merge_key(args) is None
    assert schemas.patch_strategies(args) == ()
    selector = schemas.field(schemas.definition("io.k8s.api.apps.v1.DeploymentSpec"), "selector")
    assert selector is not None
    assert schemas.is_atomic(selector)


def test_extensions_beside_a_reference_are_kept() -> None:
    strategy = schemas.field(schemas.definition("io.k8s.api.apps.v1.DeploymentSpec"), "strategy")
    assert strategy is not None
    assert schemas.patch_strategies(strategy) == ("retainKeys",)
    assert "rollingUpdate" in strategy["properties"]


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
