"""The lines of a watch in the form that the client accepts."""

from __future__ import annotations

from typing import Any

import orjson

from moorage.api import asgi, conversion, tables
from moorage.api.answers import include_object
from moorage.api.encode import bookmark_line, partial, watch_line
from moorage.api.negotiate import Accepted
from moorage.api.request import Request
from moorage.resources.kind import Document, Kind
from moorage.store.contracts import Change, Entry, EventType


class Lines:
    """Encodes what one watcher sees. Stored bytes pass through, encoded once for all watchers."""

    def __init__(self, kind: Kind, form: Accepted, request: Request) -> None:
        self._kind = kind
        self._form = form
        self._include = include_object(request)
        self._headed = False
        self._plain = not form.kind and conversion.is_stored_form(kind)
        self.content_type = asgi.JSON if not form.kind else asgi.JSON + b";stream=watch"

    def added(self, entry: Entry) -> bytes:
        """An object that was there when the watch began."""
        if self._plain:
            return b'{"type":"ADDED","object":%b}\n' % entry.data
        return self._converted("ADDED", conversion.served_document(self._kind, entry))

    def change(self, change: Change, seen_as: EventType) -> bytes:
        """A change as this watcher sees it."""
        if self._plain:
            return change.encoded(seen_as)
        entry = change.entry
        if seen_as is EventType.DELETED and change.type is not EventType.DELETED and change.previous is not None:
            # It left the selection: the watcher sees the last state that it may know of.
            entry = change.previous
        document = conversion.served_document(self._kind, entry)
        document["metadata"]["resourceVersion"] = str(change.revision)
        return self._converted(seen_as.value, document)

    def bookmark(self, revision: int, initial_events_end: bool = False) -> bytes:
        """How far the watch is."""
        if self._form.kind == "Table":
            row: dict[str, Any] = {
                "kind": "Table",
                "apiVersion": f"meta.k8s.io/{self._form.version}",
                "columnDefinitions": None,
            }
            metadata: dict[str, Any] = {"resourceVersion": str(revision)}
            if initial_events_end:
                metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
            item = {"metadata": {**metadata, "creationTimestamp": None}}
            row |= {"metadata": {"resourceVersion": str(revision)}, "rows": [{"cells": None, "object": item}]}
            return watch_line("BOOKMARK", orjson.dumps(row))
        if self._form.kind:
            kind, version = "PartialObjectMetadata", f"meta.k8s.io/{self._form.version}"
        else:
            kind, version = self._kind.kind, self._kind.api_version
        return bookmark_line(version, kind, revision, initial_events_end)

    def _converted(self, type_: str, document: Document) -> bytes:
        if not self._form.kind:
            return watch_line(type_, orjson.dumps(document))
        if self._form.kind == "Table":
            # Column definitions come with the first row only, as kube-apiserver does.
            headers, self._headed = not self._headed, True
            value = tables.table(
                self._kind, [document], include=self._include, headers=headers, version=self._form.version
            )
            return watch_line(type_, orjson.dumps(value))
        return watch_line(type_, orjson.dumps(partial(document, self._form.version)))
