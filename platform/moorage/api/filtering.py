"""Which objects a list or watch wants, decided without parsing those that cannot match.

[measured] decoding a pod takes about 10 us, looking for a value in its bytes about 0.5 us. Every agent watches the pods of
its own node, so a change of one pod is compared with as many field selectors as there are nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy

import orjson

from moorage.api.contracts import Visible
from moorage.api.conversion import served_document
from moorage.api.options import ListOptions
from moorage.api.selectors import (
    FieldSelector,
    LabelSelector,
    fields_of,
    parse_fields,
    parse_labels,
    supported_fields,
)
from moorage.resources.kind import Kind
from moorage.store.contracts import Entry

_KEY_FIELDS = frozenset(("metadata.name", "metadata.namespace"))


class Filter:
    """The selectors of one request over objects of ``kind``."""

    def __init__(self, kind: Kind, labels: LabelSelector, fields: FieldSelector) -> None:
        self._kind = kind
        self._labels = labels
        self._fields = fields
        self.visible: Visible | None = None
        """What of the selected objects may be shown; None: all."""
        self.everything = labels.empty and fields.empty
        self.name = fields.exact.get("metadata.name", "")
        self._by_key = not fields.negative and not (set(fields.exact) - _KEY_FIELDS)
        self._needles = [
            orjson.dumps(value)[1:-1]
            for key, value in fields.exact.items()
            if value and value not in ("true", "false") and key not in _KEY_FIELDS
        ]

    @property
    def exact_fields(self) -> Mapping[str, str]:
        """The fields that must have one value, for the authorizer."""
        return self._fields.exact

    def narrowed(self, visible: Visible) -> Filter:
        """The same for somebody who may see a part of the collection only."""
        narrow = copy(self)
        narrow.visible = visible
        narrow.everything = False
        return narrow

    def matches(self, entry: Entry) -> bool:
        """Whether ``entry`` is selected, and may be shown."""
        return self.everything or (self.selects(entry) and (self.visible is None or self.visible(entry)))

    def selects(self, entry: Entry) -> bool:
        """Whether ``entry`` is selected, shown or not."""
        if not self._labels.empty and not self._labels.matches(entry.labels):
            return False
        return self._fields.empty or self._fields_match(entry)

    def _fields_match(self, entry: Entry) -> bool:
        if self.name and entry.key.name != self.name:
            return False
        if self._by_key:
            own = {"metadata.name": entry.key.name, "metadata.namespace": entry.key.namespace}
            return self._fields.matches(own)
        data = entry.data
        if any(needle not in data for needle in self._needles):
            return False
        return self._fields.matches(fields_of(self._kind, served_document(self._kind, entry)))


def filter_of(kind: Kind, options: ListOptions) -> Filter:
    """The filter that ``options`` ask for. Raises ApiError 400 for selectors that cannot be read."""
    return Filter(kind, parse_labels(options.labels), parse_fields(options.fields, supported_fields(kind)))
