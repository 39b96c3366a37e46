"""Rules of Events: lenient for core Events as clients have written them since ever, strict for events.k8s.io."""

from __future__ import annotations

from moorage.resources import names
from moorage.resources.checks import Errors
from moorage.resources.field_errors import immutable, invalid, required
from moorage.resources.kind import Document, FieldError
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import at

_LIMITS = {"reportingInstance": 128, "action": 128, "reason": 128, "message": 1024}
_REQUIRED = ("reportingInstance", "action", "reason")
_UNCHANGING = (
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
)
_OUTDATED = ("firstTimestamp", "lastTimestamp", "count", "source")


def _check_new_style(errors: Errors, event: Document) -> None:
    controller = event.get("reportingComponent", "")
    if not controller:
        errors.append(required("reportingController"))
    if problem := names.qualified_name(controller):
        errors.append(invalid("reportingController", controller, problem))
    for name, limit in _LIMITS.items():
        value = event.get(name, "")
        if not value and name in _REQUIRED:
            errors.append(required(name))
        if len(value.encode()) > limit:
            errors.append(invalid(name, "", f"can have at most {limit} characters"))


def _check_shape(errors: Errors, event: Document) -> None:
    namespace, involved = at(event, "metadata.namespace"), at(event, "involvedObject.namespace")
    mismatch = invalid("involvedObject.namespace", involved, "does not match event.namespace")
    if event.get("eventTime"):
        if not involved and namespace not in ("default", "kube-system"):
            errors.append(mismatch)
        _check_new_style(errors, event)
    elif involved != namespace and (involved or namespace != "default"):
        errors.append(mismatch)


def event_errors(event: Document) -> list[FieldError]:
    """What is wrong with a core Event."""
    errors = metadata_errors(event, names.path_segment, namespaced=True)
    _check_shape(errors, event)
    return errors


def _check_series(errors: Errors, event: Document) -> None:
    series = event.get("series")
    if series is not None:
        if series.get("count", 0) < 2:
            errors.append(invalid("series.count", "", "should be at least 2"))
        if not series.get("lastObservedTime"):
            errors.append(required("series.lastObservedTime"))


def strict_errors(event: Document) -> list[FieldError]:
    """What is wrong with an events.k8s.io Event, given as a core Event."""
    errors = metadata_errors(event, names.dns_subdomain, namespaced=True)
    _check_shape(errors, event)
    _check_series(errors, event)
    if not event.get("eventTime"):
        errors.append(required("eventTime"))
    if event.get("type") not in ("Normal", "Warning"):
        errors.append(invalid("type", "", f"has invalid value: {event.get('type', '')}"))
    errors.extend(invalid(name, "", "needs to be unset") for name in _OUTDATED if event.get(name))
    return errors


def strict_update_errors(new: Document, old: Document) -> list[FieldError]:
    """Only the series of an events.k8s.io Event changes; both are given as core Events."""
    errors = metadata_update_errors(new, old)
    if new.get("series") != old.get("series"):
        _check_series(errors, new)
    for name in _UNCHANGING:
        errors += immutable(name, new.get(name), old.get(name))
    return errors
