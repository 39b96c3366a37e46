"""Kinds that are served in another form than they are stored in. One hook between stored bytes and every answer.

Most kinds are stored as they are served: for them each function here is a dictionary lookup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import orjson

from moorage.api.encode import encode
from moorage.resources import events
from moorage.resources.kind import Document, GroupVersionKind, Kind
from moorage.store.contracts import Encoded, Entry


class Conversion(NamedTuple):
    """To the stored form and back. Either may share parts with what it was given."""

    to_stored: Callable[[Document], Document]
    from_stored: Callable[[Document], Document]
    storage_version: str


_CONVERSIONS: Mapping[GroupVersionKind, Conversion] = {
    events.EVENT.gvk: Conversion(events.to_core, events.from_core, "v1"),
}


def served_document(kind: Kind, entry: Entry) -> Document:
    """The object as ``kind`` serves it, for the caller to change."""
    conversion = _CONVERSIONS.get(kind.gvk)
    document = entry.document()
    return document if conversion is None else conversion.from_stored(document)


def served(kind: Kind, data: bytes) -> bytes:
    """Stored bytes as ``kind`` serves them."""
    conversion = _CONVERSIONS.get(kind.gvk)
    return data if conversion is None else orjson.dumps(conversion.from_stored(orjson.loads(data)))


def is_stored_form(kind: Kind) -> bool:
    """Whether stored bytes can be sent as they are."""
    return kind.gvk not in _CONVERSIONS


def stored(kind: Kind, document: Document) -> Encoded:
    """A document of ``kind`` as it is stored."""
    conversion = _CONVERSIONS.get(kind.gvk)
    return encode(document if conversion is None else conversion.to_stored(document))


def storage_version(kind: Kind) -> str:
    """The version in which documents of ``kind`` are stored."""
    conversion = _CONVERSIONS.get(kind.gvk)
    return kind.version if conversion is None else conversion.storage_version
