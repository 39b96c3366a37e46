"""Health of objects and applications; drift from Git."""

from __future__ import annotations

from typing import Any

import pytest

from moorage_gitops.engine.assess import LISTED, assess, changed
from moorage_gitops.engine.controller import difference
from moorage_gitops.engine.health import Health, Status, health
from moorage_gitops.names import APPLIED_ANNOTATION
from moorage_gitops.ownership import digest, owned_fields


def thing(
    kind: str, api_version: str = "apps/v1", *, name: str = "x", generation: int = 1, **fields: Any
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "generation": generation}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def workload(
    kind: str = "Deployment", wanted: int | None = 2, *, paused: bool = False, name: str = "x", **status: Any
) -> dict[str, Any]:
    spec: dict[str, Any] = {"selector": {"matchLabels": {"app": name}}, "paused": paused}
    if wanted is not None:
        spec["replicas"] = wanted
    return thing(kind, name=name, spec=spec, status={"observedGeneration": 1, **status})


FULL: dict[str, Any] = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


@pytest.mark.parametrize(
    ("document", "status", "message"),
    [
        (workload(**FULL), Status.HEALTHY, ""),
        (workload(wanted=0), Status.HEALTHY, ""),
        (workload(wanted=None), Status.PROGRESSING, "0 of 1 new pods are made"),
        (workload(**{**FULL, "observedGeneration": 0}), Status.PROGRESSING, "waits for the controller"),
        (workload(**{**FULL, "updatedReplicas": 1}), Status.PROGRESSING, "1 of 2 new pods are made"),
        (workload(**{**FULL, "replicas": 3}), Status.PROGRESSING, "1 old pods are still there"),
        (workload(**{**FULL, "availableReplicas": 1}), Status.PROGRESSING, "1 of 2 pods are available"),
        (workload(paused=True, **FULL), Status.SUSPENDED, "the rollout is paused"),
        (
            workload(
                conditions=[
                    {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"}
                ]
            ),
            Status.DEGRADED,
            "late",
        ),
        (
            workload(conditions=[{"type": "ReplicaFailure", "status": "True", "message": "quota"}]),
            Status.DEGRADED,
            "quota",
        ),
        (workload("ReplicaSet", availableReplicas=2), Status.HEALTHY, ""),
        (workload("ReplicaSet", availableReplicas=1), Status.PROGRESSING, "1 of 2 pods are available"),
        (thing("Pod", "v1", status={"phase": "Pending"}), Status.PROGRESSING, "starts"),
        (
            thing(
                "Pod",
                "v1",
                status={
                    "phase": "Pending",
                    "conditions": [{"type": "PodScheduled", "status": "False", "message": "no room"}],
                },
            ),
            Status.PROGRESSING,
            "no room",
        ),
        (thing("Pod", "v1", status={"phase": "Running"}), Status.PROGRESSING, "is not ready"),
        (
            thing("Pod", "v1", status={"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
            Status.HEALTHY,
            "",
        ),
        (thing("Pod", "v1", status={"phase": "Failed", "message": "evicted"}), Status.DEGRADED, "evicted"),
        (thing("Pod", "v1", status={"phase": "Succeeded"}), Status.HEALTHY, ""),
        (
            thing(
                "Pod",
                "v1",
                status={
                    "phase": "Running",
                    "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
                },
            ),
            Status.DEGRADED,
            "c: CrashLoopBackOff",
        ),
        (thing("Service", "v1", spec={"type": "LoadBalancer"}), Status.PROGRESSING, "waits for an address"),
        (thing("Service", "v1", spec={"type": "ClusterIP"}), Status.HEALTHY, ""),
        (thing("ConfigMap", "v1"), Status.HEALTHY, ""),
        (thing("Widget", "example.org/v1"), Status.HEALTHY, ""),
        (thing("Application", "gitops.moorage.io/v1"), Status.PROGRESSING, "nothing was pushed yet"),
    ],
)
def test_health_of_an_object(document: dict[str, Any], status: Status, message: str) -> None:
    assert health(document) == Health(status, message)


def test_what_is_being_deleted_is_not_done() -> None:
    document = workload(**FULL)
    document["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"

    assert health(document).status is Status.PROGRESSING


def fields(*names: str, manager: str = "moorage-gitops", operation: str = "Apply") -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": operation,
        "time": "t",
        "fieldsV1": {"f:data": {f"f:{name}": {} for name in names}},
    }


def from_git(name: str, *owned: str, others: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """An object as Git applied it with the fields a and b."""
    document = thing("ConfigMap", "v1", name=name)
    applied = digest({"metadata": {"managedFields": [fields("a", "b")]}})
    document["metadata"]["annotations"] = {APPLIED_ANNOTATION: applied}
    document["metadata"]["managedFields"] = [fields(*owned), *(others or [])]
    return document


def application(*names: str, count: int | None = None, **status: Any) -> dict[str, Any]:
    resources = [
        {"group": "", "version": "v1", "kind": "ConfigMap", "namespace": "shop", "name": name} for name in names
    ]
    status = {
        "revision": "c",
        "resources": resources,
        "resourceCount": len(names) if count is None else count,
        **status,
    }
    return thing("Application", "gitops.moorage.io/v1", name="web", status=status)


def test_all_is_well() -> None:
    found = assess(application("one", "two"), [from_git("one", "b", "a"), from_git("two", "a", "b")], [])

    assert (found.sync, found.sync_message, found.health.status) == ("Synced", "", Status.HEALTHY)
    assert found.resources is not None
    assert [(entry["name"], entry["health"]) for entry in found.resources] == [("one", "Healthy"), ("two", "Healthy")]


def test_a_field_that_was_taken_is_a_change() -> None:
    other = fields("b", manager="kubectl-edit", operation="Update")
    found = assess(application("one"), [from_git("one", "a", others=[other])], [])

    assert found.sync == "OutOfSync"
    assert "ConfigMap one was changed outside Git by kubectl-edit" in found.sync_message


def test_those_who_own_metadata_and_status_only_are_not_named() -> None:
    scaled = {
        "manager": "kubectl",
        "operation": "Update",
        "subresource": "scale",
        "time": "u",
        "fieldsV1": {"f:spec": {}},
    }
    revision = {
        "manager": "controllers",
        "operation": "Update",
        "time": "v",
        "fieldsV1": {"f:metadata": {}, "f:status": {}},
    }

    found = assess(application("one"), [from_git("one", "a", others=[revision, scaled])], [])

    assert "ConfigMap one was changed outside Git by kubectl;" in found.sync_message


def test_a_field_that_was_added_is_none() -> None:
    document = from_git("one", "a", "b", others=[fields("z", manager="kubectl", operation="Update")])

    assert not changed(document)


def test_all_fields_taken_is_a_change() -> None:
    document = from_git("one")
    document["metadata"]["managedFields"] = []

    assert changed(document)
    assert owned_fields(document) is None


def test_a_missing_object_is_named() -> None:
    found = assess(application("one", "two"), [from_git("one", "a", "b")], [])

    assert found.sync == "OutOfSync"
    assert "ConfigMap two was deleted outside Git" in found.sync_message
    assert found.health == Health(Status.MISSING, "ConfigMap two: was deleted outside Git")


def test_of_many_objects_missing_ones_are_counted_and_bad_ones_listed() -> None:
    there = [from_git(f"x{i}", "a", "b") for i in range(150)]
    bad = workload(name="web", **{**FULL, "availableReplicas": 0})
    found = assess(application(count=160), [*there, bad], [])

    assert found.sync_message.startswith("9 objects are missing")
    assert found.resources is not None
    assert [entry["name"] for entry in found.resources] == ["web"]
    many = [workload(name=f"w{i}") for i in range(LISTED + 50)]
    assert len(assess(application(count=LISTED + 50), many, []).resources or []) == LISTED


def test_the_worst_object_is_the_application() -> None:
    slow, broken = (
        workload(name="slow"),
        workload(name="broken", conditions=[{"type": "ReplicaFailure", "status": "True", "message": "quota"}]),
    )

    found = assess(application(count=2), [slow, broken], [])

    assert found.health == Health(Status.DEGRADED, "Deployment broken: quota (and 1 more)")


def test_a_pod_says_why_a_rollout_is_slow() -> None:
    pod = thing(
        "Pod",
        "v1",
        name="x-1",
        status={"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ErrImagePull"}}}]},
    )
    pod["metadata"]["labels"] = {"app": "x", "more": "y"}
    stranger = {**pod, "metadata": {**pod["metadata"], "name": "y-1", "labels": {"app": "y"}}}

    found = assess(application(count=1), [workload()], [stranger, pod])

    assert found.health.message == "Deployment x: 0 of 2 new pods are made; pod x-1: c: ErrImagePull"


def test_before_the_first_push_nothing_is_known() -> None:
    assert assess(thing("Application", "gitops.moorage.io/v1", status={}), [], []).sync == "Unknown"


def test_the_status_is_written_once() -> None:
    before = application("one", sync={"status": "Synced", "message": "pushed by me"})
    found = assess(before, [from_git("one", "a", "b")], [])
    change = difference(before, found)
    assert set(change) == {"health", "resources"}
    after = {
        **before,
        "status": {**before["status"], "health": {"status": "Healthy"}, "resources": change["resources"]},
    }

    assert difference(after, assess(after, [from_git("one", "a", "b")], [])) == {}
