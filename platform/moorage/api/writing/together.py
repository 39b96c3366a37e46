"""What is written together with an object (``moorage.api.contracts.Companions``): planned here, committed with it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

from moorage.api.contracts import AdmissionRequest, Companion, Companions, Identity, View
from moorage.api.options import DeleteOptions
from moorage.api.writing.contracts import Planned, Writer
from moorage.api.writing.views import Beside
from moorage.resources.kind import Document, Kind

if TYPE_CHECKING:
    from moorage.api.writing.deletion import Deleter
    from moorage.api.writing.planner import Planner

SERVER = Identity("system:apiserver", frozenset(("system:masters",)))


async def _permit(
    _verb: str, _kind: Kind, _namespace: str, _name: str, _document: Document | None, _view: View
) -> None:
    """The platform's own writes are permitted."""


PLATFORM = Writer(SERVER, _permit, "moorage-server")
"""The writer of what the platform itself adds."""


class Together:
    """Asks every source of companions, and plans what they say as the platform."""

    def __init__(self, planner: Planner, deleter: Deleter, sources: Sequence[Companions]) -> None:
        self._planner = planner
        self._deleter = deleter
        self._sources = tuple(sources)

    async def joined(self, planned: Planned, request: AdmissionRequest) -> Planned:
        """``planned`` with its companions. Raises ApiError where a source refuses the write."""
        companions: list[Planned] = []
        view = Beside(request.view, planned)
        for source in self._sources:
            for companion in await source.companions(request, planned.gone):
                plan = await self._plan(view, companion, request.dry_run)
                if plan is not None and plan.write is not None:
                    companions += [plan, *plan.companions]
        return replace(planned, companions=tuple(companions)) if companions else planned

    async def _plan(self, view: View, companion: Companion, dry_run: bool) -> Planned | None:
        writer = replace(PLATFORM, dry_run=dry_run, warnings=[])
        kind, namespace, name = companion.kind, companion.namespace, companion.name
        if companion.verb == "delete":
            if await view.get(kind, namespace, name) is None:
                return None
            return await self._deleter.delete(view, writer, kind, namespace, name, DeleteOptions(dry_run))
        assert companion.document is not None
        document = companion.document
        if companion.verb == "create" or await view.get(kind, namespace, name) is None:
            return await self._planner.create(view, writer, kind, namespace, lambda: deepcopy(document))
        return await self._planner.update(view, writer, kind, namespace, name, lambda _old: deepcopy(document))
