"""What a commit tells the audit of each write: who from where, and which fields changed. Never a value of any field."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from moorage.resources.kind import ResourceKey
from moorage.store.audit_hash import row_digest
from moorage.store.contracts import Entry, Op, Origin, Write

SECRETS = ResourceKey("", "secrets")
HEARTBEATS = frozenset(
    (ResourceKey("coordination.k8s.io", "leases"), ResourceKey("", "events"), ResourceKey("events.k8s.io", "events"))
)
"""Kinds that are a log or a pulse themselves: a row for each would bury the others."""
SYSTEM = "system:"
LARGE = 128 * 1024
"""Bytes of a document beyond which its changed fields are not looked for."""
PATHS, DEPTH = 24, 5
_UNTOLD = frozenset(("managedFields", "resourceVersion", "generation"))
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def is_audited(resource: ResourceKey, subresource: str, actor: str) -> bool:
    """Whether a write leaves a row: all but heartbeats, and what the platform's own parts say of an object's status."""
    return resource not in HEARTBEATS and not (subresource == "status" and actor.startswith(SYSTEM))


def context(origin: Origin) -> dict[str, Any]:
    """What a row tells beside its columns, as far as it is the same for all writes of a request."""
    told = {
        "groups": list(origin.groups),
        "impersonator": origin.impersonator,
        "sourceIP": origin.source_ip,
        "userAgent": origin.user_agent,
        "manager": origin.field_manager,
    }
    return {name: value for name, value in told.items() if value}


def details(write: Write, origin: Origin, shared: dict[str, Any], current: Entry | None) -> bytes | None:
    """The JSON of a write's row; None for one that leaves none. ``current`` is the object as it was, where it is known."""
    if not is_audited(write.key.resource_key, write.subresource, origin.actor):
        return None
    told = shared
    if changed := changes(write, current):
        told = {**told, "changed": changed}
    if write.annotations:
        told = {**told, "annotations": dict(write.annotations)}
    return orjson.dumps(told)


def verb(write: Write, origin: Origin) -> str:
    """What the row calls a write."""
    return origin.verb or write.op.value


def row_of(write: Write, origin: Origin, detail: bytes | None) -> bytes | None:
    """The digest of the row of a write."""
    if detail is None:
        return None
    group, resource, namespace, name = write.key
    place = (group, resource, write.subresource, namespace, name)
    return row_digest(
        origin.request_id, origin.actor, verb(write, origin), *place, origin.source_commit, True, 0, detail.decode()
    )


def changes(write: Write, current: Entry | None) -> list[str]:
    """Paths of the fields that an update changes; none for what is created, deleted, or very large."""
    if write.op is not Op.UPDATE or current is None or write.encoded is None:
        return []
    if len(write.encoded.body) > LARGE or len(current.data) > LARGE:
        return []
    return changed_paths(current.document(), orjson.loads(write.encoded.body))


def changed_paths(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Paths of what differs, at most ``PATHS`` and then ``...``. What the server itself counts is left out."""
    found: list[str] = []
    for path in _differences(old, new, "", 0):
        if len(found) == PATHS:
            return [*found, "..."]
        found.append(path)
    return found


def _differences(old: Any, new: Any, path: str, depth: int) -> Iterator[str]:
    if old == new:
        return
    if depth < DEPTH and isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            if path != "metadata" or name not in _UNTOLD:
                yield from _differences(old.get(name), new.get(name), _joined(path, name), depth + 1)
    elif depth < DEPTH and isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences(before, after, f"{path}[{number}]", depth + 1)
    else:
        yield path


def _joined(path: str, name: str) -> str:
    if not _WORD.fullmatch(name):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name


def digest(write: Write, sealed: bytes | None) -> bytes | None:
    """SHA-256 of what is stored: of the ciphertext where the document is sealed, which tells nothing of a short secret."""
    if write.encoded is None:
        return None
    return hashlib.sha256(write.encoded.body if sealed is None else sealed).digest()


def keeps_version(write: Write, current: Entry | None) -> int:
    """1 where the commit keeps a version of a Secret (or marks those of one that is deleted): its content has changed, or
    it is not known whether it has.
    """
    if write.key.resource_key != SECRETS or not (write.sealed or write.op is Op.DELETE):
        return 0
    if write.op is not Op.UPDATE or current is None or write.encoded is None:
        return 1
    old, new = current.document(), orjson.loads(write.encoded.body)
    return int(any(old.get(part) != new.get(part) for part in ("data", "type", "immutable")))


def push(origin: Origin) -> Mapping[str, Any]:
    """What the row of a moved Git ref tells of its origin."""
    return {"request": origin.request_id, "audit": context(origin)}
