"""Structures compiled from definitions: what merges how."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.api.structure import ANY, DEDUCED, LIST, MAP, OBJECT, SCALAR, Structure, structure_of
from moorage.resources.schemas import add_definition
from tests.unit.api.kinds import REGISTRY

POD = structure_of("io.k8s.api.core.v1.Pod")


def at(structure: Structure, path: str) -> Structure:
    for step in path.split("."):
        if step == "[]":
            assert structure.element is not None
            structure = structure.element
        else:
            structure = structure.child(step)
    return structure


@pytest.mark.parametrize(
    ("path", "shape", "atomic", "keys", "merge_key"),
    [
        ("spec", OBJECT, False, (), ""),
        ("spec.containers", LIST, False, ("name",), "name"),
        ("spec.containers.[].ports", LIST, False, ("containerPort", "protocol"), "containerPort"),
        ("spec.containers.[].args", LIST, True, (), ""),
        ("spec.tolerations", LIST, True, (), ""),
        ("spec.nodeSelector", MAP, True, (), ""),
        ("spec.topologySpreadConstraints", LIST, False, ("topologyKey", "whenUnsatisfiable"), "topologyKey"),
        ("metadata.labels", MAP, False, (), ""),
        ("metadata.finalizers", LIST, False, (), ""),
        ("metadata.managedFields.[].fieldsV1", ANY, True, (), ""),
        ("metadata.creationTimestamp", SCALAR, True, (), ""),
        ("spec.containers.[].resources.limits.cpu", SCALAR, True, (), ""),
        ("spec.containers.[].livenessProbe.httpGet.port", SCALAR, True, (), ""),
        ("spec.nowhere", ANY, True, (), ""),
    ],
)
def test_places_in_a_pod(path: str, shape: str, atomic: bool, keys: tuple[str, ...], merge_key: str) -> None:
    found = at(POD, path)
    assert (found.shape, found.atomic, found.keys, found.merge_key) == (shape, atomic, keys, merge_key)


def test_keys_with_defaults() -> None:
    assert at(POD, "spec.containers.[].ports").key_defaults == {"protocol": "TCP"}
    assert at(POD, "spec.containers").key_defaults == {}


def test_fields_say_more_than_their_types() -> None:
    deployment = structure_of("io.k8s.api.apps.v1.Deployment")
    assert at(deployment, "spec.strategy").retain_keys
    assert at(deployment, "spec.selector").atomic
    assert at(POD, "spec.volumes").retain_keys


def test_definitions_that_contain_themselves() -> None:
    schema = structure_of("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
    assert at(schema, "properties.[]").child("properties").shape == MAP
    assert at(schema, "not.not.not").shape == OBJECT


def test_an_unknown_definition() -> None:
    with pytest.raises(KeyError):
        structure_of("io.example.Nothing")


def test_every_built_in_kind_has_a_structure() -> None:
    for kind in REGISTRY:
        assert structure_of(kind.schema).child("metadata").shape == OBJECT, kind.kind


def test_schemas_of_custom_kinds() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "port": {"x-kubernetes-int-or-string": True},
            "old": {"type": "array", "items": {"type": "object"}, "x-kubernetes-patch-strategy": "merge"}
            | {"x-kubernetes-patch-merge-key": "id"},
            "meta": {"allOf": [{"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]},
        },
    }
    add_definition("io.example.v1.Boat", schema)
    custom = structure_of("io.example.v1.Boat")
    assert structure_of("io.example.v1.Boat") is custom
    assert at(custom, "free.any.thing").shape == DEDUCED
    assert at(custom, "port").shape == SCALAR
    assert (at(custom, "old").keys, at(custom, "old").atomic) == (("id",), False)
    assert at(custom, "meta.labels").shape == MAP
    add_definition("io.example.v1.Boat", {"type": "object", "properties": {"mast": {"type": "string"}}})
    assert list(structure_of("io.example.v1.Boat").fields) == ["mast"]
