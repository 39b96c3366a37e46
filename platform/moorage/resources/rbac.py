"""rbac.authorization.k8s.io/v1: Roles, ClusterRoles and their bindings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey, no_change
from moorage.resources.metadata import metadata_update_errors
from moorage.resources.printing import AGE, NAME, text
from moorage.resources.rbac_rules import (
    GROUP,
    GROUP_KIND,
    SERVICE_ACCOUNT,
    USER,
    binding_update_errors,
    cluster_role_binding_errors,
    cluster_role_errors,
    default_binding,
    role_binding_errors,
    role_errors,
)

_SCHEMAS = "io.k8s.api.rbac.v1"
_CREATED = Column("Created At", text("metadata.creationTimestamp"), "date", description="When it was created.")


def _role(document: Document, _now: float) -> Any:
    reference = document.get("roleRef") or {}
    return f"{reference.get('kind', '')}/{reference.get('name', '')}"


def _subjects(kind: str) -> Callable[[Document, float], Any]:
    def cell(document: Document, _now: float) -> Any:
        found = (each for each in document.get("subjects") or () if each.get("kind") == kind)
        return ", ".join(_subject(each) for each in found)

    return cell


def _subject(subject: dict[str, Any]) -> str:
    name, namespace = subject.get("name", ""), subject.get("namespace", "")
    return f"{namespace}/{name}" if subject.get("kind") == SERVICE_ACCOUNT else name


_ROLE_COLUMNS = (NAME, _CREATED)
_BINDING_COLUMNS = (
    NAME,
    Column("Role", _role, description="The role that is given."),
    AGE,
    Column("Users", _subjects(USER), priority=1, description="Users in the roleBinding"),
    Column("Groups", _subjects(GROUP_KIND), priority=1, description="Groups in the roleBinding"),
    Column("ServiceAccounts", _subjects(SERVICE_ACCOUNT), priority=1, description="ServiceAccounts in the roleBinding"),
)


def _kind(
    kind: str,
    *,
    namespaced: bool,
    columns: tuple[Column, ...],
    validate: Callable[[Document], Sequence[FieldError]],
    validate_update: Callable[[Document, Document], Sequence[FieldError]],
    default: Callable[[Document], None] = no_change,
) -> Kind:
    plural = f"{kind.lower()}s"
    return Kind(
        group=GROUP,
        version="v1",
        kind=kind,
        plural=plural,
        singular=kind.lower(),
        namespaced=namespaced,
        schema=f"{_SCHEMAS}.{kind}",
        storage=ResourceKey(GROUP, plural),
        name_rule=names.path_segment,
        columns=columns,
        default=default,
        validate=validate,
        validate_update=validate_update,
    )


ROLE = _kind(
    "Role",
    namespaced=True,
    columns=_ROLE_COLUMNS,
    validate=role_errors,
    validate_update=metadata_update_errors,
)
CLUSTER_ROLE = _kind(
    "ClusterRole",
    namespaced=False,
    columns=_ROLE_COLUMNS,
    validate=cluster_role_errors,
    validate_update=metadata_update_errors,
)
ROLE_BINDING = _kind(
    "RoleBinding",
    namespaced=True,
    columns=_BINDING_COLUMNS,
    validate=role_binding_errors,
    validate_update=binding_update_errors,
    default=default_binding,
)
CLUSTER_ROLE_BINDING = _kind(
    "ClusterRoleBinding",
    namespaced=False,
    columns=_BINDING_COLUMNS,
    validate=cluster_role_binding_errors,
    validate_update=binding_update_errors,
    default=default_binding,
)
