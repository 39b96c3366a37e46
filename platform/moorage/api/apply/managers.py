"""``metadata.managedFields``: who owns which fields, as a list of entries and as something to compute with.

Source: apimachinery's managedfields (identity of a manager, order of entries, the cap on updaters).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from moorage.api.apply.fieldsets import FieldSet, union

APPLY: Final = "Apply"
UPDATE: Final = "Update"
MAX_UPDATERS: Final = 10
ANCIENT: Final = "ancient-changes"
BEFORE_FIRST_APPLY: Final = "before-first-apply"


class Manager(NamedTuple):
    """What tells one manager from another. Appliers are the same across versions, so ``version`` is "" for them."""

    name: str
    operation: str
    version: str
    subresource: str


@dataclass(frozen=True, slots=True)
class Owned:
    """The fields of one manager. ``version`` is the apiVersion that they are named in; ``time`` RFC 3339, or ""."""

    fields: FieldSet
    version: str
    time: str


Managers = dict[Manager, Owned]


def manager_of(name: str, operation: str, version: str, subresource: str) -> Manager:
    """The identity of who does ``operation``."""
    return Manager(name, operation, "" if operation == APPLY else version, subresource)


def decode(entries: Any) -> Managers | None:
    """The managers of a managedFields list; None for what is no such list. Entries without fields are left out."""
    if not isinstance(entries, list):
        return {} if entries is None else None
    managers: Managers = {}
    for entry in entries:
        if not isinstance(entry, Mapping):
            return None
        fields = entry.get("fieldsV1")
        operation = entry.get("operation")
        version = entry.get("apiVersion")
        if operation not in (APPLY, UPDATE) or not isinstance(version, str) or not version:
            return None
        if entry.get("fieldsType", "FieldsV1") != "FieldsV1" or not isinstance(fields, dict | None):
            return None
        name, subresource = entry.get("manager", ""), entry.get("subresource", "")
        manager = manager_of(name, operation, version, subresource)
        owned = Owned(fields or {}, version, entry.get("time") or "")
        known = managers.get(manager)
        managers[manager] = owned if known is None else replace(owned, fields=union(known.fields, owned.fields))
    return managers


def encode(managers: Managers) -> list[dict[str, Any]]:
    """The managedFields list: appliers first, then by time, name, version and subresource."""
    return [_entry(manager, owned) for manager, owned in sorted(managers.items(), key=_order)]


def entry(manager: Manager, fields: FieldSet, version: str, time: str) -> dict[str, Any]:
    """One entry of the list."""
    return _entry(manager, Owned(fields, version, time))


def _entry(manager: Manager, owned: Owned) -> dict[str, Any]:
    result: dict[str, Any] = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": owned.version,
        "time": owned.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": owned.fields,
    }
    if not owned.time:
        del result["time"]
    if manager.subresource:
        result["subresource"] = manager.subresource
    return result


def _order(item: tuple[Manager, Owned]) -> tuple[str, str, str, str, str]:
    manager, owned = item
    return manager.operation, owned.time, manager.name, owned.version, manager.subresource


def capped(managers: Managers) -> Managers:
    """At most ten updaters: the oldest of each version are merged into one entry, ``ancient-changes``."""
    updaters = sorted((item for item in managers.items() if item[0].operation == UPDATE), key=_order)
    excess = len(updaters) - MAX_UPDATERS
    if excess <= 0:
        return managers
    result = dict(managers)
    first: dict[str, Manager] = {}
    for manager, owned in updaters:
        if excess <= 0:
            break
        bucket = manager_of(ANCIENT, UPDATE, owned.version, "")
        oldest = first.setdefault(owned.version, manager)
        if oldest is manager:
            continue
        if bucket not in result:
            result[bucket] = result.pop(oldest)
        if manager != bucket:
            merged = union(owned.fields, result[bucket].fields)
            result[bucket] = Owned(merged, owned.version, owned.time)
            del result[manager]
        excess -= 1
    return result


def name_from_user_agent(user_agent: str) -> str:
    """The default manager: the User-Agent up to its first slash, printable and at most 128 bytes; else ``unknown``."""
    prefix = user_agent.partition("/")[0]
    printable = "".join(character for character in prefix if character.isprintable())
    return printable.encode()[:128].decode(errors="ignore") or "unknown"


def without_empty(managers: Managers) -> Managers:
    """Managers that own something."""
    return {manager: owned for manager, owned in managers.items() if owned.fields}


def all_fields(managers: Iterable[Owned]) -> FieldSet:
    """Everything that any of them owns."""
    result: FieldSet = {}
    for owned in managers:
        result = union(result, owned.fields)
    return result
