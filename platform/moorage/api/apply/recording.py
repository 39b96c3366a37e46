"""Ownership after a create, update or patch: who writes a field owns it, and whose field was changed owns it no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from moorage.api.apply.endpoints import writable
from moorage.api.apply.fieldsets import FieldSet, difference, union
from moorage.api.apply.managers import UPDATE, Managers, Owned, capped, decode, encode, entry, manager_of, without_empty
from moorage.api.apply.walking import Comparison, compare, created
from moorage.api.structure import structure_of
from moorage.resources.kind import Document, Kind


def record(kind: Kind, new: Document, old: Document | None, manager: str, subresource: str, now: str) -> None:
    """Set ``new``'s managedFields for a write by ``manager`` that turns ``old`` (None: a create) into ``new``. In place.

    Call it last, when defaults and admission have had their say, and not after an apply. ``now`` is RFC 3339. A
    managedFields of ``[{}]`` in ``new`` clears the list; any other valid one that is not empty replaces it first.
    """
    metadata = new["metadata"]
    given = metadata.get("managedFields")
    if old is None and not given:
        writer = manager_of(manager, UPDATE, kind.api_version, subresource)
        fields = writable(created(new, structure_of(kind.schema)), kind, subresource)
        metadata["managedFields"] = [entry(writer, fields, kind.api_version, now)] if fields else []
        return
    stored = old["metadata"].get("managedFields") if old is not None else None
    managers = _starting_point(given, stored, subresource)
    if managers or old is None:
        comparison = compare(old or {}, new, structure_of(kind.schema))
        managers = updated(managers, comparison, kind, manager, subresource, now)
    _set(metadata, managers, stored)


def updated(
    managers: Managers, comparison: Comparison, kind: Kind, manager: str, subresource: str, now: str
) -> Managers:
    """``managers`` after a write by ``manager`` that changed what ``comparison`` says."""
    if comparison.same:
        return managers
    taken = writable(union(comparison.added, comparison.modified), kind, subresource)
    result = released(managers, taken, comparison.removed)
    if taken:
        writer = manager_of(manager, UPDATE, kind.api_version, subresource)
        previous = result.get(writer)
        result[writer] = Owned(union(taken, previous.fields) if previous else taken, kind.api_version, now)
    return capped(without_empty(result))


def released(managers: Managers, taken: FieldSet, removed: FieldSet) -> Managers:
    """``managers`` without the fields that another took or that are gone."""
    result: Managers = {}
    for manager, owned in managers.items():
        fields = difference(difference(owned.fields, taken), removed)
        result[manager] = owned if fields == owned.fields else replace(owned, fields=fields)
    return result


def _starting_point(given: Any, stored: Any, subresource: str) -> Managers:
    """The managers before the write. A subresource cannot set them; a client that knows nothing of them keeps them."""
    if not subresource:
        if given == [{}]:
            return {}
        managers = decode(given)
        if managers:
            return managers
    return decode(stored) or {}


def _set(metadata: dict[str, Any], managers: Managers, stored: Any) -> None:
    if managers:
        metadata["managedFields"] = encode(managers)
    else:
        metadata.pop("managedFields", None)


def keep_times(new: Document, old: Document) -> None:
    """Where ``new`` differs from ``old`` in nothing but times of managedFields, give it the old times. In place.

    So an apply that changes nothing is no write. Call it after defaulting, before comparing the two.
    """
    entries, before = new["metadata"].get("managedFields"), old["metadata"].get("managedFields")
    if not entries or not before or len(entries) != len(before):
        return
    if any(_timeless(one) != _timeless(other) for one, other in zip(entries, before, strict=True)):
        return
    if _without_managers(new) == _without_managers(old):
        new["metadata"]["managedFields"] = before


def _timeless(each: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in each.items() if key != "time"}


def _without_managers(document: Document) -> Document:
    metadata = {key: value for key, value in document["metadata"].items() if key != "managedFields"}
    metadata.pop("resourceVersion", None)
    return {**document, "metadata": metadata}
