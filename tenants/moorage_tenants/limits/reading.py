"""Objects that admissions look at again and again (limit ranges, classes, quotas), decoded once for each version."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.api.contracts import View
from moorage.resources.kind import Document, FieldError, Kind
from moorage.store.contracts import Entry, Key

_MOST = 4096


class Decoded:
    """Documents by key, shared: nobody may change one. Knows which version it decoded by the entry itself."""

    def __init__(self) -> None:
        self._known: dict[Key, tuple[Entry, Document]] = {}

    def of(self, entry: Entry) -> Document:
        """The document of ``entry``."""
        known = self._known.get(entry.key)
        if known is not None and known[0] is entry:
            return known[1]
        document = entry.document()
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[entry.key] = entry, document
        return document

    async def get(self, view: View, kind: Kind, namespace: str, name: str) -> Document | None:
        """An object, or None."""
        entry = await view.get(kind, namespace, name)
        return None if entry is None else self.of(entry)

    async def all(self, view: View, kind: Kind, namespace: str | None) -> Sequence[Document]:
        """The objects of one namespace, or of all where None, ordered by name."""
        return [self.of(entry) for entry in await view.entries(kind, namespace)]


def refusal(*messages: str) -> list[FieldError]:
    """Messages as Kubernetes shows those of one admission: one alone, or several in brackets, each once. Empty for none."""
    unique = list(dict.fromkeys(messages))
    if not unique:
        return []
    text = unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"
    return [FieldError("", "FieldValueForbidden", text)]
