"""Events in both of their forms."""

from typing import Any

import pytest

from moorage.resources import events
from tests.unit.resources.documents import NOW, REMOVED, ago, edited, kind, plain, problems

CORE, NEW = kind("Event"), kind("Event", "events.k8s.io")
LEGACY = plain(
    "Event", involvedObject={"kind": "Pod", "namespace": "shop", "name": "web"}, reason="Started", type="Normal"
)
FRESH = {
    **plain("Event", "events.k8s.io"),
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "reportingController": "moorage.io/scheduler",
    "reportingInstance": "scheduler-1",
    "action": "Binding",
    "reason": "Scheduled",
    "type": "Normal",
    "regarding": {"kind": "Pod", "namespace": "shop", "name": "web"},
    "note": "Assigned.",
}


def test_both_forms_are_one_event() -> None:
    core = events.to_core(FRESH)
    assert core["apiVersion"] == "v1"
    assert core["involvedObject"] == FRESH["regarding"]
    assert core["message"] == "Assigned."
    assert core["reportingComponent"] == "moorage.io/scheduler"
    assert events.from_core(core) == FRESH
    old = {**LEGACY, "source": {"component": "a"}, "firstTimestamp": "x", "lastTimestamp": "y", "count": 2}
    assert events.to_core(events.from_core(old)) == old
    assert events.from_core(old)["deprecatedCount"] == 2


def test_they_share_a_store() -> None:
    assert CORE.storage == NEW.storage
    assert CORE.ttl == NEW.ttl == 3600


@pytest.mark.parametrize(
    ("edits", "problem"),
    [
        ({}, None),
        (
            {"involvedObject/namespace": "other"},
            'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
        ),
        (
            {"involvedObject/namespace": REMOVED},
            'involvedObject.namespace: Invalid value: "": does not match event.namespace',
        ),
        ({"involvedObject/namespace": REMOVED, "metadata/namespace": "default"}, None),
        ({"metadata/name": "Pod.Any:name"}, None),
        ({"metadata/name": "a/b"}, "metadata.name: Invalid value: \"a/b\": may not contain '/'"),
    ],
)
def test_old_events(edits: dict[str, Any], problem: str | None) -> None:
    assert problems(CORE, edited(LEGACY, edits)) == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("edits", "problem"),
    [
        ({}, None),
        ({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}}, None),
        ({"reportingInstance": ""}, "reportingInstance: Required value"),
        ({"action": ""}, "action: Required value"),
        ({"reason": ""}, "reason: Required value"),
        ({"reason": "x" * 129}, 'reason: Invalid value: "": can have at most 128 characters'),
        ({"note": "x" * 1025}, 'message: Invalid value: "": can have at most 1024 characters'),
        ({"reportingController": "a/"}, 'reportingController: Invalid value: "a/": name part must be non-empty'),
        ({"type": "Odd"}, 'type: Invalid value: "": has invalid value: Odd'),
        ({"deprecatedCount": 1}, 'count: Invalid value: "": needs to be unset'),
        ({"deprecatedSource": {"component": "a"}}, 'source: Invalid value: "": needs to be unset'),
        (
            {"series": {"count": 1, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}},
            'series.count: Invalid value: "": should be',
        ),
        ({"series": {"count": 2}}, "series.lastObservedTime: Required value"),
        (
            {"regarding/namespace": REMOVED},
            'involvedObject.namespace: Invalid value: "": does not match event.namespace',
        ),
    ],
)
def test_new_events(edits: dict[str, Any], problem: str | None) -> None:
    found = problems(NEW, edited(FRESH, edits))
    assert len(found) == (1 if problem else 0), found
    assert all(text.startswith(problem or "") for text in found)


def test_a_controller_is_named() -> None:
    assert problems(NEW, edited(FRESH, {"reportingController": ""}))[0] == "reportingController: Required value"


def test_a_new_event_has_a_time() -> None:
    assert "eventTime: Required value" in problems(NEW, edited(FRESH, {"eventTime": REMOVED}))


def test_only_the_series_changes() -> None:
    more = edited(FRESH, {"series": {"count": 3, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}})
    assert not NEW.validate_update(more, FRESH)
    assert [error.path for error in NEW.validate_update(edited(FRESH, {"note": "Else."}), FRESH)] == ["message"]
    assert [error.path for error in NEW.validate_update(edited(FRESH, {"series": {"count": 1}}), FRESH)] == [
        "series.count",
        "series.lastObservedTime",
    ]
    assert not CORE.validate_update({**LEGACY, "count": 5, "message": "x"}, LEGACY)


def test_selectable_fields() -> None:
    assert (
        CORE.fields({**LEGACY, "source": {"component": "agent"}}).items()
        >= {
            "involvedObject.name": "web",
            "involvedObject.uid": "",
            "reason": "Started",
            "source": "agent",
            "type": "Normal",
        }.items()
    )
    assert (
        NEW.fields(FRESH).items()
        >= {
            "regarding.name": "web",
            "reportingController": "moorage.io/scheduler",
            "reason": "Scheduled",
        }.items()
    )


def test_columns() -> None:
    event = {
        **LEGACY,
        "message": " Started it.\n",
        "firstTimestamp": ago(300),
        "lastTimestamp": ago(60),
        "count": 4,
        "source": {"component": "agent", "host": "n"},
    }
    row = {column.name: column.cell(event, NOW) for column in CORE.columns}
    assert row == {
        "Last Seen": "60s",
        "Type": "Normal",
        "Reason": "Started",
        "Object": "pod/web",
        "Subobject": "",
        "Source": "agent, n",
        "Message": "Started it.",
        "First Seen": "5m",
        "Count": 4,
        "Name": "one",
    }
    fresh = {column.name: column.cell(FRESH, NOW + 30) for column in NEW.columns}
    assert (fresh["Last Seen"], fresh["Count"], fresh["Message"]) == ("30s", 1, "Assigned.")
    series = edited(FRESH, {"series": {"count": 9, "lastObservedTime": "2026-01-01T00:00:20.000000Z"}})
    again = {column.name: column.cell(series, NOW + 30) for column in NEW.columns}
    assert (again["Last Seen"], again["First Seen"], again["Count"]) == ("10s", "30s", 9)
