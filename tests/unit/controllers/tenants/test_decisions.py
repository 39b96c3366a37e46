"""Upkeep, status, and the way out of a tenant, from documents alone."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.client.resource import DEPLOYMENTS, Resource
from moorage.controllers.tenants.ending import BEFORE, starting, stopping
from moorage.controllers.tenants.shelf import brought_back, shelved
from moorage.controllers.tenants.status import is_stopped, phase, tenant_status
from moorage.controllers.tenants.upkeep import covers, keeping, marks
from moorage.resources.tenancy import TENANT
from moorage.resources.tenancy_objects import furniture

CRON_JOBS = Resource("batch", "v1", "cronjobs", "CronJob")
NOW = 1767225600.0


def tenant(**spec: Any) -> dict[str, Any]:
    document = {"apiVersion": "tenancy.moorage.io/v1", "kind": "Tenant", "metadata": {"name": "blue"}, "spec": spec}
    TENANT.default(document)
    return document


def namespace(**metadata: Any) -> dict[str, Any]:
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    return {"kind": "Namespace", "metadata": {"name": "shop", "uid": "u", "labels": labels, **metadata}}


def test_what_is_in_order_needs_no_write() -> None:
    present = [{**each, "metadata": {**each["metadata"], "uid": "x"}} for each in furniture(tenant(), "shop")]
    assert keeping(tenant(), namespace(), present) == []
    assert marks(tenant(), namespace()) is None


def test_missing_changed_and_superfluous_furniture() -> None:
    assert [each["verb"] for each in keeping(tenant(), namespace(), [])] == ["create"]
    changed = [{**each, "spec": {"podSelector": {}, "ingress": [{}]}} for each in furniture(tenant(), "shop")]
    assert [each["verb"] for each in keeping(tenant(), namespace(), changed)] == ["update"]
    present = [{**each, "metadata": {**each["metadata"], "uid": "x"}} for each in furniture(tenant(), "shop")]
    unasked = keeping(tenant(network={"isolation": False}), namespace(), present)
    assert [(each["verb"], each["name"], each["uid"]) for each in unasked] == [
        ("delete", "moorage-tenant-isolation", "x")
    ]


def test_what_people_made_themselves_is_left_alone() -> None:
    own = {"kind": "NetworkPolicy", "metadata": {"name": "mine", "namespace": "shop", "uid": "y"}, "spec": {}}
    assert keeping(tenant(network={"isolation": False}), namespace(), [own]) == []


def test_a_namespace_that_is_going_gets_nothing() -> None:
    going = namespace(deletionTimestamp="2026-01-01T00:00:00Z")
    assert keeping(tenant(), going, []) == []
    assert marks(tenant(podSecurity={"enforce": "restricted"}), going) is None


@pytest.mark.parametrize(
    ("live", "wanted", "result"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([{"a": 1, "x": 0}], [{"a": 1}], True),
        ([1, 2], [1], False),
        ("a", {"a": 1}, False),
    ],
)
def test_covers(live: Any, wanted: Any, result: bool) -> None:
    assert covers(live, wanted) is result


def test_phases() -> None:
    assert phase(tenant()) == "Active"
    assert phase(tenant(suspended=True)) == "Suspended"
    marked = tenant(suspended=True, deletion={})
    assert phase(marked) == "Deleting"
    marked["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert phase(marked) == "Terminating"


def test_status_settles() -> None:
    """What was written once is not written again: else every write would wake the next."""
    document = tenant(deletion={"requestedAt": "2026-01-01T00:00:00Z"}, quota={"hard": {"pods": "1"}})
    usage = {"hard": {"pods": "1", "secrets": "2"}, "used": {"pods": "0", "secrets": "1"}}
    document["status"] = {"usage": usage}
    first = tenant_status(document, ["b", "a"], problem="", stopped=True, now=NOW)
    assert first["namespaces"] == ["a", "b"]
    assert first["deleteAt"] == "2026-01-08T00:00:00Z"
    assert first["usage"] == {"hard": {"pods": "1"}, "used": {"pods": "0"}}
    assert {each["type"]: each["status"] for each in first["conditions"]} == {
        "Ready": "True",
        "WorkloadsStopped": "True",
    }
    document["status"] = first
    assert tenant_status(document, ["a", "b"], problem="", stopped=True, now=NOW + 60) == first
    del document["spec"]["deletion"]
    assert "deleteAt" not in tenant_status(document, [], problem="", stopped=False, now=NOW)


def workload(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "annotations": annotations or {}}
    return {"metadata": metadata, "spec": spec}


@pytest.mark.parametrize("replicas", [1, 5])
def test_stopped_workloads_start_with_what_they_had(replicas: int) -> None:
    stop = stopping(DEPLOYMENTS, workload(replicas=replicas))
    assert stop is not None
    assert stop["patch"]["spec"] == {"replicas": 0}
    start = starting(DEPLOYMENTS, workload(stop["patch"]["metadata"]["annotations"], replicas=0))
    assert start is not None
    assert start["patch"]["spec"] == {"replicas": replicas}
    assert start["patch"]["metadata"]["annotations"] == {BEFORE: None}


def test_schedules_are_suspended_and_go_on() -> None:
    stop = stopping(CRON_JOBS, workload(suspend=False))
    assert stop is not None
    assert stop["patch"]["spec"] == {"suspend": True}
    start = starting(CRON_JOBS, workload(stop["patch"]["metadata"]["annotations"], suspend=True))
    assert start is not None
    assert start["patch"]["spec"] == {"suspend": False}


def test_what_stood_still_before_is_not_started() -> None:
    assert stopping(DEPLOYMENTS, workload(replicas=0)) is None
    assert stopping(CRON_JOBS, workload(suspend=True)) is None
    assert starting(DEPLOYMENTS, workload(replicas=0)) is None
    owned = workload(replicas=2)
    owned["metadata"]["ownerReferences"] = [{"controller": True, "uid": "x"}]
    assert stopping(DEPLOYMENTS, owned) is None


def bare(**metadata: Any) -> dict[str, Any]:
    token = {"name": "kube-api-access-x7k2p", "projected": {"sources": []}}
    mounts = [{"name": token["name"], "mountPath": "/var/run/secrets"}, {"name": "data", "mountPath": "/data"}]
    return {
        "metadata": {"name": "db", "namespace": "shop", "uid": "u", "labels": {"app": "db"}, **metadata},
        "spec": {
            "nodeName": "n1",
            "priority": 7,
            "priorityClassName": "high",
            "volumes": [token, {"name": "data", "emptyDir": {}}],
            "containers": [{"name": "c", "image": "x", "volumeMounts": mounts}],
        },
        "status": {"phase": "Running"},
    }


def test_a_pod_of_nobody_changes_places_with_a_template_and_back() -> None:
    kept, ended = shelved(bare(annotations={"a": "b"}, ownerReferences=[{"uid": "o", "kind": "X", "name": "x"}]))
    assert (ended["verb"], ended["kind"], ended["name"], ended["uid"]) == ("delete", "Pod", "db", "u")
    template = kept["object"]
    assert template["template"]["spec"] == {
        "priorityClassName": "high",
        "volumes": [{"name": "data", "emptyDir": {}}],
        "containers": [{"name": "c", "image": "x", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
    }
    template["metadata"]["uid"] = "t"
    made, dropped = brought_back(template)
    assert (dropped["kind"], dropped["name"], dropped["uid"]) == ("PodTemplate", "moorage-stopped-u", "t")
    pod = made["object"]
    assert pod["metadata"] == {
        "name": "db",
        "namespace": "shop",
        "labels": {"app": "db"},
        "annotations": {"a": "b"},
        "ownerReferences": [{"uid": "o", "kind": "X", "name": "x"}],
    }
    assert pod["spec"] == template["template"]["spec"]


def test_pods_that_are_not_put_on_the_shelf() -> None:
    owned = bare(ownerReferences=[{"controller": True, "uid": "x", "kind": "ReplicaSet", "name": "r"}])
    ended = {**bare(), "status": {"phase": "Succeeded"}}
    for pod in (owned, ended, bare(deletionTimestamp="2026-01-01T00:00:00Z")):
        assert shelved(pod) == []
    mine = {"metadata": {"name": "mine", "namespace": "shop", "uid": "t"}, "template": {"spec": {}}}
    assert brought_back(mine) == []


def test_on_the_way_is_neither() -> None:
    document = tenant(deletion={"requestedAt": "2026-01-01T00:00:00Z", "workloads": "Stop"})
    assert is_stopped(document) is False
    for stopped in (None, True, False):
        document["status"] = tenant_status(document, [], problem="", stopped=stopped, now=NOW)
        assert is_stopped(document) is stopped
