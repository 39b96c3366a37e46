"""The query parameters of the verbs, checked as Kubernetes checks its ListOptions, CreateOptions, PatchOptions and DeleteOptions.

Source: apimachinery/pkg/apis/meta/{v1,internalversion}/validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast
from urllib.parse import parse_qsl

from moorage.api.errors import ApiError, bad_request, invalid
from moorage.resources.kind import Document, FieldError

Query = Mapping[str, str]
Strictness = Literal["Strict", "Warn", "Ignore"]

META_GROUP = "meta.k8s.io"
MANAGER_LENGTH = 128
POLICIES = ("Background", "Foreground", "Orphan")


def parse_query(raw: bytes) -> Query:
    """The parameters; of a repeated one the first counts, as in Go's ``url.Values.Get``."""
    if not raw:
        return {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except (UnicodeError, ValueError) as error:
        raise bad_request(f"the query string cannot be read: {error}") from error
    query: dict[str, str] = {}
    for name, value in pairs:
        query.setdefault(name, value)
    return query


def flag(query: Query, name: str) -> bool | None:
    """A boolean parameter; None where it is missing. Raises ApiError 400 for what is no boolean."""
    value = query.get(name)
    if value is None:
        return None
    if value in ("", "1", "t", "T", "true", "TRUE", "True"):
        return True
    if value in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise bad_request(f'query parameter "{name}": Invalid value: "{value}": must be true or false')


def integer(query: Query, name: str) -> int | None:
    """An integer parameter; None where it is missing or empty. Raises ApiError 400."""
    value = query.get(name)
    if not value:
        return None
    try:
        number = int(value)
    except ValueError as error:
        raise bad_request(f'query parameter "{name}": Invalid value: "{value}": must be an integer') from error
    if not -(2**63) <= number < 2**63:
        raise bad_request(f'query parameter "{name}": Invalid value: "{value}": value out of range')
    return number


def resource_version(value: str) -> int:
    """A resourceVersion as a revision; "" is -1 (not given). Raises ApiError 422."""
    if value == "":
        return -1
    if not value.isascii() or not value.isdigit() or len(value) > 19:
        raise _invalid_options(
            "ListOptions",
            "resourceVersion",
            "FieldValueInvalid",
            f'Invalid value: "{value}": must be a revision number',
        )
    return int(value)


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What a list or watch asks for. ``revision`` is -1 where none was given; ``limit`` 0 means all."""

    labels: str = ""
    fields: str = ""
    revision: int = -1
    match: str = ""
    limit: int = 0
    token: str = ""
    timeout: int | None = None
    bookmarks: bool = False
    initial_events: bool | None = None


EVERYTHING = ListOptions()


def list_options(query: Query, *, watch: bool) -> ListOptions:
    """Read and check. Raises ApiError 400 or 422 (``ListOptions.meta.k8s.io "" is invalid: ...``)."""
    if not query:
        return EVERYTHING
    options = ListOptions(
        labels=query.get("labelSelector", ""),
        fields=query.get("fieldSelector", ""),
        revision=resource_version(query.get("resourceVersion", "")),
        match=query.get("resourceVersionMatch", ""),
        limit=integer(query, "limit") or 0,
        token=query.get("continue", ""),
        timeout=integer(query, "timeoutSeconds"),
        bookmarks=bool(flag(query, "allowWatchBookmarks")),
        initial_events=flag(query, "sendInitialEvents"),
    )
    if options.limit < 0:
        raise bad_request(f"limit must not be negative: {options.limit}")
    if watch:
        _check_watch(options)
    else:
        _check_list(options)
    return options


def _check_list(options: ListOptions) -> None:
    if options.initial_events is not None:
        raise _forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
    if options.match:
        if options.match not in ("Exact", "NotOlderThan"):
            message = f'Unsupported value: "{options.match}": supported values: "Exact", "NotOlderThan", ""'
            raise _invalid_options("ListOptions", "resourceVersionMatch", "FieldValueNotSupported", message)
        if options.revision < 0:
            raise _forbidden(
                "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"
            )
        if options.token:
            raise _forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
        if options.match == "Exact" and options.revision == 0:
            raise _forbidden(
                "resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            )
    if options.token and options.revision > 0:
        raise bad_request("specifying resource version is not allowed when using continue")


def _check_watch(options: ListOptions) -> None:
    if options.initial_events is None:
        if options.match:
            raise _forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )
        return
    if options.match != "NotOlderThan":
        raise _forbidden(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        )


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What a create, update or patch asks for. ``manager`` is "" where none was given."""

    dry_run: bool = False
    manager: str = ""
    strictness: Strictness = "Warn"
    force: bool | None = None


PLAIN = WriteOptions()


def write_options(query: Query, kind: str) -> WriteOptions:
    """Read and check. ``kind`` is CreateOptions, UpdateOptions or PatchOptions, for messages."""
    if not query:
        return PLAIN
    strictness = query.get("fieldValidation", "") or "Warn"
    if strictness not in ("Strict", "Warn", "Ignore"):
        message = f'Unsupported value: "{strictness}": supported values: "", "Ignore", "Strict", "Warn"'
        raise _invalid_options(kind, "fieldValidation", "FieldValueNotSupported", message)
    manager = query.get("fieldManager", "")
    check_manager(manager, kind)
    return WriteOptions(
        dry_run=dry_run(query, kind),
        manager=manager,
        strictness=cast(Strictness, strictness),
        force=flag(query, "force"),
    )


def check_manager(manager: str, kind: str) -> None:
    """Raises ApiError 422 for a field manager that is too long or not printable."""
    if len(manager.encode()) > MANAGER_LENGTH:
        message = f"Too long: may not be more than {MANAGER_LENGTH} bytes"
        raise _invalid_options(kind, "fieldManager", "FieldValueTooLong", message)
    for at, character in enumerate(manager):
        if not character.isprintable():
            message = f'Invalid value: "{manager}": invalid character {character!a} (at position {at})'
            raise _invalid_options(kind, "fieldManager", "FieldValueInvalid", message)


def dry_run(query: Query, kind: str) -> bool:
    """Whether ``dryRun=All`` was asked for. Raises ApiError 422 for another value."""
    value = query.get("dryRun")
    return value is not None and _dry_run_value(value, kind)


def _dry_run_value(value: str, kind: str) -> bool:
    if value != "All":
        message = f'Unsupported value: "{value}": supported values: "All"'
        raise _invalid_options(kind, "dryRun", "FieldValueNotSupported", message)
    return True


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a delete asks for. ``revision`` and ``uid`` are preconditions; ``policy`` "" means the kind's default."""

    dry_run: bool = False
    grace_seconds: int | None = None
    policy: str = ""
    uid: str = ""
    revision: str = ""
    explicit_orphan: bool = False
    """``orphanDependents`` (deprecated) said so; it changes the answer's code."""


def delete_options(query: Query, body: Document | None) -> DeleteOptions:
    """From the query and, where there is one, the body (which wins, as in Kubernetes). Raises ApiError 400 or 422."""
    fields: dict[str, Any] = {}
    if body is None:
        fields = {
            "gracePeriodSeconds": integer(query, "gracePeriodSeconds"),
            "propagationPolicy": query.get("propagationPolicy"),
            "orphanDependents": flag(query, "orphanDependents"),
            "dryRun": [query["dryRun"]] if "dryRun" in query else None,
        }
    else:
        fields = dict(body)
        _check_delete_types(fields)
    preconditions = fields.get("preconditions") or {}
    options = DeleteOptions(
        dry_run=_all_dry(fields.get("dryRun") or ()),
        grace_seconds=fields.get("gracePeriodSeconds"),
        policy=fields.get("propagationPolicy") or "",
        uid=preconditions.get("uid") or "",
        revision=preconditions.get("resourceVersion") or "",
    )
    return _with_policy(options, fields.get("orphanDependents"))


def _all_dry(values: Sequence[str]) -> bool:
    for value in values:
        _dry_run_value(value, "DeleteOptions")
    return bool(values)


def _with_policy(options: DeleteOptions, orphan: bool | None) -> DeleteOptions:
    if options.policy and options.policy not in POLICIES:
        message = (
            f'Unsupported value: "{options.policy}": supported values: "Background", "Foreground", "Orphan", "nil"'
        )
        raise _invalid_options("DeleteOptions", "propagationPolicy", "FieldValueNotSupported", message)
    if options.grace_seconds is not None and options.grace_seconds < 0:
        # Kubernetes reads every negative grace period as one second.
        options = replace(options, grace_seconds=1)
    if orphan is None:
        return options
    if options.policy:
        message = "orphanDependents and deletionPropagation cannot be both set"
        raise _invalid_options(
            "DeleteOptions", "propagationPolicy", "FieldValueInvalid", f'Invalid value: "{options.policy}": {message}'
        )
    return replace(options, policy="Orphan" if orphan else "Background", explicit_orphan=not orphan)


_DELETE_TYPES: dict[str, tuple[type, str]] = {
    "gracePeriodSeconds": (int, "an integer"),
    "propagationPolicy": (str, "a string"),
    "orphanDependents": (bool, "a boolean"),
    "dryRun": (list, "a list of strings"),
    "preconditions": (dict, "an object"),
}


def _check_delete_types(fields: Mapping[str, Any]) -> None:
    if fields.get("kind", "DeleteOptions") != "DeleteOptions":
        raise bad_request(f'the body of a delete must be DeleteOptions, not "{fields["kind"]}"')
    for name, (kind, text) in _DELETE_TYPES.items():
        value = fields.get(name)
        if value is not None and type(value) is not kind:
            raise bad_request(f"DeleteOptions.{name}: Invalid value: must be {text}")
    for value in fields.get("dryRun") or ():
        if not isinstance(value, str):
            raise bad_request("DeleteOptions.dryRun: Invalid value: must be a list of strings")
    for name, value in (fields.get("preconditions") or {}).items():
        if name not in ("uid", "resourceVersion") or not (value is None or isinstance(value, str)):
            raise bad_request(
                f"DeleteOptions.preconditions.{name}: Invalid value: must be a string uid or resourceVersion"
            )


def _invalid_options(kind: str, path: str, reason: Any, message: str) -> ApiError:
    return invalid(META_GROUP, kind, "", [FieldError(path, reason, message)])


def _forbidden(path: str, message: str) -> ApiError:
    return _invalid_options("ListOptions", path, "FieldValueForbidden", f"Forbidden: {message}")
