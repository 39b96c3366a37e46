"""Deployments, ReplicaSets and their Scale."""

from typing import Any

import pytest

from moorage.resources.autoscaling import SCALE, scale_of, scaled
from tests.unit.resources.documents import NOW, REMOVED, edited, kind, problems, stored, update_problems, workload

DEPLOYMENT, REPLICA_SET = kind("Deployment", "apps"), kind("ReplicaSet", "apps")
BOTH = [(DEPLOYMENT, "Deployment"), (REPLICA_SET, "ReplicaSet")]
MISMATCH = "`selector` does not match template `labels`"


def test_defaults_of_a_deployment() -> None:
    spec = stored(DEPLOYMENT, workload("Deployment"))["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    assert spec["revisionHistoryLimit"] == 10
    assert spec["progressDeadlineSeconds"] == 600


def test_zero_is_a_number() -> None:
    document = edited(workload("Deployment"), {"spec/replicas": 0, "spec/revisionHistoryLimit": 0})
    spec = stored(DEPLOYMENT, document)["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"]) == (0, 0)


def test_recreate_has_no_steps() -> None:
    document = edited(workload("Deployment"), {"spec/strategy": {"type": "Recreate"}})
    assert stored(DEPLOYMENT, document)["spec"]["strategy"] == {"type": "Recreate"}
    assert problems(DEPLOYMENT, document) == []


@pytest.mark.parametrize(("of", "name"), BOTH)
@pytest.mark.parametrize(
    ("edits", "problem"),
    [
        ({"spec/replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ({"spec/minReadySeconds": -1}, "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"),
        (
            {"spec/template/metadata/labels": {"app": "db"}},
            f'spec.template.metadata.labels: Invalid value: {{"app":"db"}}: {MISMATCH}',
        ),
        (
            {"spec/template/spec/restartPolicy": "Never"},
            'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        ),
        (
            {"spec/template/spec/activeDeadlineSeconds": 5},
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
        ),
        (
            {"spec/template/spec/containers/0/image": ""},
            "spec.template.spec.containers[0].image: Required value",
        ),
        (
            {"spec/template/spec/ephemeralContainers": [{"name": "a", "image": "b:1"}]},
            "spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template",
        ),
        (
            {"spec/template/metadata/annotations": {"a/": "b"}},
            'spec.template.annotations: Invalid value: "a/": name part must be non-empty',
        ),
    ],
)  # fmt: skip
def test_refused(of: Any, name: str, edits: dict[str, Any], problem: str) -> None:
    assert problems(of, edited(workload(name), edits)) == [problem]
    assert problems(of, workload(name)) == []


@pytest.mark.parametrize(("of", "name"), BOTH)
def test_selectors_are_needed(of: Any, name: str) -> None:
    assert problems(of, edited(workload(name), {"spec/selector": REMOVED})) == [
        "spec.selector: Required value",
        f'spec.template.metadata.labels: Invalid value: {{"app":"web"}}: {MISMATCH}',
    ]
    assert problems(of, edited(workload(name), {"spec/selector": {}})) == [
        "spec.selector: Invalid value: {}: empty selector is invalid for deployment"
    ]


@pytest.mark.parametrize(("of", "name"), BOTH)
def test_a_template_is_needed(of: Any, name: str) -> None:
    assert problems(of, edited(workload(name), {"spec/template": REMOVED})) == [
        f"spec.template.metadata.labels: Invalid value: null: {MISMATCH}",
        "spec.template.spec.containers: Required value",
    ]


@pytest.mark.parametrize(("of", "name"), BOTH)
def test_the_selector_stays(of: Any, name: str) -> None:
    labels = {"app": "web", "tier": "front"}
    new = edited(
        workload(name), {"spec/selector/matchLabels": {"tier": "front"}, "spec/template/metadata/labels": labels}
    )
    assert update_problems(of, new, workload(name)) == [
        'spec.selector: Invalid value: {"matchLabels":{"tier":"front"}}: field is immutable'
    ]
    assert update_problems(of, edited(workload(name), {"spec/replicas": 5}), workload(name)) == []


def rolling(**steps: Any) -> dict[str, Any]:
    return {"spec/strategy": {"rollingUpdate": steps}}


@pytest.mark.parametrize(
    ("edits", "problem"),
    [
        (
            rolling(maxUnavailable=0, maxSurge=0),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
        ),
        (
            rolling(maxUnavailable="0%", maxSurge=0),
            'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0',
        ),
        (
            rolling(maxUnavailable="101%"),
            'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
        ),
        (
            rolling(maxSurge=-1),
            "spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            rolling(maxSurge="many"),
            'spec.strategy.rollingUpdate.maxSurge: Invalid value: "many": a valid percent string must be a numeric '
            "string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ),
        (
            {"spec/strategy": {"type": "Recreate", "rollingUpdate": {}}},
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            {"spec/strategy": {"type": "Slow"}},
            'spec.strategy: Unsupported value: {"type":"Slow"}: supported values: "Recreate", "RollingUpdate"',
        ),
        (
            {"spec/progressDeadlineSeconds": 5, "spec/minReadySeconds": 5},
            "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
        ),
        (
            {"spec/revisionHistoryLimit": -1},
            "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
        ),
    ],
)
def test_rollouts(edits: dict[str, Any], problem: str) -> None:
    assert problems(DEPLOYMENT, edited(workload("Deployment"), edits)) == [problem]


@pytest.mark.parametrize(
    "edits",
    [
        rolling(maxUnavailable=0, maxSurge=1),
        rolling(maxUnavailable="100%", maxSurge="200%"),
        {"spec/progressDeadlineSeconds": 6, "spec/minReadySeconds": 5},
    ],
)
def test_sound_rollouts(edits: dict[str, Any]) -> None:
    assert problems(DEPLOYMENT, edited(workload("Deployment"), edits)) == []


@pytest.mark.parametrize(
    ("of", "status", "problem"),
    [
        (DEPLOYMENT, {"replicas": 2, "readyReplicas": 2, "availableReplicas": 1, "updatedReplicas": 2}, None),
        (
            DEPLOYMENT,
            {"observedGeneration": -1},
            "status.observedGeneration: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            DEPLOYMENT,
            {"replicas": 1, "updatedReplicas": 2},
            "status.updatedReplicas: Invalid value: 2: cannot be greater than status.replicas",
        ),
        (
            DEPLOYMENT,
            {"replicas": 2, "readyReplicas": 1, "availableReplicas": 2},
            "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas",
        ),
        (DEPLOYMENT, {"collisionCount": 1}, "status.collisionCount: Invalid value: 1: cannot be decremented"),
        (
            REPLICA_SET,
            {"replicas": 1, "fullyLabeledReplicas": 2},
            "status.fullyLabeledReplicas: Invalid value: 2: cannot be greater than status.replicas",
        ),
        (REPLICA_SET, {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}, None),
    ],
)
def test_counts(of: Any, status: dict[str, Any], problem: str | None) -> None:
    old = {**stored(of, workload(of.kind)), "status": {"collisionCount": 2}}
    status = {"collisionCount": 2, **status} if of is DEPLOYMENT else status
    found = [str(error) for error in of.validate_status_update({**old, "status": status}, old)]
    assert found == ([problem] if problem else [])


def test_a_scale_is_a_view() -> None:
    document = {**workload("Deployment"), "status": {"replicas": 2}}
    document["metadata"] |= {
        "uid": "u",
        "resourceVersion": "5",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {},
    }
    document["spec"]["replicas"] = 3
    assert scale_of(document) == {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": "u",
            "resourceVersion": "5",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"replicas": 3},
        "status": {"replicas": 2, "selector": "app=web"},
    }
    assert scaled(document, {"spec": {"replicas": 7}})["spec"]["replicas"] == 7
    assert scaled(document, {"spec": {}})["spec"]["replicas"] == 0
    assert document["spec"]["replicas"] == 3


def test_a_scale_is_not_negative() -> None:
    scale = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"replicas": -1}}
    assert [str(error) for error in SCALE.validate(scale)] == [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    ]
    assert not SCALE.validate({**scale, "spec": {"replicas": 0}})


def test_columns() -> None:
    document = {**workload("Deployment"), "status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1}}
    document["spec"]["replicas"] = 3
    row = {column.name: column.cell(document, NOW) for column in DEPLOYMENT.columns}
    assert row == {
        "Name": "web",
        "Ready": "1/3",
        "Up-to-date": 2,
        "Available": 1,
        "Age": "<unknown>",
        "Containers": "main",
        "Images": "nginx:1.27",
        "Selector": "app=web",
    }
    document["status"] = {"replicas": 2, "readyReplicas": 1}
    row = {column.name: column.cell(document, NOW) for column in REPLICA_SET.columns}
    assert [row[name] for name in ("Desired", "Current", "Ready")] == [3, 2, 1]
    assert REPLICA_SET.fields(document) == {"status.replicas": "2"}
