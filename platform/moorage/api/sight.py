"""What a change is to a watcher: of a selection, and of that part of a collection which somebody may see.

Moving into the selection is ADDED, moving out of it DELETED. Rights that change move nothing, so there is no event for them:
a watch whose part is another one now ends with 410, and its client lists again.
"""

from __future__ import annotations

from moorage.api.filtering import Filter
from moorage.store.contracts import Cache, Change, EventType

SHIFTED = "what you may see of this collection has changed; list again and watch from there"


class Shifted(Exception):
    """The part that may be seen is another one now."""

    def __init__(self) -> None:
        super().__init__(SHIFTED)


def change_seen_as(change: Change, only: Filter) -> EventType | None:
    """What a change is to a watcher of a selection; None: nothing."""
    before = change.previous is not None and only.matches(change.previous)
    if change.type is EventType.DELETED:
        return EventType.DELETED if before or only.matches(change.entry) else None
    if only.matches(change.entry):
        return EventType.MODIFIED if before else EventType.ADDED
    return EventType.DELETED if before else None


class Sight:
    """What one watcher has been shown of a collection that it may see a part of. Made with the subscription to ``cache``."""

    def __init__(self, only: Filter, cache: Cache) -> None:
        assert only.visible is not None
        self._only = only
        self._visible = only.visible
        self._cache = cache
        self._start = cache.revision
        self._stamp = only.visible.stamp
        self._shown = self._showable()
        self._moved = False

    @property
    def revision(self) -> int:
        """How far the cache is."""
        return self._cache.revision

    def shifted(self) -> bool:
        """Whether the part is another one now; asked when every change has been seen."""
        stamp = self._visible.stamp
        if stamp != self._stamp and not self._moved:
            self._stamp = stamp
            self._moved = self._showable() != self._shown
        return self._moved

    def seen_as(self, change: Change) -> EventType | None:
        """What the change is to the watcher; None: nothing. Raises Shifted."""
        if change.revision <= self._start:
            return self._past(change)
        name, uid = change.entry.key.name, change.entry.uid
        shown = self._shown.get(name) == uid
        if change.type is not EventType.DELETED and self._only.matches(change.entry):
            self._shown[name] = uid
            return EventType.MODIFIED if shown else EventType.ADDED
        if not shown:
            return None
        del self._shown[name]
        if change.type is not EventType.DELETED and self._only.selects(change.entry):
            # It is still there, and out of sight: its new state is nothing for this watcher.
            raise Shifted
        return EventType.DELETED

    def _past(self, change: Change) -> EventType | None:
        """What happened before the watch began: the rights of then are not known, those of now decide."""
        seen_as = change_seen_as(change, self._only)
        if seen_as is None and change.type is EventType.DELETED and self._only.selects(change.entry):
            # The client may have seen it, and would keep it for ever.
            raise Shifted
        return seen_as

    def _showable(self) -> dict[str, str]:
        return {entry.key.name: entry.uid for entry in self._cache.entries() if self._only.matches(entry)}
