"""Small questions about documents that every client asks: key, owner, age, conditions, timestamps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

Document = dict[str, Any]


class ObjectKey(NamedTuple):
    """Where an object of a known kind is. ``namespace`` is "" for kinds of the cluster."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(document: Mapping[str, Any]) -> ObjectKey:
    """The key of an object."""
    metadata = document["metadata"]
    return ObjectKey(metadata.get("namespace") or "", metadata["name"])


def uid_of(document: Mapping[str, Any]) -> str:
    """``metadata.uid``; "" where there is none."""
    return str(document["metadata"].get("uid") or "")


def is_deleting(document: Mapping[str, Any]) -> bool:
    """Whether the object has a ``deletionTimestamp``."""
    return bool(document["metadata"].get("deletionTimestamp"))


def owner_references(document: Mapping[str, Any]) -> list[Document]:
    """``metadata.ownerReferences``, maybe empty."""
    return document["metadata"].get("ownerReferences") or []


def controller_of(document: Mapping[str, Any]) -> Document | None:
    """The owner reference with ``controller: true``; there is one at most."""
    for reference in owner_references(document):
        if reference.get("controller"):
            return reference
    return None


def controller_reference(owner: Mapping[str, Any]) -> Document:
    """The reference that makes ``owner`` the controller of another object, as client-go's ``NewControllerRef`` builds it."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def timestamp(seconds: float) -> str:
    """RFC 3339 in whole seconds, as ``metav1.Time`` is written."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(seconds: float) -> str:
    """RFC 3339 with microseconds, as ``metav1.MicroTime`` is written."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_of(text: str | None) -> float | None:
    """A ``Time`` or ``MicroTime`` as seconds since the epoch; None for none. Raises ValueError on other text."""
    return datetime.fromisoformat(text).timestamp() if text else None


def condition(document: Mapping[str, Any], kind: str) -> Document | None:
    """The entry of ``status.conditions`` with this type."""
    for entry in (document.get("status") or {}).get("conditions") or ():
        if entry.get("type") == kind:
            found: Document = entry
            return found
    return None


def with_condition(conditions: Iterable[Document], entry: Document) -> list[Document]:
    """``conditions`` with the one of ``entry``'s type replaced, in its place, or added at the end."""
    result = [entry if old.get("type") == entry["type"] else old for old in conditions]
    if not any(old is entry for old in result):
        result.append(entry)
    return result
