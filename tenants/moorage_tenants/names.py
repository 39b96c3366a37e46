"""The names of users and groups that the fixed roles know. Source: docs/architecture.md, "Identities"."""

from __future__ import annotations

import re

from moorage.api.contracts import Identity

MASTERS = "system:masters"
CONTROLLERS = "system:controllers"
NODES = "system:nodes"
AUTHENTICATED = "system:authenticated"
NODE_PREFIX = "system:node:"
TEAM_PREFIX = "team:"
TEAMS_PREFIX = "teams:"

RESERVED_NAMESPACES = frozenset({"default"})
RESERVED_NAMESPACE_PREFIXES = ("kube-", "moorage-")

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class BadName(ValueError):
    """A name that no team or node can have; its text is the message after ``Invalid value: ``."""


def is_reserved(namespace: str) -> bool:
    """Whether a namespace is the platform's own, so that no team is called so."""
    return namespace in RESERVED_NAMESPACES or namespace.startswith(RESERVED_NAMESPACE_PREFIXES)


def admin() -> Identity:
    """The administrator of an installation."""
    return Identity("admin", frozenset({MASTERS}))


def controllers() -> Identity:
    """Controllers, scheduler and GitOps engine."""
    return Identity("system:controllers", frozenset({CONTROLLERS}))


def node(name: str) -> Identity:
    """The agent of node ``name``. Raises BadName."""
    if len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        raise BadName(
            f'"{name}": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "-" or "."'
        )
    return Identity(NODE_PREFIX + name, frozenset({NODES}))


def team(name: str) -> Identity:
    """A team: what it may is what Tenants and roles give its group. Raises BadName for what is no namespace name or is the
    platform's own.
    """
    if not _LABEL.fullmatch(name):
        raise BadName(f'"{name}": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or "-"')
    if is_reserved(name):
        raise BadName(f'"{name}": the name is reserved for the platform; choose another')
    return Identity(TEAM_PREFIX + name, frozenset({TEAMS_PREFIX + name}))
