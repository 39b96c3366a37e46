"""What planning works with: who writes and how, what is there, and what is to be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from moorage.api.contracts import Identity, View
from moorage.api.options import Strictness
from moorage.resources.kind import Document, Kind
from moorage.store.contracts import Encoded, Entry, Key, Write

__all__ = ["Action", "Planned", "View", "Writer", "key_of"]

Action = Literal["created", "configured", "unchanged", "deleted"]


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, and how.

    ``permit`` raises ApiError 403 unless this identity may also do (verb, kind, namespace, name, document, view).
    """

    identity: Identity
    permit: Callable[[str, Kind, str, str, Document | None, View], Awaitable[None]]
    manager: str
    """Field manager."""
    dry_run: bool = False
    strictness: Strictness = "Warn"
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Planned:
    """What an operation comes to. ``write`` is None where nothing is to be written.

    ``encoded`` is the object after the write (for a deletion: as it was last); ``current`` the stored object, where there is one.
    """

    kind: Kind
    action: Action
    key: Key
    uid: str
    write: Write | None
    encoded: Encoded | None
    current: Entry | None
    gone: bool = False
    """The object is not there any more after this."""
    companions: tuple[Planned, ...] = ()
    """What is written with it, all or none."""

    def data(self, revision: int) -> bytes:
        """The object's bytes as of ``revision`` (0: nothing was written, so the stored object's, if any)."""
        if self.encoded is None:
            assert self.current is not None
            return self.current.data
        if revision:
            return self.encoded.at(revision)
        return self.encoded.at(self.current.revision) if self.current is not None else self.encoded.body


def key_of(kind: Kind, namespace: str, name: str) -> Key:
    """Where an object is kept."""
    return Key(kind.storage.group, kind.storage.resource, namespace if kind.namespaced else "", name)
