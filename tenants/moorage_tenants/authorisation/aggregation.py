"""Aggregated ClusterRoles show the rules that they gather, from the commit on that changes one of those.

Decisions gather by themselves (``roles``); this is what readers of the objects see. Kubernetes' controller does it afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from moorage.api.contracts import AdmissionRequest, Companion
from moorage.api.writing.together import SERVER
from moorage.resources.kind import Document, FieldError
from moorage.resources.rbac import CLUSTER_ROLE
from moorage_tenants.authorisation.roles import ClusterRole, aggregated


class Aggregation:
    """Implements ``moorage.api.contracts.Admission`` (a role that gathers is written with what it gathers) and
    ``Companions`` (a role that is gathered is written with those that gather it).
    """

    async def mutate(self, request: AdmissionRequest) -> None:
        """The rules of an aggregated role are what its selectors find, whatever was sent."""
        document = request.document
        if request.kind.storage != CLUSTER_ROLE.storage or document is None or not document.get("aggregationRule"):
            return
        known = await _documents(request)
        name = request.name or document["metadata"].get("name", "")
        known[name] = document
        document["rules"] = _gathered(name, known)

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """Nothing is refused."""
        return ()

    async def companions(self, request: AdmissionRequest, gone: bool) -> Sequence[Companion]:
        """The aggregated roles whose rules change with this write."""
        if request.kind.storage != CLUSTER_ROLE.storage:
            return ()
        if request.identity == SERVER and request.document is not None and request.document.get("aggregationRule"):
            # Written as a companion, or at a server's start, which writes them in the order in which they gather.
            return ()
        known = await _documents(request)
        if gone:
            known.pop(request.name, None)
        elif request.document is not None:
            known[request.document["metadata"]["name"]] = request.document
        found = []
        for name, document in known.items():
            if name == request.name or not document.get("aggregationRule"):
                continue
            rules = _gathered(name, known)
            if rules != (document.get("rules") or []):
                found.append(Companion("replace", CLUSTER_ROLE, "", name, {**document, "rules": rules}))
        return found


async def _documents(request: AdmissionRequest) -> dict[str, Document]:
    return {entry.key.name: entry.document() for entry in await request.view.entries(CLUSTER_ROLE, None)}


def _gathered(name: str, known: dict[str, Document]) -> list[dict[str, list[str]]]:
    roles = {each: ClusterRole.of(document) for each, document in known.items() if document["metadata"].get("name")}
    if name not in roles:
        return []
    return [rule.document() for rule in aggregated(roles[name], roles.values())]
