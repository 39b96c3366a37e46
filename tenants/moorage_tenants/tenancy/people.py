"""Who writes: people of tenants, administrators of tenants, the platform itself."""

from __future__ import annotations

from moorage.api.contracts import Attributes, Authorizer, Identity, View
from moorage.resources.tenancy import GROUP, MANAGE, TENANT
from moorage_tenants import names
from moorage_tenants.tenancy.policy import Policy, policy_in

_PLATFORM_GROUPS = frozenset({names.MASTERS, names.CONTROLLERS, names.NODES, "system:serviceaccounts:kube-system"})


def is_platform(identity: Identity) -> bool:
    """Whether the platform itself writes: its controllers, nodes and administrators' own group."""
    return not _PLATFORM_GROUPS.isdisjoint(identity.groups)


def owns(policy: Policy, identity: Identity) -> bool:
    """Whether ``identity`` is an owner of the tenant."""
    owners = policy.owners
    return ("User", identity.name) in owners or any(("Group", group) in owners for group in identity.groups)


async def owned(view: View, identity: Identity) -> list[Policy]:
    """The tenants that ``identity`` owns, by name."""
    found = [policy_in(entry) for entry in await view.entries(TENANT, None)]
    return [policy for policy in found if owns(policy, identity)]


class Managers:
    """Who administers tenants: whoever RBAC gives the verb ``manage`` on ``tenants.tenancy.moorage.io``."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def include(self, identity: Identity, tenant: str = "") -> bool:
        """Whether ``identity`` administers ``tenant`` ("": all tenants)."""
        if names.MASTERS in identity.groups:
            return True
        asked = Attributes(identity, MANAGE, GROUP, TENANT.plural, name=tenant)
        return (await self._authorizer.authorise(asked)).allowed
