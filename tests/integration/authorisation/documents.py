"""Roles and bindings for tests, and their paths."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]
RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"


def rule(verbs: str, groups: str, resources: str, names: str = "") -> Document:
    """A rule of lists with spaces between; ``core`` is the group without a name."""
    found: Document = {
        "verbs": verbs.split(),
        "apiGroups": ["" if group == "core" else group for group in groups.split()],
        "resources": resources.split(),
    }
    if names:
        found["resourceNames"] = names.split()
    return found


def role(name: str, *rules: Document, namespace: str = "", labels: dict[str, str] | None = None) -> Document:
    """A Role, or a ClusterRole where ``namespace`` is ""."""
    metadata: Document = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    kind = "Role" if namespace else "ClusterRole"
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, "rules": list(rules)}


def user(name: str) -> Document:
    """A User as a subject."""
    return {"kind": "User", "apiGroup": GROUP, "name": name}


def group(name: str) -> Document:
    """A Group as a subject."""
    return {"kind": "Group", "apiGroup": GROUP, "name": name}


def account(name: str, namespace: str = "") -> Document:
    """A ServiceAccount as a subject."""
    subject = {"kind": "ServiceAccount", "name": name}
    return {**subject, "namespace": namespace} if namespace else subject


def binding(name: str, to: str, *subjects: Document, namespace: str = "") -> Document:
    """A RoleBinding (or a ClusterRoleBinding) to ``ClusterRole/NAME`` or ``Role/NAME``."""
    kind, _, role_name = to.partition("/")
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role_name},
        "subjects": list(subjects),
    }


def collection(document: Document) -> str:
    """The path that a document is posted to."""
    version, plural = document["apiVersion"], document["kind"].lower() + "s"
    prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = document["metadata"].get("namespace")
    return f"{prefix}/namespaces/{namespace}/{plural}" if namespace else f"{prefix}/{plural}"
