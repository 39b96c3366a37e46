"""Everything that is granted, indexed by whom it is granted to. Fed from the caches, looked at before every decision."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from moorage.resources.core.namespaces import NAMESPACE
from moorage.resources.kind import ResourceKey
from moorage.resources.rbac import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from moorage.resources.tenancy import TENANT
from moorage.store.contracts import Cache, Store
from moorage_tenants.authorisation.bindings import BindingBook, RoleKey
from moorage_tenants.authorisation.following import Followed
from moorage_tenants.authorisation.permissions import Permissions
from moorage_tenants.authorisation.roles import RoleBook
from moorage_tenants.authorisation.rules import Rule, atoms
from moorage_tenants.authorisation.subjects import GROUP
from moorage_tenants.authorisation.tenancies import TenantBook

Subjects = tuple[str, ...]

KINDS = (CLUSTER_ROLE, ROLE, CLUSTER_ROLE_BINDING, ROLE_BINDING, TENANT, NAMESPACE)
REMEMBERED = 50_000
"""Answers to "what may these subjects in this namespace" that are kept."""
MERGED = 8
"""Roles of one identity in one namespace that are looked at one by one; more are made into one table."""


class Grant(NamedTuple):
    """A role, and by what it is given to whom. ``binding`` is the name of the binding, "" where a Tenant gives it."""

    subject: str
    binding_namespace: str
    binding: str
    role_namespace: str
    role: str
    tenant: str = ""


class GrantIndex:
    """Roles, bindings and tenants. ``look`` brings it up to what this process' caches hold, ``refresh`` up to PostgreSQL."""

    def __init__(self, store: Store, caches: Mapping[ResourceKey, Cache]) -> None:
        self.roles = RoleBook()
        self.bindings = BindingBook()
        self.tenants = TenantBook()
        self._store = store
        self._filling = asyncio.Lock()
        self._memory: dict[tuple[Subjects, str], tuple[Permissions, ...]] = {}
        self._remembered = -1
        roles, bindings, tenants = self.roles, self.bindings, self.tenants
        self._followed = tuple(
            Followed(caches[kind.storage], put, drop, clear)
            for kind, put, drop, clear in (
                (CLUSTER_ROLE, roles.put_cluster, roles.drop_cluster, roles.clear_cluster),
                (ROLE, roles.put_local, roles.drop_local, roles.clear_local),
                (CLUSTER_ROLE_BINDING, bindings.put, bindings.drop, bindings.clear_cluster),
                (ROLE_BINDING, bindings.put, bindings.drop, bindings.clear_local),
                (TENANT, tenants.put, tenants.drop, tenants.clear),
                (NAMESPACE, tenants.put_namespace, tenants.drop_namespace, tenants.clear_namespaces),
            )
        )

    @property
    def generation(self) -> int:
        """Grows whenever anybody may have gained or lost a right."""
        return self.roles.changes + self.bindings.changes + self.tenants.changes

    def glance(self) -> bool:
        """See what this process has committed and heard of, without waiting. False where something must be read anew first."""
        whole = True
        for followed in self._followed:
            if followed.behind:
                followed.look()
                whole = whole and not followed.broken
        return whole

    async def look(self) -> None:
        """The same, and read anew what must be. Raises Unavailable."""
        while not self.glance():
            async with self._filling:
                for followed in self._followed:
                    if followed.broken:
                        await followed.fill()

    async def refresh(self) -> bool:
        """See everything that is committed by now, through whatever server. Whether there was anything new."""
        before = self.generation
        revision = await self._store.latest()
        for followed in self._followed:
            await followed.refresh(revision)
        await self.look()
        return self.generation != before

    def permissions(self, subjects: Subjects, namespace: str, tenant: str | None = None) -> tuple[Permissions, ...]:
        """What ``subjects`` may in ``namespace`` ("": at the cluster scope), cluster-wide bindings included.

        ``tenant``: of a namespace that the index does not know yet.
        """
        if self._remembered != self.generation or len(self._memory) > REMEMBERED:
            self._memory.clear()
            self._remembered = self.generation
        if tenant is not None:
            return self._compiled(subjects, namespace, tenant)
        key = (subjects, namespace)
        known = self._memory.get(key)
        if known is None:
            known = self._memory[key] = self._compiled(subjects, namespace, None)
        return known

    def grants(self, subjects: Subjects, namespace: str, tenant: str | None = None) -> Iterator[Grant]:
        """Every role that ``subjects`` have in ``namespace``, cluster-wide ones first."""
        for subject, binding in self.bindings.of(subjects, ""):
            yield Grant(subject, "", binding.name, "", binding.role)
        if not namespace:
            return
        owner = self.tenants.tenant(namespace) or tenant
        if not owner or self.tenants.lets_in(subjects, owner):
            for subject, binding in self.bindings.of(subjects, namespace):
                yield Grant(subject, namespace, binding.name, binding.role_namespace, binding.role)
        if owner:
            for subject, role in self.tenants.roles(subjects, owner):
                yield Grant(subject, "", "", "", role, owner)

    def rules(self, subjects: Subjects, namespace: str, tenant: str | None = None) -> list[Rule]:
        """The rules of all those roles, each role once."""
        found: dict[tuple[str, str], None] = {}
        for grant in self.grants(subjects, namespace, tenant):
            found.setdefault((grant.role_namespace, grant.role))
        return [rule for key in found for rule in self.roles.rules(*key) or ()]

    def missing(
        self, subjects: Subjects, namespace: str, rules: Iterable[Rule], tenant: str | None = None
    ) -> list[Rule]:
        """Those atoms of ``rules`` that ``subjects`` do not hold in ``namespace``."""
        left = list(atoms(rules))
        for permissions in self.permissions(subjects, namespace, tenant):
            left = permissions.missing(left)
        return left

    def close(self) -> None:
        """Stop following."""
        for followed in self._followed:
            followed.close()

    def _compiled(self, subjects: Subjects, namespace: str, tenant: str | None) -> tuple[Permissions, ...]:
        keys: set[RoleKey] = set()
        self.bindings.roles(subjects, "", keys)
        if namespace:
            owner = self.tenants.tenant(namespace) or tenant
            if not owner or self.tenants.lets_in(subjects, owner):
                self.bindings.roles(subjects, namespace, keys)
            if owner:
                keys.update(("", role) for _, role in self.tenants.roles(subjects, owner))
        if len(keys) <= MERGED:
            return tuple(self.roles.permissions(*key) for key in keys)
        return (Permissions(rule for key in keys for rule in self.roles.rules(*key) or ()),)


async def open_index(store: Store) -> GrantIndex:
    """An index over the caches of ``store``, filled. Raises Unavailable."""
    index = GrantIndex(store, {kind.storage: await store.cache(kind.storage) for kind in KINDS})
    await index.look()
    return index


def described(grant: Grant) -> str:
    """``RoleBinding "x/ns" of ClusterRole "edit" to User "ann"``, as Kubernetes describes where a right comes from."""
    kind = "Group" if grant.subject.startswith(GROUP) else "User"
    name = grant.subject.partition(":")[2]
    role = f'{"Role" if grant.role_namespace else "ClusterRole"} "{grant.role}"'
    if grant.tenant:
        return f'Tenant "{grant.tenant}" of {role} to {kind} "{name}"'
    if grant.binding_namespace:
        return f'RoleBinding "{grant.binding}/{grant.binding_namespace}" of {role} to {kind} "{name}"'
    return f'ClusterRoleBinding "{grant.binding}" of {role} to {kind} "{name}"'
