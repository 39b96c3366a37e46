"""Server-side apply (KEP-555): a client says what it wants of an object and comes to own exactly that."""

from __future__ import annotations

from moorage.api.apply import last_applied
from moorage.api.apply.conflicts import conflict_error
from moorage.api.apply.elements import BadItem
from moorage.api.apply.endpoints import writable
from moorage.api.apply.fieldsets import FieldSet, difference, intersection, union
from moorage.api.apply.managers import (
    APPLY,
    BEFORE_FIRST_APPLY,
    UPDATE,
    Manager,
    Managers,
    Owned,
    all_fields,
    decode,
    encode,
    manager_of,
    without_empty,
)
from moorage.api.apply.merging import merge, remove
from moorage.api.apply.recording import released
from moorage.api.apply.walking import compare, created, mentioned, with_named
from moorage.api.errors import bad_request
from moorage.api.json_values import copied
from moorage.api.structure import Structure, structure_of
from moorage.resources.kind import Document, Kind
from moorage.resources.schemas import cannot_be_handled, normalise


def apply(
    kind: Kind,
    live: Document | None,
    config: Document,
    manager: str,
    *,
    force: bool,
    now: str,
    subresource: str = "",
) -> Document:
    """``live`` (None: nothing is there) with ``config`` applied by ``manager``, in stored form, with its managedFields.

    Changes neither argument. Defaults are the caller's to fill in, afterwards; so is ``keep_times``. Raises ApiError
    400 for a config that is no such object, 409 where another manager owns a field with another value and not ``force``.
    """
    _check(kind, config)
    structure = structure_of(kind.schema)
    managers = decode((live or {}).get("metadata", {}).get("managedFields")) or {}
    if live is not None and not managers:
        fields = created(live, structure)
        existing = manager_of(BEFORE_FIRST_APPLY, UPDATE, kind.api_version, "")
        managers = without_empty({existing: Owned(fields, kind.api_version, now)})
    applier = manager_of(manager, APPLY, kind.api_version, subresource)
    fields = writable(_fields_of(kind, config, structure), kind, subresource)
    last = managers.get(applier)
    managers[applier] = Owned(fields, kind.api_version, now)
    merged: Document = merge(_bare(live or {}), _without_times(config), structure)
    if last is not None and difference(last.fields, fields):
        merged = prune(merged, last.fields, managers, structure)
    result = _stored_form(kind, merged)
    managers = _settle(kind, live, merged, result, managers, applier, force, subresource)
    if manager == last_applied.MANAGER:
        last_applied.refresh(result, config)
    result.setdefault("metadata", {})["managedFields"] = encode(managers)
    return result


def _check(kind: Kind, config: Document) -> None:
    version = config.get("apiVersion")
    if version != kind.api_version:
        raise bad_request(
            "Incorrect version specified in apply patch. "
            f"Specified patch version: {version}, expected: {kind.api_version}"
        )
    if config.get("kind") != kind.kind:
        raise bad_request(f"Incorrect kind specified in apply patch: {config.get('kind')}, expected: {kind.kind}")
    metadata = config.get("metadata")
    if not isinstance(metadata, dict | None):
        raise bad_request("metadata must be an object")
    if metadata and metadata.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    found = normalise(kind, copied(config))
    if found.errors or found.unknown:
        problem = found.errors[0] if found.errors else f".{found.unknown[0]}: field not declared in schema"
        raise bad_request(f"failed to create typed patch object ({_shown(kind, config)}): {problem}")


def _shown(kind: Kind, config: Document) -> str:
    metadata = config.get("metadata") or {}
    place = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
    return f"{place}; {kind.group}/{kind.version}, Kind={kind.kind}"


def _fields_of(kind: Kind, config: Document, structure: Structure) -> FieldSet:
    try:
        return mentioned(config, structure)
    except BadItem as error:
        raise bad_request(f"failed to create typed patch object ({_shown(kind, config)}): {error}") from error


def _bare(live: Document) -> Document:
    """The live object without its managedFields."""
    if "managedFields" not in live.get("metadata", {}):
        return live
    return {**live, "metadata": {key: value for key, value in live["metadata"].items() if key != "managedFields"}}


def _without_times(config: Document) -> Document:
    """The config without what only the system sets: a client that applies what it read must not set it either.

    resourceVersion and uid stay: they are preconditions, and the caller's to check.
    """
    metadata = config.get("metadata")
    if not isinstance(metadata, dict):
        return config
    dropped = ("creationTimestamp", "managedFields", "selfLink", "generation")
    return {**config, "metadata": {key: value for key, value in metadata.items() if key not in dropped}}


def prune(merged: Document, last: FieldSet, managers: Managers, structure: Structure) -> Document:
    """``merged`` without what its applier applied last time (``last``), does not apply now, and nobody else owns."""
    everything = with_named(mentioned(merged, structure, strict=False), structure)
    owned = with_named(all_fields(managers.values()), structure)
    kept = with_named(
        mentioned(remove(merged, with_named(last, structure), structure) or {}, structure, strict=False), structure
    )
    pruned = remove(merged, difference(everything, union(kept, owned)), structure) or {}
    still = with_named(mentioned(pruned, structure, strict=False), structure)
    gone = intersection(difference(everything, still), with_named(last, structure))
    result: Document = remove(merged, gone, structure) if gone else merged
    return result


def _stored_form(kind: Kind, merged: Document) -> Document:
    result: Document = copied(merged)
    found = normalise(kind, result)
    if found.errors:
        raise bad_request(cannot_be_handled(kind, found.errors[0]))
    return result


def _settle(
    kind: Kind,
    live: Document | None,
    merged: Document,
    result: Document,
    managers: Managers,
    applier: Manager,
    force: bool,
    subresource: str,
) -> Managers:
    """The managers afterwards. Raises ApiError 409 for conflicts."""
    structure = structure_of(kind.schema)
    before = _bare(live or {})
    comparison = compare(before, merged, structure)
    taken = writable(union(comparison.added, comparison.modified), kind, subresource)
    others = {manager: owned for manager, owned in managers.items() if manager != applier}
    conflicts = _conflicts(others, taken)
    if conflicts:
        # What is written differently but stored alike (1000m and 1) is no conflict.
        actual = compare(before, result, structure)
        changed = union(union(actual.added, actual.modified), actual.removed)
        conflicts = _conflicts(others, intersection(taken, changed))
        taken = intersection(taken, changed)
    if conflicts and not force:
        allowed = last_applied.allowed(kind, live, structure) if applier.name == last_applied.MANAGER else {}
        refused = {manager: difference(fields, allowed) for manager, fields in conflicts.items()}
        refused = {manager: fields for manager, fields in refused.items() if fields}
        if refused:
            raise conflict_error(refused, others)
    settled = released(others, taken, comparison.removed)
    settled[applier] = managers[applier]
    return without_empty(settled)


def _conflicts(others: Managers, taken: FieldSet) -> dict[Manager, FieldSet]:
    found = {manager: intersection(owned.fields, taken) for manager, owned in others.items()}
    return {manager: fields for manager, fields in found.items() if fields}
