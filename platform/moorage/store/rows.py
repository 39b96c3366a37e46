"""Rows of the change log, as read from SQL or as known from a commit of our own, and how sealed ones become readable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moorage.store.contracts import EventType, Key, SealContext, Sealer
from moorage.store.entry import StoredEntry
from moorage.store.errors import SealBroken

CHANGES = (EventType.ADDED, EventType.ADDED, EventType.MODIFIED, EventType.DELETED)
"""By the number in ``revisions.change`` (1, 2, 3)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One revision on its way into the caches. ``body`` is None where a deletion keeps the stored document, or where
    ``error`` says why it cannot be read.
    """

    revision: int
    type: EventType
    key: Key
    uid: str
    body: bytes | None
    offset: int
    last_of_commit: bool
    error: Exception | None = None


class Unsealer:
    """Turns stored documents into plain ones."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def body(self, document: bytes | None, sealed: bytes | None, key: Key, uid: str) -> bytes:
        """The document's bytes, without a revision. Raises SealBroken."""
        if document is not None:
            return document
        assert sealed is not None
        try:
            return await self._sealer.unseal(sealed, SealContext(*key, uid))
        except Exception as error:
            # Sealers are plugged in and fail in their own ways; all of them mean the same here.
            raise SealBroken(f"{key.resource} {key.namespace}/{key.name} cannot be decrypted: {error!r}") from error

    async def entry(self, columns: Sequence[Any], key: Key) -> StoredEntry:
        """An entry from the columns (uid, revision, document, sealed, revision_offset). Raises SealBroken."""
        uid, revision, document, sealed, offset = columns
        return StoredEntry(key, uid, revision, await self.body(document, sealed, key, uid), offset)
