"""Tenants as bindings that nobody wrote: owners are ``admin`` in every namespace of their tenant, members what they are named.

A tenant that is locked (suspended, or on its way out) keeps everybody of it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from moorage.resources.tenancy import (
    DEFAULT_ROLE,
    OWNER_ROLE,
    is_locked,
    keeps_programs,
    service_account_namespace,
    subject_names,
    tenant_of,
)
from moorage.store.contracts import Entry
from moorage_tenants.authorisation.subjects import GROUP, USER

_PREFIXES = {"User": USER, "Group": GROUP}


@dataclass(frozen=True, slots=True)
class Tenancy:
    """Who may do what in a tenant's namespaces: subject -> names of ClusterRoles."""

    owners: frozenset[str]
    roles: dict[str, tuple[str, ...]]
    locked: bool
    programs: bool = True
    """Whether service accounts of the tenant's own namespaces are let in although it is locked."""

    @staticmethod
    def of(entry: Entry) -> Tenancy:
        """From a stored Tenant."""
        document = entry.document()
        spec = document.get("spec") or {}
        owners = _keys(spec.get("owners") or ())
        roles: dict[str, tuple[str, ...]] = dict.fromkeys(owners, (OWNER_ROLE,))
        for member in spec.get("members") or ():
            for key in _keys((member,)):
                roles[key] = (*roles.get(key, ()), member.get("role") or DEFAULT_ROLE)
        return Tenancy(owners, roles, is_locked(document), keeps_programs(document))


class TenantBook:
    """All tenants, and which namespace is whose."""

    def __init__(self) -> None:
        self._tenants: dict[str, Tenancy] = {}
        self._namespaces: dict[str, str] = {}
        self._uids: dict[tuple[str, str], str] = {}
        self._owned: dict[str, set[str]] = {}
        self.changes = 0
        """Grows with every change of who is let in where."""

    def tenant(self, namespace: str) -> str | None:
        """The tenant of a namespace: "" for none, None where the namespace is not known."""
        return self._namespaces.get(namespace)

    def is_current(self, resource: str, entry: Entry) -> bool:
        """Whether ``entry`` is a state of the namespace or tenant that has its name now."""
        return self._uids.get((resource, entry.key.name)) == entry.uid

    def roles(self, subjects: Iterable[str], tenant: str) -> Iterator[tuple[str, str]]:
        """(subject, ClusterRole) that ``subjects`` have in the namespaces of ``tenant``."""
        tenancy = self._tenants.get(tenant)
        if tenancy is None or tenancy.locked:
            return
        for subject in subjects:
            for role in tenancy.roles.get(subject, ()):
                yield subject, role

    def owns(self, subjects: Iterable[str], tenant: str) -> bool:
        """Whether one of ``subjects`` owns ``tenant`` and is let in."""
        tenancy = self._tenants.get(tenant)
        return tenancy is not None and not tenancy.locked and any(each in tenancy.owners for each in subjects)

    def lets_in(self, subjects: Iterable[str], tenant: str) -> bool:
        """Whether ``subjects`` have in the namespaces of ``tenant`` what bindings there give them."""
        tenancy = self._tenants.get(tenant)
        if tenancy is None or not tenancy.locked:
            return True
        accounts = (service_account_namespace(each.removeprefix(USER)) for each in subjects if each.startswith(USER))
        return tenancy.programs and any(
            self._namespaces.get(namespace) == tenant for namespace in accounts if namespace
        )

    def belongs(self, subjects: Iterable[str], tenant: str) -> bool:
        """Whether one of ``subjects`` is an owner or a member of ``tenant``, locked or not."""
        tenancy = self._tenants.get(tenant)
        return tenancy is not None and any(each in tenancy.roles for each in subjects)

    def owned(self, subjects: Iterable[str]) -> Iterator[str]:
        """The tenants that ``subjects`` own and are let in to."""
        for subject in subjects:
            for name in self._owned.get(subject, ()):
                if not self._tenants[name].locked:
                    yield name

    def owns_any(self, subjects: Iterable[str]) -> bool:
        """Whether there is one."""
        return next(self.owned(subjects), None) is not None

    def put(self, entry: Entry) -> None:
        """A Tenant is there, or changed."""
        name, tenancy = entry.key.name, Tenancy.of(entry)
        self._uids["tenants", name] = entry.uid
        if self._tenants.get(name) == tenancy:
            return
        self._forget(name)
        self._tenants[name] = tenancy
        self.changes += 1
        for owner in tenancy.owners:
            self._owned.setdefault(owner, set()).add(name)

    def drop(self, entry: Entry) -> None:
        """A Tenant went."""
        self._uids.pop(("tenants", entry.key.name), None)
        self._forget(entry.key.name)

    def clear(self) -> None:
        """Begin anew with tenants."""
        self._tenants.clear()
        self._owned.clear()
        self.changes += 1

    def put_namespace(self, entry: Entry) -> None:
        """A Namespace is there, or changed."""
        tenant = tenant_of(entry.labels)
        self._uids["namespaces", entry.key.name] = entry.uid
        if self._namespaces.get(entry.key.name) != tenant:
            self._namespaces[entry.key.name] = tenant
            self.changes += 1

    def drop_namespace(self, entry: Entry) -> None:
        """A Namespace went."""
        self._uids.pop(("namespaces", entry.key.name), None)
        self._namespaces.pop(entry.key.name, None)
        self.changes += 1

    def clear_namespaces(self) -> None:
        """Begin anew with namespaces."""
        self._namespaces.clear()
        self.changes += 1

    def _forget(self, name: str) -> None:
        tenancy = self._tenants.pop(name, None)
        self.changes += 1
        for owner in tenancy.owners if tenancy is not None else ():
            self._owned[owner].discard(name)
            if not self._owned[owner]:
                del self._owned[owner]


def _keys(subjects: Iterable[dict[str, str]]) -> frozenset[str]:
    named = subject_names(tuple(subjects))
    return frozenset(_PREFIXES[kind] + name for kind, name in named if kind in _PREFIXES and name)
