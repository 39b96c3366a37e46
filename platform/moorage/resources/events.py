"""events.k8s.io/v1: another served form of the core group's Events, which is the form that is stored."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.resources import names
from moorage.resources.core import events as core_events
from moorage.resources.core.event_rules import strict_errors, strict_update_errors
from moorage.resources.kind import Column, Document, FieldError, Kind

_RENAMED = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_BACK = {core: new for new, core in _RENAMED.items()}


def to_core(event: Document) -> Document:
    """An events.k8s.io/v1 Event as a v1 Event. Shares parts with ``event``."""
    return {_RENAMED.get(key, key): value for key, value in event.items()} | {"apiVersion": "v1"}


def from_core(event: Document) -> Document:
    """A v1 Event as an events.k8s.io/v1 Event. Shares parts with ``event``."""
    return {_BACK.get(key, key): value for key, value in event.items()} | {"apiVersion": "events.k8s.io/v1"}


def _fields(event: Document) -> Mapping[str, str]:
    renamed = {}
    for key, value in core_events.event_fields(to_core(event)).items():
        key = key.replace("involvedObject.", "regarding.")
        renamed["reportingController" if key == "reportingComponent" else key] = value
    return renamed


def _as_core(column: Column) -> Column:
    return Column(
        column.name,
        lambda event, now: column.cell(to_core(event), now),
        column.type,
        column.format,
        column.description,
        column.priority,
    )


def _errors(event: Document) -> list[FieldError]:
    return strict_errors(to_core(event))


def _update_errors(new: Document, old: Document) -> list[FieldError]:
    return strict_update_errors(to_core(new), to_core(old))


EVENT = Kind(
    group="events.k8s.io",
    version="v1",
    kind="Event",
    plural="events",
    singular="event",
    namespaced=True,
    schema="io.k8s.api.events.v1.Event",
    short_names=("ev",),
    storage=core_events.STORAGE,
    ttl=core_events.TTL_SECONDS,
    allow_create_on_update=True,
    name_rule=names.dns_subdomain,
    columns=tuple(map(_as_core, core_events.COLUMNS)),
    validate=_errors,
    validate_update=_update_errors,
    fields=_fields,
)
