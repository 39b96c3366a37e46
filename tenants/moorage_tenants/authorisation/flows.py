"""Whose queue a request waits in: the tenant's on whose account somebody works."""

from __future__ import annotations

from moorage.api.contracts import Identity
from moorage_tenants.authorisation.subjects import ACCOUNT_PREFIX, keys_of
from moorage_tenants.authorisation.tenancies import TenantBook


class TenantFlows:
    """Implements ``moorage.api.fairness.FlowOwners``."""

    def __init__(self, tenants: TenantBook) -> None:
        self._tenants = tenants

    @property
    def generation(self) -> int:
        """Grows when what ``flow_of`` says may have changed."""
        return self._tenants.changes

    def flow_of(self, identity: Identity, namespace: str) -> str:
        """The tenant of ``namespace`` where ``identity`` belongs to it; else of a service account's own namespace; else the
        first tenant that ``identity`` owns. Nobody gets into a tenant's queue by naming its namespace.
        """
        subjects = keys_of(identity)
        tenant = self._tenants.tenant(namespace) if namespace else None
        if tenant and self._tenants.belongs(subjects, tenant):
            return tenant
        if identity.name.startswith(ACCOUNT_PREFIX):
            home = identity.name.removeprefix(ACCOUNT_PREFIX).partition(":")[0]
            return self._tenants.tenant(home) or ""
        return min(self._tenants.owned(subjects), default="")
