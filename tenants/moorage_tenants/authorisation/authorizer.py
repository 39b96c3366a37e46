"""The one ``authorise()``: what a token's scopes leave, and of that what a node may, roles grant, or a tenant gives. Deny by
default.

A refusal is given only after a look at what PostgreSQL holds, so that a server that lags behind refuses nothing that is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from moorage.api.contracts import Attributes, Decision, Identity, Rights, Visible
from moorage.resources.core.namespaces import NAMESPACE
from moorage.resources.tenancy import GROUP as TENANCY
from moorage.resources.tenancy import tenant_of
from moorage.store.contracts import Entry
from moorage_tenants import names
from moorage_tenants.authentication.scopes import permits, scopes_of
from moorage_tenants.authorisation.index import GrantIndex, Subjects, described
from moorage_tenants.authorisation.permissions import Permissions
from moorage_tenants.authorisation.rules import FULL_AUTHORITY, Rule
from moorage_tenants.authorisation.subjects import keys_of
from moorage_tenants.authorisation.tenancies import TenantBook
from moorage_tenants.authorisation.words import refusal

ALLOWED = Decision(True)
IDENTITIES = 10_000
"""Identities whose subjects are kept."""

_OWNED_NAMESPACE = frozenset({"get", "list", "watch", "update", "patch", "delete"})
_OWNED_TENANT = frozenset({"get", "list", "watch", "update", "patch"})
_READ = frozenset({"get", "list", "watch"})
_COLLECTION_VERBS = frozenset({"create", "list", "watch", "deletecollection"})
_LASTING = frozenset({"log", "exec", "attach", "portforward", "proxy"})
_LISTED = {("", "namespaces"), (TENANCY, "tenants")}
"""Collections of which everybody sees a part: the objects that they may get."""


class Part(Protocol):
    """Rights that do not come from roles (nodes')."""

    async def why_not(self, attributes: Attributes) -> str | None:
        """None where it grants this; else why not ("" where there is no more to say)."""
        ...


class RbacAuthorizer:
    """Implements ``moorage.api.contracts.Authorizer`` and ``Reviewer``. ``node`` is asked for members of ``system:nodes``."""

    def __init__(self, index: GrantIndex, *, node: Part) -> None:
        self.index = index
        self._node = node
        self._subjects: dict[tuple[str, frozenset[str]], Subjects] = {}

    async def authorise(self, attributes: Attributes) -> Decision:
        """Whether this may be done; a refusal says who may not do what, and where."""
        attributes = placed(attributes)
        why = await self._why_not(attributes)
        if why is None:
            return Decision(True, standing=self._standing(attributes)) if _lasts(attributes) else ALLOWED
        return Decision(False, refusal(attributes, why), self._visible(attributes))

    async def explain(self, attributes: Attributes) -> Decision:
        """The same, with the reason also of what is allowed, and of what is not where there is more to say than that."""
        attributes = placed(attributes)
        why = await self._why_not(attributes)
        if why is not None:
            return Decision(False, why)
        if names.MASTERS not in attributes.identity.groups:
            for grant in self.index.grants(self.subjects(attributes.identity), attributes.namespace):
                permissions = self.index.roles.permissions(grant.role_namespace, grant.role)
                if _allows(permissions, attributes):
                    return Decision(True, f"RBAC: allowed by {described(grant)}")
        return ALLOWED

    async def _why_not(self, attributes: Attributes) -> str | None:
        """None for what is allowed; else why it is not ("" where nothing grants it, and that is all)."""
        identity = attributes.identity
        if not identity.name:
            return "no user is named: log in first"
        scopes = scopes_of(identity)
        if scopes and not permits(scopes, attributes):
            return _limited(scopes)
        if names.MASTERS in identity.groups:
            return None
        await self.index.look()
        subjects = self.subjects(identity)
        if await self.granted(attributes, subjects):
            return None
        why = await self._elsewhere(attributes)
        if why is not None and await self.index.refresh() and await self.granted(attributes, subjects):
            return None
        return why

    async def rights(self, identity: Identity, namespace: str) -> Rights:
        """All rules that ``identity`` holds in ``namespace``, in the form of a role's."""
        await self.index.refresh()
        subjects = self.subjects(identity)
        rules = list(self.index.rules(subjects, namespace))
        rules += owned_rules(self.index.tenants, subjects, namespace)
        if names.MASTERS in identity.groups:
            rules = [*FULL_AUTHORITY, *rules]
        why = ""
        if names.NODES in identity.groups:
            why = "node authorizer does not support user rule resolution"
        elif scopes_of(identity):
            why = f"{_limited(scopes_of(identity))}, which is not counted in"
        return Rights(
            [rule.document() for rule in rules if not rule.urls], [rule.document() for rule in rules if rule.urls], why
        )

    def subjects(self, identity: Identity) -> Subjects:
        """What bindings may call ``identity``."""
        key = (identity.name, identity.groups)
        known = self._subjects.get(key)
        if known is None:
            if len(self._subjects) > IDENTITIES:
                self._subjects.clear()
            known = self._subjects[key] = keys_of(identity)
        return known

    async def tenant_in(self, attributes: Attributes) -> str | None:
        """The tenant of a namespace that is made in the same transaction; None for every other."""
        namespace = attributes.namespace
        if not namespace or attributes.view is None or self.index.tenants.tenant(namespace) is not None:
            return None
        entry = await attributes.view.get(NAMESPACE, "", namespace)
        return tenant_of(entry.labels) if entry is not None else None

    async def granted(self, attributes: Attributes, subjects: Subjects) -> bool:
        """Whether roles or a tenant allow this."""
        tenant = None if attributes.view is None else await self.tenant_in(attributes)
        return self.holds(attributes, subjects, tenant)

    def holds(self, attributes: Attributes, subjects: Subjects, tenant: str | None) -> bool:
        """The same; ``tenant`` is that of a namespace which is not committed yet."""
        if attributes.path:
            verb, path = attributes.verb, attributes.path
            return any(each.allows_path(verb, path) for each in self.index.permissions(subjects, ""))
        verb, group, resource = attributes.verb, attributes.group, attributes.resource
        subresource, name = attributes.subresource, attributes.name
        for each in self.index.permissions(subjects, attributes.namespace, tenant):
            if each.allows(verb, group, resource, subresource, name):
                return True
        return (group, resource) in _LISTED and self._owned(attributes, subjects, tenant)

    def _owned(self, attributes: Attributes, subjects: Subjects, tenant: str | None) -> bool:
        """What owners may do with their namespaces and their Tenant beside what is in them; admission sets the limits."""
        tenants, verb = self.index.tenants, attributes.verb
        if attributes.resource == "tenants":
            if not attributes.name or attributes.subresource not in ("", "status"):
                return False
            if verb in _READ:
                return tenants.belongs(subjects, attributes.name)
            return not attributes.subresource and verb in _OWNED_TENANT and tenants.owns(subjects, attributes.name)
        if attributes.subresource:
            return False
        if verb == "create":
            return tenants.owns_any(subjects)
        owner = tenants.tenant(attributes.name) or tenant
        return bool(owner) and verb in _OWNED_NAMESPACE and tenants.owns(subjects, owner or "")

    async def _elsewhere(self, attributes: Attributes) -> str | None:
        """None where rights that are no roles' allow it; else why they do not."""
        if names.NODES in attributes.identity.groups:
            return await self._node.why_not(attributes)
        return ""

    def _standing(self, attributes: Attributes) -> Tenure | None:
        """Masters are made by their credential alone."""
        return None if names.MASTERS in attributes.identity.groups else Tenure(self, attributes)

    def _visible(self, attributes: Attributes) -> Visible | None:
        """Which objects of a refused list may be shown all the same."""
        listing = attributes.verb in ("list", "watch") and not attributes.subresource
        if not listing or (attributes.group, attributes.resource) not in _LISTED:
            return None
        return Visibility(self, attributes, self.subjects(attributes.identity))


class Visibility:
    """Implements ``moorage.api.contracts.Visible``: whether an identity may get the objects of a collection, as of now."""

    def __init__(self, authorizer: RbacAuthorizer, attributes: Attributes, subjects: Subjects) -> None:
        self._authorizer = authorizer
        self._attributes = replace(attributes, verb="get", namespace="")
        self._subjects = subjects

    @property
    def stamp(self) -> int:
        """Changes whenever what is visible may have changed."""
        self._authorizer.index.glance()
        return self._authorizer.index.generation

    def __call__(self, entry: Entry) -> bool:
        """Whether the object may be shown. What a name stood for before counts by its own labels, not by its successor's:
        the history of a namespace is not inherited with its name.
        """
        index = self._authorizer.index
        if not index.glance():
            return False
        attributes = placed(replace(self._attributes, name=entry.key.name))
        scopes = scopes_of(attributes.identity)
        if scopes and not permits(scopes, attributes):
            return False
        if index.tenants.is_current(attributes.resource, entry):
            return self._authorizer.holds(attributes, self._subjects, None)
        if attributes.resource != "namespaces":
            return False
        tenant = tenant_of(entry.labels)
        return index.tenants.owns(self._subjects, tenant) or any(
            index.roles.permissions("", role).allows("get", "", "namespaces", "", entry.key.name)
            for _, role in index.tenants.roles(self._subjects, tenant)
        )


class Tenure:
    """Implements ``moorage.api.contracts.Standing``: what was asked, asked again."""

    def __init__(self, authorizer: RbacAuthorizer, attributes: Attributes) -> None:
        self._authorizer = authorizer
        self._attributes = attributes

    @property
    def stamp(self) -> int | None:
        """Changes with roles, bindings and tenants; what nodes may goes with their pods, too."""
        if names.NODES in self._attributes.identity.groups or not self._authorizer.index.glance():
            return None
        return self._authorizer.index.generation

    async def holds(self) -> bool:
        """Whether it would be allowed now. Raises Unavailable."""
        return (await self._authorizer.authorise(self._attributes)).allowed


def placed(attributes: Attributes) -> Attributes:
    """A namespace is in itself: who may read namespaces in one may read that one, as in Kubernetes (RequestInfo)."""
    if attributes.resource != "namespaces" or attributes.group or not attributes.name:
        return attributes
    if attributes.verb in _COLLECTION_VERBS or attributes.namespace:
        return attributes
    return replace(attributes, namespace=attributes.name)


def owned_rules(tenants: TenantBook, subjects: Subjects, namespace: str) -> list[Rule]:
    """What owners may do with their namespaces and Tenants, as rules."""
    rules: list[Rule] = []
    if tenants.owns_any(subjects):
        rules.append(Rule(("create",), ("",), ("namespaces",)))
    if namespace and tenants.owns(subjects, tenants.tenant(namespace) or ""):
        rules.append(Rule(tuple(sorted(_OWNED_NAMESPACE)), ("",), ("namespaces",), (namespace,)))
    owned = tuple(sorted(tenants.owned(subjects)))
    if owned:
        rules.append(Rule(tuple(sorted(_OWNED_TENANT)), (TENANCY,), ("tenants",), owned))
    return rules


def _lasts(attributes: Attributes) -> bool:
    return attributes.verb == "watch" or attributes.subresource in _LASTING


def _limited(scopes: Sequence[str]) -> str:
    return f"the token is limited to {', '.join(sorted(scopes))}"


def _allows(permissions: Permissions, attributes: Attributes) -> bool:
    if attributes.path:
        return permissions.allows_path(attributes.verb, attributes.path)
    return permissions.allows(
        attributes.verb, attributes.group, attributes.resource, attributes.subresource, attributes.name
    )
