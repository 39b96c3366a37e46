"""What a delete comes to: gone at once, or marked and waiting for a grace period or for finalizers.

Source: apiserver/pkg/registry/rest/delete.go (BeforeDelete), generic/registry/store.go (deletionFinalizersForGarbageCollection).
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from moorage.api import conversion
from moorage.api.contracts import AdmissionRequest
from moorage.api.errors import conflict, not_found
from moorage.api.options import DeleteOptions
from moorage.api.writing import namespaces
from moorage.api.writing.admission import refused
from moorage.api.writing.contracts import Planned, View, Writer
from moorage.resources.kind import Document, Kind
from moorage.resources.metadata import FOREGROUND, ORPHAN
from moorage.store.contracts import Entry

if TYPE_CHECKING:
    from moorage.api.writing.planner import Planner

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class Deleter:
    """Plans deletions."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner

    async def delete(
        self,
        view: View,
        writer: Writer,
        kind: Kind,
        namespace: str,
        name: str,
        options: DeleteOptions,
        *,
        mark: Callable[[Document], Document] | None = None,
    ) -> Planned:
        """The end of an object, or its beginning. ``mark`` is what the object is to say from then on, beside that it goes.
        Raises ApiError 403, 404, 409.
        """
        if namespaces.is_namespace(kind):
            namespaces.check_deletable(name)
        current = await view.get(kind, namespace, name)
        if current is None:
            raise not_found(kind.group, kind.plural, name)
        check_preconditions(kind, name, current, options)
        old = conversion.served_document(kind, current)
        request = AdmissionRequest(
            writer.identity,
            "DELETE",
            kind,
            "",
            current.key.namespace,
            name,
            None,
            old,
            writer.dry_run,
            view,
            writer.warnings,
        )
        await self._admit(request)
        last = old if mark is None else mark(old)
        return await self._planner.joined(self.plan(kind, current, last, options), request, None)

    def plan(self, kind: Kind, current: Entry, old: Document, options: DeleteOptions) -> Planned:
        """Decide for an object that is there; ``old`` is its document, which this may change."""
        new, wait = marked(kind, old, options)
        if new is None:
            return Planned(kind, "unchanged", current.key, current.uid, None, None, current)
        return self._planner.replaced(kind, new, current, old, ends=not wait, action="deleted")

    async def _admit(self, request: AdmissionRequest) -> None:
        chain = self._planner.chain
        await chain.mutate(request)
        refusals = await chain.validate(request)
        if refusals:
            raise refused(request.kind, request.name, refusals)


def check_preconditions(kind: Kind, name: str, current: Entry, options: DeleteOptions) -> None:
    """Raises ApiError 409 where the object is another than the client means."""
    if options.uid and options.uid != current.uid:
        detail = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({current.uid}). "
            "The object might have been deleted and then recreated"
        )
        raise conflict(kind.group, kind.plural, name, detail)
    if options.revision and options.revision != str(current.revision):
        detail = (
            f"the ResourceVersion in the precondition ({options.revision}) does not match the ResourceVersion in record "
            f"({current.revision}). The object might have been modified"
        )
        raise conflict(kind.group, kind.plural, name, detail)


def marked(kind: Kind, old: Document, options: DeleteOptions, now: float | None = None) -> tuple[Document | None, bool]:
    """The object as the deletion leaves it, and whether it has to wait. (None, True): it waits already, nothing changes."""
    at = int(time.time() if now is None else now)
    metadata = dict(old["metadata"])
    new = {**old, "metadata": metadata}
    finalizers = _finalizers(metadata.get("finalizers") or [], options.policy)
    _set(metadata, "finalizers", finalizers)
    grace = 0 if kind.grace_seconds is None else kind.grace_seconds(old, options.grace_seconds)
    deleting = "deletionTimestamp" in metadata
    if deleting:
        grace = min(grace, metadata.get("deletionGracePeriodSeconds", 0))
    own = namespaces.is_namespace(kind) and namespaces.held(old)
    wait = bool(grace or finalizers or own)
    if deleting:
        _shorten(metadata, grace)
        changed = metadata != old["metadata"]
        return (new if changed or not wait else None), wait
    metadata["deletionTimestamp"] = _stamp(at + grace)
    metadata["deletionGracePeriodSeconds"] = grace
    if kind.has_generation and metadata.get("generation"):
        metadata["generation"] += 1
    if own:
        new["status"] = {**(old.get("status") or {}), "phase": "Terminating"}
    return new, wait


def _shorten(metadata: Document, grace: int) -> None:
    """A second delete may only make the grace period shorter."""
    before = metadata.get("deletionGracePeriodSeconds", 0)
    if grace == before:
        return
    started = calendar.timegm(time.strptime(metadata["deletionTimestamp"], _FORMAT)) - before
    metadata["deletionTimestamp"] = _stamp(started + grace)
    metadata["deletionGracePeriodSeconds"] = grace


def _finalizers(present: list[str], policy: str) -> list[str]:
    if not policy:
        return present
    kept = [each for each in present if each not in (ORPHAN, FOREGROUND)]
    wanted = {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(policy)
    return [*kept, wanted] if wanted else kept


def _set(metadata: Document, name: str, value: list[str]) -> None:
    if value:
        metadata[name] = value
    else:
        metadata.pop(name, None)


def _stamp(seconds: int) -> str:
    return time.strftime(_FORMAT, time.gmtime(seconds))
