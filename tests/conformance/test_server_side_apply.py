"""Server-side apply and managedFields on the whole installation: ownership, conflicts, subresources, upgrades."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rest import APPLY, JSON_PATCH, MERGE_PATCH, Rest


def _deployment(name: str, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "none.local/x:1"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template, **spec},
    }


def _configmap(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _managers(document: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {
        (each["manager"], each["operation"], each.get("subresource", "")): each["fieldsV1"]
        for each in document["metadata"]["managedFields"]
    }


@pytest.fixture
def deployments(space: str) -> str:
    return f"/apis/apps/v1/namespaces/{space}/deployments"


@pytest.fixture
def configmaps(space: str) -> str:
    return f"/api/v1/namespaces/{space}/configmaps"


def test_an_apply_creates_and_then_finds_nothing_to_do(api: Rest, configmaps: str) -> None:
    first = api.apply(f"{configmaps}/fresh", _configmap("fresh", a="1"), "me")
    assert first.code == 201
    second = api.apply(f"{configmaps}/fresh", _configmap("fresh", a="1"), "me")
    assert second.code == 200
    assert second.document == first.document
    entry = first.document["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"], entry["apiVersion"], entry["fieldsType"]) == (
        "me",
        "Apply",
        "v1",
        "FieldsV1",
    )
    assert entry["fieldsV1"] == {"f:data": {"f:a": {}}}
    assert entry["time"]


def test_what_is_not_applied_any_more_goes(api: Rest, configmaps: str) -> None:
    api.apply(f"{configmaps}/shrinks", _configmap("shrinks", a="1", b="2"), "me").ok()
    api.patch(f"{configmaps}/shrinks", {"data": {"c": "3"}}, fieldManager="other")
    left = api.apply(f"{configmaps}/shrinks", _configmap("shrinks", a="1"), "me").ok()
    assert left["data"] == {"a": "1", "c": "3"}


def test_conflicts_name_the_manager_and_can_be_forced(api: Rest, deployments: str) -> None:
    path = f"{deployments}/contested"
    api.apply(path, _deployment("contested"), "me").ok()
    api.patch(path, {"spec": {"revisionHistoryLimit": 7}}, fieldManager="other")
    refused = api.apply(path, _deployment("contested", revisionHistoryLimit=3), "me")
    message = refused.refused(409)
    assert 'Apply failed with 1 conflict: conflict with "other" using apps/v1: .spec.revisionHistoryLimit' in message
    cause = refused.document["details"]["causes"][0]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".spec.revisionHistoryLimit")
    forced = api.apply(path, _deployment("contested", revisionHistoryLimit=3), "me", force="true").ok()
    assert forced["spec"]["revisionHistoryLimit"] == 3
    assert ("other", "Update", "") not in _managers(forced)


def test_two_appliers_may_share_a_value(api: Rest, configmaps: str) -> None:
    path = f"{configmaps}/both"
    api.apply(path, _configmap("both", a="1"), "one").ok()
    api.apply(path, _configmap("both", a="1"), "two").ok()
    nothing = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "both"}}
    left = api.apply(path, nothing, "one").ok()
    assert left["data"] == {"a": "1"}, "the other one still applies it"
    left = api.apply(path, nothing, "two").ok()
    assert "data" not in left


def test_status_belongs_to_who_writes_status(api: Rest, deployments: str) -> None:
    path = f"{deployments}/statuses"
    api.apply(path, _deployment("statuses"), "me").ok()
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "statuses"}}
    condition = {"type": "Checked", "status": "True", "reason": "Test", "message": "seen"}
    stamped = {**condition, "lastUpdateTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    answer = api.apply(f"{path}/status", {**body, "status": {"conditions": [stamped]}}, "judge")
    status = answer.ok()
    assert any(each["type"] == "Checked" for each in status["status"]["conditions"])
    assert _managers(status)["judge", "Apply", "status"] == {
        "f:status": {
            "f:conditions": {
                'k:{"type":"Checked"}': {
                    ".": {}, "f:type": {}, "f:status": {}, "f:reason": {}, "f:message": {},
                    "f:lastUpdateTime": {}, "f:lastTransitionTime": {},
                }
            }
        }
    }  # fmt: skip
    both = api.apply(path, {**_deployment("statuses"), "status": {"replicas": 99}}, "me").ok()
    assert both["status"].get("replicas", 0) != 99


def test_scale_takes_replicas_over(api: Rest, deployments: str) -> None:
    path = f"{deployments}/scaled"
    api.apply(path, _deployment("scaled"), "me").ok()

    def to_none(scale: dict[str, Any]) -> None:
        scale["spec"]["replicas"] = 0

    api.change(f"{path}/scale", to_none, fieldManager="scaler")
    api.patch(f"{path}/scale", {"spec": {"replicas": 1}}, fieldManager="scaler")
    api.patch(f"{path}/scale", {"spec": {"replicas": 0}}, fieldManager="scaler")
    managers = _managers(api.get(path))
    assert managers["scaler", "Update", "scale"] == {"f:spec": {"f:replicas": {}}}
    del (body := _deployment("scaled"))["spec"]["replicas"]
    assert api.apply(path, body, "me").ok()["spec"]["replicas"] == 0


def test_lists_are_merged_by_their_keys(api: Rest, space: str) -> None:
    path = f"/api/v1/namespaces/{space}/services/ports"
    base: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ports"}}
    http = {"name": "http", "port": 80, "protocol": "TCP"}
    dns = {"name": "dns", "port": 53, "protocol": "UDP"}
    api.apply(path, {**base, "spec": {"ports": [http]}}, "one").ok()
    both = api.apply(path, {**base, "spec": {"ports": [dns]}}, "two").ok()
    assert [each["name"] for each in both["spec"]["ports"]] == ["http", "dns"]
    left = api.apply(path, {**base, "spec": {}}, "one").ok()
    assert [each["name"] for each in left["spec"]["ports"]] == ["dns"]


def test_creates_and_updates_are_recorded_by_agent_or_field_manager(api: Rest, configmaps: str) -> None:
    made = api.create(configmaps, _configmap("recorded", a="1"), fieldManager="maker")
    assert _managers(made)["maker", "Update", ""] == {"f:data": {".": {}, "f:a": {}}}
    made["data"]["b"] = "2"
    changed = api.replace(f"{configmaps}/recorded", made, fieldManager="changer")
    assert _managers(changed)["changer", "Update", ""] == {"f:data": {"f:b": {}}}
    anonymous = api.patch(f"{configmaps}/recorded", {"data": {"c": "3"}})
    assert len(anonymous["metadata"]["managedFields"]) == 3


def test_managed_fields_can_be_taken_off(api: Rest, configmaps: str) -> None:
    path = f"{configmaps}/bare"
    api.apply(path, _configmap("bare", a="1"), "me").ok()
    stripped = api.patch(path, [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}], JSON_PATCH)
    assert "managedFields" not in stripped["metadata"]
    again = api.apply(path, _configmap("bare", a="2"), "other")
    # Nobody is known to own the old value: it counts as written before server-side apply began.
    assert 'conflict with "before-first-apply"' in again.refused(409)


def test_mistakes_of_an_apply(api: Rest, configmaps: str) -> None:
    path = f"{configmaps}/wrong"
    nameless = api.request("PATCH", path, _configmap("wrong"), APPLY)
    assert "fieldManager: Required value: is required for apply patch" in nameless.refused(422)
    other = api.apply(path, _configmap("another"), "me")
    assert "does not match the name on the" in other.refused(400)
    kind = api.apply(path, {**_configmap("wrong"), "kind": "Secret"}, "me")
    assert kind.code == 400
    old = {**_configmap("wrong"), "metadata": {"name": "wrong", "resourceVersion": "1"}}
    assert api.apply(path, old, "me").code in {404, 409}
    uid = {**_configmap("wrong"), "metadata": {"name": "wrong", "uid": "8d2f"}}
    assert api.apply(path, uid, "me").code == 409
    forced = api.request("PATCH", path, {"data": {}}, MERGE_PATCH, force="true")
    assert "force: Forbidden: may not be specified for non-apply patch" in forced.refused(422)
    assert api.missing(path)


def test_a_dry_run_of_an_apply(api: Rest, configmaps: str) -> None:
    path = f"{configmaps}/dry"
    dry = api.apply(path, _configmap("dry", a="1"), "me", dryRun="All")
    assert dry.code == 201
    assert dry.document["data"] == {"a": "1"}
    assert api.missing(path)
