"""Events of the core group, which is also the form in which Events are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources import names, timestamps
from moorage.resources.core.event_rules import event_errors
from moorage.resources.declaring import CORE
from moorage.resources.kind import Column, Document, Kind, ResourceKey
from moorage.resources.printing import NAME, at, text

TTL_SECONDS = 3600
STORAGE = ResourceKey("", "events")


def _first(event: Document) -> str:
    return event.get("firstTimestamp") or event.get("eventTime") or ""


def _first_seen(event: Document, now: float) -> Any:
    return timestamps.age(_first(event), now)


def _last_seen(event: Document, now: float) -> Any:
    series = event.get("series") or {}
    return timestamps.age(series.get("lastObservedTime") or event.get("lastTimestamp") or _first(event), now)


def _count(event: Document, _now: float) -> Any:
    series = event.get("series") or {}
    return series.get("count") or event.get("count") or 1


def _object(event: Document, _now: float) -> Any:
    involved = event.get("involvedObject") or {}
    kind, name = involved.get("kind", "").lower(), involved.get("name", "")
    return f"{kind}/{name}" if name else kind


def _component(event: Document) -> str:
    return at(event, "source.component") or event.get("reportingComponent") or ""


def _source(event: Document, _now: float) -> Any:
    component = _component(event)
    host = at(event, "source.host") or event.get("reportingInstance") or ""
    return f"{component}, {host}" if host else component


def _message(event: Document, _now: float) -> Any:
    return (event.get("message") or "").strip()


def event_fields(event: Document) -> Mapping[str, str]:
    """Selectable fields, by their core names."""
    involved = event.get("involvedObject") or {}
    parts = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    return {f"involvedObject.{part}": involved.get(part, "") for part in parts} | {
        "reason": event.get("reason") or "",
        "reportingComponent": event.get("reportingComponent") or "",
        "source": _component(event),
        "type": event.get("type") or "",
    }


COLUMNS = (
    Column("Last Seen", _last_seen, description="When this was last observed."),
    Column("Type", text("type"), description="Normal or Warning."),
    Column("Reason", text("reason"), description="Why this happened, in a word."),
    Column("Object", _object, description="The object that this is about."),
    Column("Subobject", text("involvedObject.fieldPath"), priority=1, description="The part of the object."),
    Column("Source", _source, priority=1, description="Who reported this."),
    Column("Message", _message, description="What happened."),
    Column("First Seen", _first_seen, priority=1, description="When this was first observed."),
    Column("Count", _count, priority=1, description="How often this was observed."),
    Column(NAME.name, NAME.cell, format=NAME.format, description=NAME.description, priority=1),
)

EVENT = Kind(
    group="",
    version="v1",
    kind="Event",
    plural="events",
    singular="event",
    namespaced=True,
    schema=f"{CORE}.Event",
    short_names=("ev",),
    storage=STORAGE,
    ttl=TTL_SECONDS,
    allow_create_on_update=True,
    name_rule=names.path_segment,
    columns=COLUMNS,
    validate=event_errors,
    fields=event_fields,
)
