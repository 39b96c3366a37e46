"""OpenAPI documents: what kubectl and Helm read from them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from moorage.api import openapi
from moorage.api.protobuf import wire
from moorage.resources.builtin import builtin_registry
from tests.unit.api.kinds import DEPLOYMENT, REGISTRY

GVK = {"group": "apps", "kind": "Deployment", "version": "v1"}


def v3(path: str) -> Any:
    data = openapi.v3(REGISTRY, path)
    assert data is not None
    return orjson.loads(data)


APPS = v3("apis/apps/v1")
V2 = orjson.loads(openapi.v2(REGISTRY))


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_the_index_names_every_group_version_with_its_hash() -> None:
    paths = orjson.loads(openapi.v3_index(REGISTRY))["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/gitops.moorage.io/v1"} <= set(paths)
    assert paths["apis/apps/v1"]["serverRelativeURL"] == (
        f"/openapi/v3/apis/apps/v1?hash={openapi.v3_hash(REGISTRY, 'apis/apps/v1')}"
    )


@pytest.mark.parametrize("path", sorted(orjson.loads(openapi.v3_index(REGISTRY))["paths"]))
def test_every_reference_is_there(path: str) -> None:
    whole = v3(path)
    schemas = whole["components"]["schemas"]
    for reference in references(whole):
        assert reference.removeprefix("#/components/schemas/") in schemas
    for reference in references(V2):
        assert reference.removeprefix("#/definitions/") in V2["definitions"]


def test_only_what_is_reachable_is_published() -> None:
    assert "io.k8s.api.batch.v1.Job" not in APPS["components"]["schemas"]
    assert "io.k8s.api.core.v1.PodSpec" in APPS["components"]["schemas"]


def test_explain_finds_the_schema_through_the_path() -> None:
    item = APPS["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments"]
    assert item["get"]["x-kubernetes-group-version-kind"] == GVK
    schemas = APPS["components"]["schemas"]
    named = [name for name, schema in schemas.items() if GVK in schema.get("x-kubernetes-group-version-kind", [])]
    assert named == ["io.k8s.api.apps.v1.Deployment"]
    spec = schemas[named[0]]["properties"]["spec"]["allOf"][0]["$ref"].rpartition("/")[2]
    strategy = schemas[spec]["properties"]["strategy"]
    assert strategy["description"].startswith("The deployment strategy to use")


@pytest.mark.parametrize("name", ["dryRun", "fieldValidation", "fieldManager", "force"])
def test_patches_say_what_they_take(name: str) -> None:
    patch = APPS["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert name in [parameter["name"] for parameter in patch["parameters"]]
    assert patch["x-kubernetes-action"] == "patch"
    assert set(patch["requestBody"]["content"]) == {
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    }


def test_merge_rules_are_published() -> None:
    containers = APPS["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-list-map-keys"] == ["name"]
    assert containers["type"] == "array"


def test_types_are_plain() -> None:
    schemas = APPS["components"]["schemas"]
    assert schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["replicas"]["type"] == "integer"
    assert "additionalProperties" not in schemas["io.k8s.api.apps.v1.DeploymentSpec"]
    assert "enum" not in schemas["io.k8s.api.apps.v1.Deployment"]["properties"]["kind"]
    port = schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]
    assert (port["format"], port["oneOf"]) == ("int-or-string", [{"type": "integer"}, {"type": "string"}])


def test_subresources_answer_their_own_kinds() -> None:
    scale = APPS["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]
    assert scale["get"]["x-kubernetes-group-version-kind"] == {"group": "autoscaling", "kind": "Scale", "version": "v1"}
    assert "io.k8s.api.autoscaling.v1.Scale" in APPS["components"]["schemas"]
    binding = v3("api/v1")["paths"]["/api/v1/namespaces/{namespace}/pods/{name}/binding"]
    assert set(binding) == {"post", "parameters"}


def test_operation_ids_are_unique() -> None:
    for document in (APPS, v3("api/v1"), V2):
        ids = [
            operation["operationId"]
            for item in document["paths"].values()
            for method, operation in item.items()
            if method != "parameters"
        ]
        assert len(ids) == len(set(ids))
        assert ids


def test_path_parameters_are_declared() -> None:
    for path, item in {**APPS["paths"], **V2["paths"]}.items():
        declared = {parameter["name"] for parameter in item["parameters"] if parameter["in"] == "path"}
        assert declared == {part.strip("{}") for part in path.split("/") if part.startswith("{")}


def test_version_2() -> None:
    assert V2["swagger"] == "2.0"
    deployment = V2["definitions"]["io.k8s.api.apps.v1.Deployment"]
    assert deployment["x-kubernetes-group-version-kind"] == [GVK]
    assert deployment["properties"]["spec"]["$ref"] == "#/definitions/io.k8s.api.apps.v1.DeploymentSpec"
    post = V2["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments"]["post"]
    assert post["parameters"][-1]["in"] == "body"
    assert V2["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"]["type"] == "string"


def test_what_is_not_served() -> None:
    assert openapi.v3(REGISTRY, "apis/nowhere/v1") is None
    assert openapi.v3_hash(REGISTRY, "apis/nowhere/v1") == ""


def test_documents_are_kept_compressed() -> None:
    compressed = openapi.v3(REGISTRY, "apis/apps/v1", gzipped=True)
    assert compressed is not None
    assert gzip.decompress(compressed) == openapi.v3(REGISTRY, "/apis/apps/v1/")
    assert openapi.v3(REGISTRY, "apis/apps/v1", gzipped=True) is compressed


def test_hashes_follow_the_registry() -> None:
    registry = builtin_registry()
    before = (openapi.v3_hash(registry, "apis/apps/v1"), openapi.v3_hash(registry, "api/v1"), openapi.v2_hash(registry))
    assert before == (
        openapi.v3_hash(REGISTRY, "apis/apps/v1"),
        openapi.v3_hash(REGISTRY, "api/v1"),
        openapi.v2_hash(REGISTRY),
    )
    registry.add(replace(DEPLOYMENT, verbs=("get",)))
    after = (openapi.v3_hash(registry, "apis/apps/v1"), openapi.v3_hash(registry, "api/v1"), openapi.v2_hash(registry))
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True, False]
    changed = openapi.v3(registry, "apis/apps/v1")
    assert changed is not None
    item = orjson.loads(changed)["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    assert "patch" not in item


def decoded(data: bytes) -> dict[int, list[bytes]]:
    """Field number -> values, of one message that holds no varints."""
    found: dict[int, list[bytes]] = {}
    for number, value in wire.fields(data):
        assert isinstance(value, bytes), f"field {number} is the number {value}"
        found.setdefault(number, []).append(value)
    return found


def named(data: bytes, field: int) -> dict[str, bytes]:
    """A map in gnostic's form: a repeated field of (name, value)."""
    pairs = [decoded(each) for each in decoded(data)[field]]
    return {pair[1][0].decode(): pair[2][0] for pair in pairs}


def test_v2_in_protobuf_says_what_it_says_in_json() -> None:
    document = decoded(openapi.v2(REGISTRY, protobuf=True))
    assert document[1] == [b"2.0"]
    definitions = named(document[9][0], 1)
    assert set(definitions) == set(V2["definitions"])
    for name, schema in V2["definitions"].items():
        fields = decoded(definitions[name])
        assert fields.get(4, [b""])[0] == schema.get("description", "").encode()
        assert {each.decode() for each in fields.get(19, [])} == set(schema.get("required", ()))
        properties = named(fields[25][0], 1) if "properties" in schema else {}
        assert set(properties) == set(schema.get("properties", {}))
        extensions = {each for each in schema if each.startswith("x-")}
        assert set(named(definitions[name], 31) if 31 in fields else {}) == extensions
    paths = named(document[8][0], 2)
    assert set(paths) == set(V2["paths"])
    operations = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}
    for path, item in V2["paths"].items():
        assert set(decoded(paths[path])) - {9} == {operations[each] for each in item if each != "parameters"}
    assert gzip.decompress(openapi.v2(REGISTRY, True, True)) == openapi.v2(REGISTRY, False, True)


def test_every_kind_can_be_said_in_protobuf() -> None:
    """What has no place in the form raises."""
    assert len(openapi.v2(builtin_registry(), protobuf=True)) > 100_000
