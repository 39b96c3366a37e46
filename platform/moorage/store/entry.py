"""Objects and changes as caches hold them: bytes with the revision in place, decoded only where somebody asks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson

from moorage.store.contracts import EventType, Key

NO_LABELS: Mapping[str, str] = MappingProxyType({})
LINE_START = {kind: b'{"type":"%b","object":' % kind.value.encode() for kind in EventType}


class StoredEntry:
    """Implements ``contracts.Entry``. ``offset`` is where the revision begins in ``data``."""

    __slots__ = ("_labels", "data", "key", "offset", "revision", "uid")

    def __init__(self, key: Key, uid: str, revision: int, body: bytes, offset: int) -> None:
        self.key = key
        self.uid = uid
        self.revision = revision
        self.offset = offset
        self.data = b"%b%d%b" % (body[:offset], revision, body[offset:])
        self._labels: Mapping[str, str] | None = None

    @property
    def labels(self) -> Mapping[str, str]:
        """metadata.labels, decoded at most once."""
        labels = self._labels
        if labels is None:
            labels = self._labels = _labels(self.data)
        return labels

    def document(self) -> dict[str, Any]:
        """A freshly decoded copy, for the caller to change."""
        document: dict[str, Any] = orjson.loads(self.data)
        return document

    def data_at(self, revision: int) -> bytes:
        """The same document with another revision in place."""
        end = self.offset + len(b"%d" % self.revision)
        return b"%b%d%b" % (self.data[: self.offset], revision, self.data[end:])

    def at(self, revision: int) -> StoredEntry:
        """The same object as of another revision (a deletion's)."""
        end = self.offset + len(b"%d" % self.revision)
        body = self.data[: self.offset] + self.data[end:]
        return StoredEntry(self.key, self.uid, revision, body, self.offset)

    def __repr__(self) -> str:
        # Never the document: it may be a secret.
        return f"StoredEntry({self.key}, revision={self.revision})"


class StoredChange:
    """Implements ``contracts.Change``."""

    __slots__ = ("_lines", "entry", "last_of_commit", "previous", "revision", "type")

    def __init__(
        self, type_: EventType, entry: StoredEntry, previous: StoredEntry | None, last_of_commit: bool
    ) -> None:
        self.type = type_
        self.entry = entry
        self.previous = previous
        self.revision = entry.revision
        self.last_of_commit = last_of_commit
        self._lines: dict[EventType, bytes] | None = None

    def encoded(self, type_: EventType) -> bytes:
        """The watch event's JSON line for this change seen as ``type_``; encoded once for all watchers.

        Where an object leaves a selection, DELETED shows what the watcher knew of it, at the revision of the change
        (Kubernetes' watch cache does the same), so that nothing of the new state leaks out of the selection.
        """
        lines = self._lines
        if lines is None:
            lines = self._lines = {}
        line = lines.get(type_)
        if line is None:
            data = self.entry.data
            if type_ is EventType.DELETED and self.type is not EventType.DELETED and self.previous is not None:
                data = self.previous.data_at(self.revision)
            line = lines[type_] = b"%b%b}\n" % (LINE_START[type_], data)
        return line

    @property
    def size(self) -> int:
        """Bytes that this change keeps in memory, about; its current entry is the cache's own."""
        size = 400 + len(self.entry.data)
        return size + (len(self.previous.data) if self.previous is not None else 0)

    def __repr__(self) -> str:
        return f"StoredChange({self.type}, {self.entry})"


def _labels(data: bytes) -> Mapping[str, str]:
    labels = orjson.loads(data).get("metadata", {}).get("labels")
    if not labels:
        return NO_LABELS
    # The same few labels stand on thousands of objects; one copy of each text is enough.
    return {sys.intern(name): sys.intern(value) for name, value in labels.items()}
