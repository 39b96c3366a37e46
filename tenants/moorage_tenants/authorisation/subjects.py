"""Subjects of bindings and the identities that they stand for, as keys of one index.

A ServiceAccount is the user that it logs in as, so there are only users and groups.
Source: ``pkg/registry/rbac/validation/rule.go`` (appliesToUser).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.api.contracts import Identity

USER, GROUP = "user:", "group:"
ACCOUNT_PREFIX = "system:serviceaccount:"


def keys_of(identity: Identity) -> tuple[str, ...]:
    """What bindings may call ``identity``; its own name first."""
    return (USER + identity.name, *(GROUP + group for group in sorted(identity.groups)))


def key_of(subject: Mapping[str, Any], namespace: str) -> str | None:
    """The key of a binding's subject; ``namespace`` is the binding's, "" for one of the cluster. None: nobody."""
    kind, name = subject.get("kind"), subject.get("name") or ""
    if not name:
        return None
    if kind == "User":
        return USER + name
    if kind == "Group":
        return GROUP + name
    if kind == "ServiceAccount":
        home = subject.get("namespace") or namespace
        return f"{USER}{ACCOUNT_PREFIX}{home}:{name}" if home else None
    return None
