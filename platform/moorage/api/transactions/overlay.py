"""The objects as a transaction sees them: its own earlier operations on top of the caches. One write comes of each object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from moorage.api.errors import conflict
from moorage.api.writing.contracts import Planned, key_of
from moorage.api.writing.views import CacheView, Staged, staged
from moorage.resources.kind import Kind
from moorage.store.contracts import Entry, Key, Op, Precondition, Write


class Overlay:
    """A view that shows what has been staged. ``base`` is the caches."""

    def __init__(self, base: CacheView) -> None:
        self.base = base
        self._staged: dict[Key, Staged | None] = {}
        self._writes: dict[Key, Write] = {}
        self._last: dict[Key, int] = {}
        self._namespaces: dict[Key, int] = {}

    async def get(self, kind: Kind, namespace: str, name: str) -> Entry | None:
        """The object, as staged or as cached."""
        key = key_of(kind, namespace, name)
        if key in self._staged:
            return self._staged[key]
        entry = await self.base.get(kind, namespace, name)
        if entry is not None and kind.plural == "namespaces" and kind.group == "":
            self._namespaces[key] = entry.revision
        return entry

    async def entries(self, kind: Kind, namespace: str | None) -> Sequence[Entry]:
        """The objects of one namespace, or of all where None: as staged, else as cached."""
        found = await self.base.entries(kind, namespace)
        storage = kind.storage
        mine = {
            key: entry
            for key, entry in self._staged.items()
            if key.resource_key == storage and namespace in (None, key.namespace)
        }
        if not mine:
            return found
        kept = [entry for entry in found if entry.key not in mine]
        added = [entry for entry in mine.values() if entry is not None]
        return sorted([*kept, *added], key=lambda entry: (entry.key.namespace, entry.key.name))

    def stage(self, planned: Planned, index: int) -> None:
        """Take an operation's outcome. Raises ApiError 409 for a create of what the transaction deletes."""
        self._stage(planned, index)
        for companion in planned.companions:
            self._stage(companion, index)

    def _stage(self, planned: Planned, index: int) -> None:
        if planned.write is None:
            return
        key, before = planned.key, self._writes.get(planned.key)
        merged = planned.write if before is None else _merged(before, planned, self._last[key])
        if merged is None:
            del self._writes[key]
        else:
            self._writes[key] = merged
        self._last[key] = index
        self._staged[key] = None if planned.gone else staged(planned)

    @property
    def writes(self) -> Sequence[Write]:
        """One write for each object that changes, in the order in which the objects were first named."""
        return tuple(self._writes.values())

    def namespace_conditions(self) -> Sequence[Precondition]:
        """The namespaces that creates relied on must be what they were, so that none is being deleted meanwhile."""
        return tuple(
            Precondition(key, revision=revision)
            for key, revision in self._namespaces.items()
            if key not in self._writes
        )


def _merged(before: Write, planned: Planned, index: int) -> Write | None:
    """Two writes of one object as one; None where they undo each other."""
    after = planned.write
    assert after is not None
    if before.op is Op.DELETE:
        kind = planned.kind
        detail = (
            f"operations[{index}] of the same transaction deletes the object; create it again in a second transaction"
        )
        raise conflict(kind.group, kind.plural, planned.key.name, detail)
    if before.op is Op.CREATE:
        return None if after.op is Op.DELETE else replace(after, op=Op.CREATE, expect_revision=None, expect_uid=None)
    return replace(after, expect_revision=before.expect_revision, expect_uid=before.expect_uid)
