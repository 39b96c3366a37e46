"""The one ``authorise()``: fixed roles, deny by default. Later work replaces the roles, not the calls.

The texts of refusals are Kubernetes' (``pkg/registry/rbac`` and ``apiserver/pkg/endpoints/handlers/responsewriters``).
"""

from __future__ import annotations

from typing import Protocol

from moorage.api.contracts import Attributes, Decision
from moorage_tenants import names

ALLOWED = Decision(True)

READ_VERBS = frozenset({"get", "list", "watch"})
OWN_GROUP = "moorage.io"
SHARED_ENDPOINTS = frozenset({"transactions", "batches"})
"""Open to every identity: each member is authorised on its own."""

OPEN_PATHS = frozenset({"/api", "/apis", "/version", "/healthz", "/livez", "/readyz", "/openapi"})
OPEN_PREFIXES = ("/api/", "/apis/", "/version/", "/healthz/", "/livez/", "/readyz/", "/openapi/")
"""Kubernetes' system:discovery and system:public-info-viewer."""


class Role(Protocol):
    """What one kind of identity may do beyond what all may."""

    async def why_not(self, attributes: Attributes) -> str | None:
        """None where it may; else why not ("" where there is no more to say than that it may not)."""
        ...


class RoleAuthorizer:
    """Implements ``moorage.api.contracts.Authorizer`` over the fixed roles of docs/architecture.md."""

    def __init__(self, *, controllers: Role, node: Role, team: Role) -> None:
        self._controllers = controllers
        self._node = node
        self._team = team

    async def authorise(self, attributes: Attributes) -> Decision:
        """Whether this may be done; a refusal says who may not do what, and where."""
        identity = attributes.identity
        if not identity.name:
            return Decision(False, "no user is named: log in first")
        if names.MASTERS in identity.groups or open_to_all(attributes):
            return ALLOWED
        role = self._role(identity.groups)
        why = await role.why_not(attributes) if role else ""
        return ALLOWED if why is None else Decision(False, refusal(attributes, why))

    def _role(self, groups: frozenset[str]) -> Role | None:
        if names.CONTROLLERS in groups:
            return self._controllers
        if names.NODES in groups:
            return self._node
        if names.teams_of(groups):
            return self._team
        return None


def open_to_all(attributes: Attributes) -> bool:
    """What every authenticated user may: discovery, health, version, OpenAPI, and to send many operations at once."""
    if attributes.path:
        path = attributes.path
        return attributes.verb == "get" and (path in OPEN_PATHS or path.startswith(OPEN_PREFIXES))
    return (
        attributes.group == OWN_GROUP
        and attributes.resource in SHARED_ENDPOINTS
        and not attributes.subresource
        and attributes.verb == "create"
    )


def object_name(attributes: Attributes) -> str:
    """The name of the object that is asked for: a create has it in its document only."""
    if attributes.name or attributes.document is None:
        return attributes.name
    metadata = attributes.document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def refusal(attributes: Attributes, why: str = "") -> str:
    """Kubernetes' sentence, with the reason after it."""
    user, verb = attributes.identity.name, attributes.verb
    if attributes.path:
        text = f'User "{user}" cannot {verb} path "{attributes.path}"'
    else:
        resource = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
        where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
        text = f'User "{user}" cannot {verb} resource "{resource}" in API group "{attributes.group}" {where}'
    return f"{text}: {why}" if why else text
