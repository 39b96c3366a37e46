"""Who asks. Everybody's token is their name."""

from __future__ import annotations

from hashlib import sha256

from moorage.api.contracts import Identity
from moorage_tenants import names

_ACCOUNTS = "system:serviceaccounts"


def _person(name: str, *groups: str) -> Identity:
    return Identity(name, frozenset({*groups, names.AUTHENTICATED}))


def _account(namespace: str, name: str) -> Identity:
    return _person(f"system:serviceaccount:{namespace}:{name}", _ACCOUNTS, f"{_ACCOUNTS}:{namespace}")


PEOPLE = {
    "admin": _person("admin", names.MASTERS),
    "nobody": _person("nobody"),
    "red-view": _person("red-view"),
    "red-edit": _person("red-edit"),
    "red-admin": _person("red-admin"),
    "red-owner": _person("red-owner"),
    "red-account": _account("red", "default"),
    "account": _account("there", "there"),
    "view": _person("view"),
    "edit": _person("edit"),
    "own": _person("own"),
    "node": _person("system:node:there", names.NODES),
    "other-node": _person("system:node:elsewhere", names.NODES),
    "controllers": _person("system:controllers", names.CONTROLLERS),
}
"""``red-`` are people of another tenant; "account" is a service account without a role; "view", "edit" and "own" are members
and owner of the tenant "there"; "node" runs the pod "there".
"""
BOOTSTRAP = [
    {"sha256": sha256(token.encode()).hexdigest(), "user": identity.name, "groups": sorted(identity.groups)}
    for token, identity in PEOPLE.items()
]
"""What the server's file of tokens holds."""
RED_ROLES = {"red-view": "view", "red-edit": "edit", "red-admin": "admin"}

COLUMNS = {
    "any": ("nobody", "red-view", "red-edit", "red-admin", "red-owner", "red-account", "account"),
    "view": ("view",),
    "edit": ("edit",),
    "own": ("own",),
    "node": ("node",),
    "other": ("other-node",),
    "ctl": ("controllers",),
    "adm": ("admin",),
}
"""Columns of the table, and who is in each."""

TENANT_S = {"red": ("red-view", "red-edit", "red-admin", "red-owner", "red-account")}
"""Who belongs to a tenant."""


def credentials(token: str) -> dict[str, str]:
    """Headers of somebody; none for ""."""
    return {"authorization": f"Bearer {token}"} if token else {}
