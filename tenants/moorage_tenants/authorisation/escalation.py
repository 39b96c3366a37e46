"""Nobody hands out more than they hold: who writes a role must hold what is in it, who writes a binding must hold what its role
gives, unless they may ``escalate`` or ``bind`` it.

Source: ``pkg/registry/rbac/{role,clusterrole,rolebinding,clusterrolebinding}/policybased/storage.go`` and
``pkg/registry/rbac/validation/rule.go`` (ConfirmNoEscalation) of v1.36.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from moorage.api.contracts import AdmissionRequest, Attributes
from moorage.api.errors import not_found
from moorage.resources.kind import Document, FieldError, Kind
from moorage.resources.rbac import CLUSTER_ROLE, ROLE
from moorage.resources.rbac_rules import GROUP
from moorage_tenants import names
from moorage_tenants.authorisation.authorizer import RbacAuthorizer
from moorage_tenants.authorisation.roles import ClusterRole, aggregated
from moorage_tenants.authorisation.rules import FULL_AUTHORITY, Rule, compact, read_rules, shown

_ROLES = frozenset({"roles", "clusterroles"})
_NEEDS_ALL = "must have cluster-admin privileges to use an aggregationRule"
_COLLECTED = ("ownerReferences", "finalizers", "managedFields")
"""What garbage collection changes: that grants nothing."""


class NoEscalation:
    """Implements ``moorage.api.contracts.Admission`` for roles and bindings, whatever verb or patch writes them."""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    async def mutate(self, request: AdmissionRequest) -> None:
        """Nothing is changed."""

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """What of the role is not held. Raises ApiError 404 for a binding to a role that is not there."""
        document = request.document
        if request.kind.group != GROUP or document is None or names.MASTERS in request.identity.groups:
            return ()
        if request.old is not None and _collects_only(document, request.old):
            return ()
        if request.kind.plural in _ROLES:
            return await self._role(request, document)
        return await self._binding(request, document)

    async def _role(self, request: AdmissionRequest, document: Document) -> Sequence[FieldError]:
        if await self._may(request, "escalate", request.kind, request.name):
            return ()
        problem = await self._missing(request, read_rules(document))
        if problem:
            return _forbidden(problem)
        gathers = any(each and each.get("aggregationRule") is not None for each in (document, request.old))
        if gathers and await self._missing(request, FULL_AUTHORITY):
            return _forbidden(_NEEDS_ALL)
        return ()

    async def _binding(self, request: AdmissionRequest, document: Document) -> Sequence[FieldError]:
        reference = document.get("roleRef") or {}
        kind = ROLE if reference.get("kind") == "Role" else CLUSTER_ROLE
        name = str(reference.get("name", ""))
        if await self._may(request, "bind", kind, name):
            return ()
        problem = await self._missing(request, await self._rules(request, kind, name))
        return _forbidden(problem) if problem else ()

    async def _may(self, request: AdmissionRequest, verb: str, kind: Kind, name: str) -> bool:
        attributes = Attributes(
            request.identity,
            verb,
            kind.group,
            kind.plural,
            namespace=request.namespace,
            name=name,
            view=request.view,
        )
        return (await self._authorizer.authorise(attributes)).allowed

    async def _rules(self, request: AdmissionRequest, kind: Kind, name: str) -> Sequence[Rule]:
        """The rules that a binding gives, as this write sees them."""
        namespace = request.namespace if kind is ROLE else ""
        entry = await request.view.get(kind, namespace, name)
        if entry is None:
            raise not_found(kind.group, kind.plural, name)
        document = entry.document()
        if kind is CLUSTER_ROLE and document.get("aggregationRule") is not None:
            entries = await request.view.entries(CLUSTER_ROLE, None)
            gathered = aggregated(ClusterRole.of(document), [ClusterRole.of(each.document()) for each in entries])
            return (*gathered, *read_rules(document))
        return read_rules(document)

    async def _missing(self, request: AdmissionRequest, rules: Sequence[Rule]) -> str:
        """The sentence that shows what of ``rules`` is not held, "" where all is."""
        index, identity = self._authorizer.index, request.identity
        subjects = self._authorizer.subjects(identity)
        place = Attributes(identity, "", namespace=request.namespace, view=request.view)
        tenant = await self._authorizer.tenant_in(place)
        missing = index.missing(subjects, request.namespace, rules, tenant)
        if missing and await index.refresh():
            missing = index.missing(subjects, request.namespace, rules, tenant)
        if not missing:
            return ""
        listed = "\n".join(sorted(shown(rule) for rule in compact(missing)))
        groups = " ".join(_quoted(group) for group in sorted(identity.groups))
        return (
            f"user {_quoted(identity.name)} (groups=[{groups}]) is attempting to grant RBAC permissions not currently "
            f"held:\n{listed}"
        )


def _collects_only(new: Document, old: Document) -> bool:
    """Whether the write changes only what garbage collection may."""
    return _without_collected(new) == _without_collected(old)


def _without_collected(document: Document) -> dict[str, Any]:
    metadata = {key: value for key, value in document["metadata"].items() if key not in _COLLECTED}
    return {**document, "metadata": metadata}


def _forbidden(text: str) -> Sequence[FieldError]:
    return (FieldError("", "FieldValueForbidden", text),)


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
