"""What the lists of default roles are made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from moorage.resources.kind import Document
from moorage.resources.rbac_rules import GROUP
from moorage_tenants.authorisation.rules import Rule

READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "patch", "update")
ALL = (*READ, *WRITE)

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
BOOTSTRAPPING = {"kubernetes.io/bootstrapping": "rbac-defaults"}


def rule(verbs: Iterable[str] | str, groups: str, resources: str, names: str = "") -> Rule:
    """A rule from lists with spaces between; the group ``core`` is the one without a name."""
    return Rule(
        tuple(verbs.split()) if isinstance(verbs, str) else tuple(verbs),
        tuple("" if group == "core" else group for group in groups.split()),
        tuple(resources.split()),
        tuple(names.split()),
    )


def urls(verbs: str, paths: str) -> Rule:
    """A rule about paths that are no resources."""
    return Rule(tuple(verbs.split()), urls=tuple(paths.split()))


def cluster_role(
    name: str, rules: Iterable[Rule] = (), *, labels: Mapping[str, str] | None = None, gathers: str = ""
) -> Document:
    """A ClusterRole; ``gathers``: the role that it aggregates rules for (``aggregate-to-edit``)."""
    document: Document = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": {**BOOTSTRAPPING, **(labels or {})}, "annotations": {AUTOUPDATE: "true"}},
    }
    if gathers:
        selector = {"matchLabels": {f"{GROUP}/{gathers}": "true"}}
        document["aggregationRule"] = {"clusterRoleSelectors": [selector]}
    else:
        document["rules"] = [each.document() for each in rules]
    return document


def joins(*roles: str) -> dict[str, str]:
    """The labels of a role whose rules belong to ``roles`` (``view``) too."""
    return {f"{GROUP}/aggregate-to-{role}": "true" for role in roles}


def cluster_binding(role: str, *, groups: str = "", users: str = "") -> Document:
    """A ClusterRoleBinding with the name of its role."""
    subjects = [("Group", name) for name in groups.split()] + [("User", name) for name in users.split()]
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": role, "labels": dict(BOOTSTRAPPING), "annotations": {AUTOUPDATE: "true"}},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": GROUP, "kind": kind, "name": name} for kind, name in subjects],
    }
