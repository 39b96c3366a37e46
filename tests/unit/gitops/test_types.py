"""Wrong types and unknown fields, with their paths."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.resources.builtin import builtin_registry
from moorage.resources.kind import GroupVersionKind
from moorage_gitops.host.deploy import types

META = {"name": "x"}


def check(api_version: str, kind: str, **fields: Any) -> list[tuple[str, str]]:
    group, _, version = api_version.rpartition("/")
    found = builtin_registry().by_kind(GroupVersionKind(group, version, kind))
    assert found is not None
    return types.check(found, {"apiVersion": api_version, "kind": kind, "metadata": META, **fields})


def pod(**container: Any) -> list[tuple[str, str]]:
    return check("v1", "Pod", spec={"containers": [{"name": "a"}, {"name": "b", **container}]})


@pytest.mark.parametrize(
    ("container", "path", "message"),
    [
        ({"image": 5}, "image", "Invalid value: 5: must be a text; put it in quotes"),
        ({"image": True}, "image", "Invalid value: true: must be a text; put it in quotes"),
        ({"image": ["x"]}, "image", "Invalid value: a list: must be a text"),
        ({"args": "x"}, "args", 'Invalid value: "x": must be a list'),
        ({"args": [1]}, "args[0]", "Invalid value: 1: must be a text; put it in quotes"),
        ({"stdin": "yes"}, "stdin", 'Invalid value: "yes": must be true or false, without quotes'),
        (
            {"ports": [{"containerPort": "80"}]},
            "ports[0].containerPort",
            'Invalid value: "80": must be an integer, without quotes',
        ),
        (
            {"ports": [{"containerPort": 1 << 40}]},
            "ports[0].containerPort",
            "Invalid value: 1099511627776: must fit into int32",
        ),
        ({"ports": [{"containerPort": 1.5}]}, "ports[0].containerPort", "Invalid value: 1.5: must be an integer"),
        ({"resources": "big"}, "resources", 'Invalid value: "big": must be a mapping'),
        (
            {"resources": {"limits": {"cpu": []}}},
            "resources.limits[cpu]",
            "Invalid value: a list: must be a quantity like 500m or 1Gi",
        ),
        (
            {"livenessProbe": {"httpGet": {"port": {}}}},
            "livenessProbe.httpGet.port",
            "Invalid value: a mapping: must be an integer or a text",
        ),
    ],
)
def test_wrong_types(container: dict[str, Any], path: str, message: str) -> None:
    full = f"spec.containers[1].{path}"

    assert pod(**container) == [(full, f"{full}: {message}")]


def test_unknown_fields_and_what_may_have_been_meant() -> None:
    assert pod(imagePullPolic="Always", zzz=1) == [
        (
            "spec.containers[1].imagePullPolic",
            'unknown field "spec.containers[1].imagePullPolic"; did you mean imagePullPolicy?',
        ),
        ("spec.containers[1].zzz", 'unknown field "spec.containers[1].zzz"'),
    ]


def test_every_mistake_is_found() -> None:
    found = check(
        "apps/v1", "Deployment", spec={"replicas": "x", "selector": [], "template": {"spec": {"nodeNam": "n"}}}
    )

    assert [path for path, _ in found] == ["spec.replicas", "spec.selector", "spec.template.spec.nodeNam"]


def test_what_is_right_or_left_to_the_api_is_not_found() -> None:
    assert pod(image="x", command=None, resources={"limits": {"cpu": 1, "memory": "1Gi"}}) == []
    assert pod(ports=[{"containerPort": 99999}], imagePullPolicy="Foo", resources={"limits": {"cpu": "abc"}}) == []


def test_values_of_secrets_are_hidden() -> None:
    found = check("v1", "Secret", stringData={"port": 5432}, data=["canary"])

    assert found == [
        ("stringData[port]", "stringData[port]: Invalid value: <hidden>: must be a text; put it in quotes"),
        ("data", "data: Invalid value: a list: must be a mapping"),
    ]
