"""The annotation that has a workload roll out, and what a pod template refers to."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.resources.rollout import ANNOTATION, Reference, annotation_errors, references, watched
from tests.unit.resources.documents import edited, kind, problems, workload


def annotated(value: str | None, spec: dict[str, Any] | None = None) -> dict[str, Any]:
    annotations = {} if value is None else {ANNOTATION: value}
    return {"metadata": {"annotations": annotations}, "spec": {"template": {"spec": spec or {}}}}


SPEC: dict[str, Any] = {
    "volumes": [
        {"name": "a", "secret": {"secretName": "whole"}},
        {"name": "b", "secret": {"secretName": "parts", "items": [{"key": "crt", "path": "c"}]}},
        {"name": "c", "configMap": {"name": "files"}},
        {
            "name": "d",
            "projected": {
                "sources": [
                    {"secret": {"name": "projected", "items": [{"key": "k", "path": "k"}]}},
                    {"configMap": {"name": "projected"}},
                    {"serviceAccountToken": {"path": "token"}},
                ]
            },
        },
        {"name": "e", "emptyDir": {}},
    ],
    "initContainers": [{"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "init", "key": "a"}}}]}],
    "containers": [
        {
            "envFrom": [{"secretRef": {"name": "all"}}, {"configMapRef": {"name": "all"}}],
            "env": [
                {"name": "B", "value": "plain"},
                {"name": "C", "valueFrom": {"secretKeyRef": {"name": "one", "key": "password"}}},
                {"name": "D", "valueFrom": {"secretKeyRef": {"name": "whole", "key": "also"}}},
                {"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
        }
    ],
    "imagePullSecrets": [{"name": "registry"}],
}
OF_SECRETS = {
    Reference("secrets", "whole", ""),
    Reference("secrets", "parts", "crt"),
    Reference("secrets", "projected", "k"),
    Reference("secrets", "all", ""),
    Reference("secrets", "one", "password"),
}
OF_CONFIG_MAPS = {
    Reference("configmaps", "files", ""),
    Reference("configmaps", "projected", ""),
    Reference("configmaps", "init", "a"),
    Reference("configmaps", "all", ""),
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("true", OF_SECRETS | OF_CONFIG_MAPS),
        ("secrets,configmaps", OF_SECRETS | OF_CONFIG_MAPS),
        ("secrets", OF_SECRETS),
        ("configmaps", OF_CONFIG_MAPS),
        (" secrets , configmaps ", OF_SECRETS | OF_CONFIG_MAPS),
        ("false", set()),
        ("yes", set()),
        ("secrets,nonsense", set()),
        (None, set()),
    ],
)
def test_what_is_watched(value: str | None, expected: set[Reference]) -> None:
    assert references(annotated(value, SPEC)) == expected


def test_a_template_without_references_watches_nothing() -> None:
    assert references(annotated("true", {"containers": [{"name": "a"}]})) == frozenset()
    assert references({"metadata": {"annotations": {ANNOTATION: "true"}}}) == frozenset()


def test_other_values_are_refused() -> None:
    document = edited(workload("Deployment"), {"metadata/annotations": {ANNOTATION: "on"}})
    assert problems(kind("Deployment", "apps"), document) == [
        f'metadata.annotations[{ANNOTATION}]: Unsupported value: "on": '
        'supported values: "true", "false", "secrets", "configmaps"'
    ]
    assert annotation_errors(annotated("secrets, configmaps")) == []
    assert annotation_errors(annotated("")) != []
    assert watched(annotated("")) == frozenset()
