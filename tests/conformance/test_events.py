"""Events of both groups: one store, every verb, and each group's own form."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rest import STRATEGIC, Document, Rest


@pytest.fixture
def core(space: str) -> str:
    return f"/api/v1/namespaces/{space}/events"


@pytest.fixture
def new(space: str) -> str:
    return f"/apis/events.k8s.io/v1/namespaces/{space}/events"


def _core(name: str, space: str, **more: Any) -> Document:
    involved = {"kind": "Pod", "namespace": space, "name": "somebody", "apiVersion": "v1"}
    return {
        "metadata": {"name": name, "labels": {"testevent-constant": "true"}},
        "message": "This is a test event",
        "reason": "Test",
        "type": "Normal",
        "count": 1,
        "involvedObject": involved,
        **more,
    }


def _new(name: str, space: str) -> Document:
    return {
        "metadata": {"name": name, "labels": {"testevent-set": "new"}},
        "eventTime": "2026-01-01T00:00:00.123456Z",
        "note": "This is a new event",
        "reason": "Tested",
        "action": "Do",
        "type": "Normal",
        "reportingController": "test-controller",
        "reportingInstance": "test-node",
        "regarding": {"kind": "Pod", "namespace": space, "name": "somebody"},
    }


def test_the_life_of_a_core_event(api: Rest, core: str, space: str) -> None:
    api.create(core, _core("life", space))
    assert "life" in api.names("/api/v1/events", labelSelector="testevent-constant=true")
    patched = api.patch(f"{core}/life", {"message": "This is a test event - patched"})
    assert api.get(f"{core}/life")["message"] == patched["message"] == "This is a test event - patched"
    read = api.get(f"{core}/life")
    read["series"] = {"count": 100, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}
    assert api.replace(f"{core}/life", read)["series"]["count"] == 100
    assert api.get(f"{core}/life")["series"]["lastObservedTime"] == "2026-01-01T00:00:00.000000Z"
    api.delete(f"{core}/life")
    assert "life" not in api.names("/api/v1/events", labelSelector="testevent-constant=true")


def test_a_set_of_core_events_is_deleted_at_once(api: Rest, core: str, space: str) -> None:
    for number in range(3):
        document = _core(f"set-{number}", space)
        document["metadata"]["labels"] = {"testevent-set": "true"}
        api.create(core, document)
    assert len(api.names(core, labelSelector="testevent-set=true")) == 3
    api.delete(core, labelSelector="testevent-set=true")
    assert api.names(core, labelSelector="testevent-set=true") == []


def test_the_life_of_a_new_event(api: Rest, new: str, core: str, space: str) -> None:
    made = api.create(new, _new("new-life", space))
    assert made["eventTime"] == "2026-01-01T00:00:00.123456Z"
    assert "new-life" in api.names("/apis/events.k8s.io/v1/events", labelSelector="testevent-set=new")
    assert "new-life" in api.names(new, fieldSelector="reportingController=test-controller")
    series = {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}}
    assert api.patch(f"{new}/new-life", series, STRATEGIC)["series"]["count"] == 2
    read = api.get(f"{new}/new-life")
    read["series"] = {"count": 100, "lastObservedTime": "2026-01-02T00:00:00.000000Z"}
    assert api.replace(f"{new}/new-life", read)["series"]["count"] == 100
    old = api.get(f"{core}/new-life")
    assert (old["message"], old["involvedObject"]["name"]) == ("This is a new event", "somebody")
    assert (old["reportingComponent"], old["reportingInstance"]) == ("test-controller", "test-node")
    api.delete(f"{new}/new-life")
    assert api.missing(f"{core}/new-life")


def test_a_set_of_new_events_is_deleted_at_once(api: Rest, new: str, space: str) -> None:
    for number in range(3):
        document = _new(f"new-set-{number}", space)
        document["metadata"]["labels"] = {"testevent-set": "many"}
        api.create(new, document)
    assert len(api.names(new, labelSelector="testevent-set=many")) == 3
    api.delete(new, labelSelector="testevent-set=many")
    assert api.names(new, labelSelector="testevent-set=many") == []


def test_the_new_group_is_strict(api: Rest, new: str, space: str) -> None:
    without_action = {key: value for key, value in _new("strict", space).items() if key != "action"}
    assert "action: Required value" in api.request("POST", new, without_action).refused(422)
    without_controller = {**_new("strict", space), "reportingController": ""}
    assert "reportingController: Required value" in api.request("POST", new, without_controller).refused(422)
    api.create(new, _new("strict", space))
    changed = api.get(f"{new}/strict")
    changed["note"] = "another"
    assert "field is immutable" in api.request("PUT", f"{new}/strict", changed).refused(422)


def test_events_are_selected_by_what_they_are_about(api: Rest, core: str, space: str) -> None:
    api.create(core, _core("about", space, type="Warning"))
    selector = f"involvedObject.kind=Pod,involvedObject.name=somebody,involvedObject.namespace={space},type=Warning"
    assert api.names(core, fieldSelector=selector) == ["about"]
    assert api.names(core, fieldSelector="reason=Nothing") == []


def test_an_event_belongs_to_the_namespace_of_what_it_is_about(api: Rest, core: str) -> None:
    refused = api.request("POST", core, _core("elsewhere", "default")).refused(422)
    assert "does not match event.namespace" in refused
