"""Tenants themselves: what their owners may change, and how they end."""

from __future__ import annotations

import time
from collections.abc import Sequence

from moorage.api.contracts import AdmissionRequest, View
from moorage.resources.core.namespaces import NAMESPACE
from moorage.resources.kind import Document, FieldError
from moorage.resources.rbac import CLUSTER_ROLE
from moorage.resources.tenancy import FINALIZER, GRANTABLE_LABEL, TENANT_LABEL, delete_at
from moorage_tenants.tenancy.people import Managers, is_platform
from moorage_tenants.tenancy.refusals import refuse

OWNERS_FIELDS = ("description", "members")
"""Of the spec, what owners change themselves; beside ``network.allowFrom``."""
_ROLES = ("view", "edit", "admin")
_SHOWN = 5
_KEPT = ("labels", "annotations", "finalizers", "ownerReferences")


async def namespaces_of(view: View, tenant: str) -> list[str]:
    """Names of a tenant's namespaces."""
    return [entry.key.name for entry in await view.entries(NAMESPACE, None) if entry.labels.get(TENANT_LABEL) == tenant]


class Tenants:
    """The rules of Tenant objects."""

    def __init__(self, managers: Managers) -> None:
        self._managers = managers

    async def mutate(self, request: AdmissionRequest) -> None:
        """Note who marked a tenant for deletion and when; a mark that is there already keeps what it says."""
        if request.document is None or request.subresource:
            return
        deletion = (request.document.get("spec") or {}).get("deletion")
        if deletion is None:
            return
        before = ((request.old or {}).get("spec") or {}).get("deletion") or {}
        deletion["requestedAt"] = before.get("requestedAt") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        deletion["requestedBy"] = before.get("requestedBy") or request.identity.name

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """What forbids the write of a Tenant."""
        if request.document is None:
            return await self._deletion_refusals(request)
        if request.old is None or request.subresource == "status":
            return ()
        errors = await _finalizer_refusals(request)
        identity = request.identity
        if not is_platform(identity) and not await self._managers.include(identity, request.name):
            errors += await _owner_refusals(request)
        return errors

    async def _deletion_refusals(self, request: AdmissionRequest) -> list[FieldError]:
        """A tenant with namespaces goes by way of a mark that can be taken back."""
        assert request.old is not None
        due = delete_at(request.old)
        if due is not None and time.time() >= due:
            return []
        held = await namespaces_of(request.view, request.name)
        if not held:
            return []
        shown = ", ".join(held[:_SHOWN]) + (f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else "")
        text = (
            f"the tenant has {len(held)} namespace{'s' if len(held) > 1 else ''} ({shown}) and everything in them would be "
            f"lost; mark it for deletion, which can be undone, with: moorage tenants delete {request.name}"
        )
        return [refuse("", text)]


async def _finalizer_refusals(request: AdmissionRequest) -> list[FieldError]:
    """The finalizer of a Tenant goes last: a tenant that is made anew must not find another's namespaces."""
    assert request.document is not None
    assert request.old is not None
    if FINALIZER in (request.document["metadata"].get("finalizers") or ()):
        return []
    if FINALIZER not in (request.old["metadata"].get("finalizers") or ()):
        return []
    held = await namespaces_of(request.view, request.name)
    if not held:
        return []
    text = f"the tenant still has {len(held)} namespaces; the platform takes {FINALIZER} away when they are gone"
    return [refuse("metadata.finalizers", text)]


async def _owner_refusals(request: AdmissionRequest) -> list[FieldError]:
    """What an owner may not change."""
    assert request.document is not None
    assert request.old is not None
    new, old = request.document, request.old
    errors = [
        refuse(f"metadata.{name}", "only an administrator of tenants may change this")
        for name in _KEPT
        if (new["metadata"].get(name) or None) != (old["metadata"].get(name) or None)
    ]
    after, before = _administered(new), _administered(old)
    for name in sorted({*after, *before}):
        if after.get(name) != before.get(name):
            text = (
                "only an administrator of tenants may change this; owners change spec.members, spec.description and "
                "spec.network.allowFrom"
            )
            errors.append(refuse(f"spec.{name}", text))
    return errors + await _role_refusals(request)


def _administered(tenant: Document) -> Document:
    """The spec without what owners change."""
    spec = {name: value for name, value in (tenant.get("spec") or {}).items() if name not in OWNERS_FIELDS}
    network = {name: value for name, value in (spec.get("network") or {}).items() if name != "allowFrom"}
    return {**spec, "network": network}


async def _role_refusals(request: AdmissionRequest) -> list[FieldError]:
    """Owners hand out no more than what they hold, and what administrators have marked for it."""
    assert request.document is not None
    assert request.old is not None
    present = (request.old.get("spec") or {}).get("members") or ()
    errors: list[FieldError] = []
    for index, member in enumerate((request.document.get("spec") or {}).get("members") or ()):
        role = member.get("role", "")
        if role in _ROLES or member in present:
            continue
        entry = await request.view.get(CLUSTER_ROLE, "", role)
        if entry is None or entry.labels.get(GRANTABLE_LABEL) != "true":
            text = (
                f'owners give the roles view, edit and admin, and those that an administrator labelled for it; "{role}" '
                f"needs: kubectl label clusterrole {role} {GRANTABLE_LABEL}=true"
            )
            errors.append(refuse(f"spec.members[{index}].role", text))
    return errors
