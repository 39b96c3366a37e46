"""What a team may: everything namespaced in its own namespaces, and nothing beside them.

A namespace is a team's where its label ``moorage.io/team`` says so; without the label, where it has the team's name.
The label is safe because no team may write a Namespace, by any verb or subresource (Capsule's CVE-2026-30963).
"""

from __future__ import annotations

from moorage.api.contracts import Attributes
from moorage.store.contracts import Cache
from moorage_tenants import names
from moorage_tenants.authorisation.words import READ_VERBS

_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_GROUPS = frozenset(
    {"", "apps", "batch", "autoscaling", "policy", "networking.k8s.io", "coordination.k8s.io", "gitops.moorage.io"}
)
_READ_ONLY_GROUPS = frozenset({"events.k8s.io", "discovery.k8s.io"})
_CLUSTER_SCOPED = frozenset({("", "nodes"), ("", "namespaces"), ("", "persistentvolumes"), ("", "componentstatuses")})
_READ_ONLY = frozenset(
    {
        ("", "events"),
        ("", "endpoints"),
        ("", "resourcequotas"),
        ("", "limitranges"),
        ("apps", "controllerrevisions"),
    }
)
"""What the platform derives or an administrator sets."""
_SUBRESOURCES = {"scale": frozenset({"get", "update", "patch"}), "status": frozenset({"get"})}
_OWN_SUBRESOURCES = {
    ("", "pods", "log"): frozenset({"get"}),
    ("", "pods", "eviction"): frozenset({"create"}),
    ("gitops.moorage.io", "repositories", "push"): frozenset({"create"}),
    # A push writes, as the pusher and in its own transaction, what it deployed; that tells about the team's objects only.
    ("gitops.moorage.io", "repositories", "status"): frozenset({"get", "patch"}),
    ("gitops.moorage.io", "applications", "status"): frozenset({"get", "patch"}),
}


class TeamRole:
    """The role of groups ``teams:NAME``. ``namespaces`` is the cache of Namespace objects."""

    def __init__(self, namespaces: Cache) -> None:
        self._namespaces = namespaces

    async def why_not(self, attributes: Attributes) -> str | None:
        """None where a member of the team may do this; else which rule stands against it."""
        if attributes.path:
            return ""
        resource = (attributes.group, attributes.resource)
        teams = names.teams_of(attributes.identity.groups)
        if resource == ("", "namespaces"):
            return self._namespace_itself(attributes, teams)
        if not attributes.namespace or resource in _CLUSTER_SCOPED:
            return "a team works in its own namespaces only"
        if not self.owns(teams, attributes.namespace):
            return f"the namespace is not one of {_listed(teams)}"
        return None if _within(attributes) else ""

    def owns(self, teams: frozenset[str], namespace: str) -> bool:
        """Whether ``namespace`` belongs to one of ``teams``."""
        entry = self._namespaces.get("", namespace)
        owner = entry.labels.get(names.TEAM_LABEL) if entry is not None else None
        if owner is not None:
            return owner in teams
        return namespace in teams and not names.is_reserved(namespace)

    def _namespace_itself(self, attributes: Attributes, teams: frozenset[str]) -> str | None:
        name = attributes.name or attributes.field_selector.get("metadata.name", "")
        if attributes.subresource or attributes.verb not in READ_VERBS or not name:
            return "namespaces are made and changed by an administrator"
        return None if self.owns(teams, name) else f"the namespace is not one of {_listed(teams)}"


def _listed(teams: frozenset[str]) -> str:
    return "team " + " or ".join(f'"{team}"' for team in sorted(teams))


def _within(attributes: Attributes) -> bool:
    resource = (attributes.group, attributes.resource)
    verb, subresource = attributes.verb, attributes.subresource
    if subresource:
        allowed = _OWN_SUBRESOURCES.get((*resource, subresource)) or _SUBRESOURCES.get(subresource)
        return allowed is not None and verb in allowed and attributes.group in _GROUPS
    if verb in READ_VERBS:
        return attributes.group in _GROUPS or attributes.group in _READ_ONLY_GROUPS
    return (
        verb in _WRITES and attributes.group in _GROUPS and resource not in _READ_ONLY and resource != ("", "bindings")
    )
