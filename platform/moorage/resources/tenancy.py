"""tenancy.moorage.io/v1: Tenants, the teams of the platform.

What others need to know of a tenant is read here and nowhere else: which one a namespace belongs to, who is kept out,
what its quota is. A namespace is a tenant's where its label ``tenancy.moorage.io/tenant`` says so; admission keeps that
label out of the hands of all but the administrators of tenants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names, quantity, timestamps
from moorage.resources.declaring import by_name, status_of
from moorage.resources.kind import Column, Document, Kind, ResourceKey
from moorage.resources.metadata import metadata_update_errors
from moorage.resources.printing import AGE, NAME, at, text
from moorage.resources.tenancy_rules import tenant_errors

GROUP = "tenancy.moorage.io"
TENANT_LABEL = f"{GROUP}/tenant"
"""On a Namespace: the tenant that it belongs to."""
MANAGED_LABEL = f"{GROUP}/managed"
"""On an object in a tenant's namespace: it follows the Tenant, and nobody of the tenant changes it."""
FINALIZER = f"{GROUP}/namespaces"
"""A Tenant stays until its namespaces are gone."""
MANAGE = "manage"
"""The RBAC verb on tenants that lifts their limits: making namespaces for anybody, changing specs whole."""
GRANTABLE_LABEL = f"{GROUP}/grantable"
"""On a ClusterRole, "true": owners may give it to members (beside view, edit and admin)."""

OWNER_ROLE = "admin"
DEFAULT_ROLE = "edit"
DEFAULT_KEEP_DAYS = 7
DEFAULT_SERVICE_TYPES = ("ClusterIP", "ExternalName")
DEFAULT_POD_SECURITY = "baseline"
SERVICE_ACCOUNT_USER = "system:serviceaccount:"
_DAY = 86400


def tenant_of(labels: Mapping[str, str]) -> str:
    """The tenant of a Namespace with these labels, "" for none."""
    return labels.get(TENANT_LABEL, "")


def is_locked(tenant: Document) -> bool:
    """Whether owners and members are kept out: suspended, marked for deletion, or being deleted."""
    spec = tenant.get("spec") or {}
    metadata = tenant.get("metadata") or {}
    return bool(spec.get("suspended") or spec.get("deletion") is not None or "deletionTimestamp" in metadata)


def keeps_programs(tenant: Document) -> bool:
    """Whether service accounts of a locked tenant's namespaces go on as before: what can be restored is left working. A tenant
    that is suspended, or being deleted, keeps them out too.
    """
    spec = tenant.get("spec") or {}
    return not spec.get("suspended") and "deletionTimestamp" not in (tenant.get("metadata") or {})


def service_account_namespace(user: str) -> str:
    """The namespace of the service account that logs in as ``user``, "" for everybody else."""
    if not user.startswith(SERVICE_ACCOUNT_USER):
        return ""
    return user.removeprefix(SERVICE_ACCOUNT_USER).partition(":")[0]


def delete_at(tenant: Document) -> float | None:
    """When a tenant that is marked for deletion is deleted, in seconds since the epoch; None where it is not marked."""
    deletion = (tenant.get("spec") or {}).get("deletion") or {}
    requested = deletion.get("requestedAt")
    if not requested:
        return None
    kept: int = deletion.get("keepDays", DEFAULT_KEEP_DAYS) * _DAY
    return timestamps.parse(requested).timestamp() + kept


def hard_limits(tenant: Document) -> dict[str, str]:
    """The tenant's quota: resource -> quantity, with the limit of its namespaces under ``count/namespaces``."""
    spec = tenant.get("spec") or {}
    hard: dict[str, str] = dict(at(spec, "quota.hard", {}))
    limits = [str(each) for each in (hard.pop("namespaces", None), hard.get("count/namespaces")) if each is not None]
    if (limit := at(spec, "namespaces.limit", None)) is not None:
        limits.append(str(limit))
    if limits:
        hard["count/namespaces"] = min(limits, key=lambda each: quantity.parse(each).nanos)
    return hard


def subject_names(subjects: Sequence[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    """Owners or members as (kind, name) with kind User or Group: a service account is the user that it logs in as."""
    return frozenset(
        ("User", f"{SERVICE_ACCOUNT_USER}{each.get('namespace', '')}:{each.get('name', '')}")
        if each.get("kind") == "ServiceAccount"
        else (each.get("kind", ""), each.get("name", ""))
        for each in subjects
    )


def _default(tenant: Document) -> None:
    spec = tenant.setdefault("spec", {})
    for member in spec.get("members") or ():
        if not member.get("role"):
            member["role"] = DEFAULT_ROLE
    security = spec.setdefault("podSecurity", {})
    if not security.get("enforce"):
        security["enforce"] = DEFAULT_POD_SECURITY
    spec.setdefault("network", {}).setdefault("isolation", True)
    spec.setdefault("serviceTypes", {}).setdefault("allowed", list(DEFAULT_SERVICE_TYPES))
    deletion = spec.get("deletion")
    if deletion is not None:
        deletion.setdefault("keepDays", DEFAULT_KEEP_DAYS)
        if not deletion.get("workloads"):
            deletion["workloads"] = "Keep"


def _prepare_create(tenant: Document) -> None:
    finalizers = tenant["metadata"].setdefault("finalizers", [])
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)
    tenant["status"] = {"phase": "Active"}


def _owners(tenant: Document, _now: float) -> str:
    owners = [each.get("name", "") for each in at(tenant, "spec.owners", ())]
    shown = ",".join(owners[:3])
    return f"{shown},+{len(owners) - 3}" if len(owners) > 3 else shown or "<none>"


def _namespaces(tenant: Document, _now: float) -> str:
    limit = hard_limits(tenant).get("count/namespaces")
    count = at(tenant, "status.namespaceCount", 0)
    return f"{count}/{limit}" if limit is not None else str(count)


TENANT = Kind(
    group=GROUP,
    version="v1",
    kind="Tenant",
    plural="tenants",
    singular="tenant",
    namespaced=False,
    schema="io.moorage.tenancy.v1.Tenant",
    short_names=("tnt",),
    storage=ResourceKey(GROUP, "tenants"),
    has_generation=True,
    name_rule=names.dns_label,
    subresources=by_name((status_of(GROUP, "v1", "Tenant"),)),
    columns=(
        NAME,
        Column("Phase", text("status.phase", "Active"), description="Whether people of the tenant are let in."),
        Column("Namespaces", _namespaces, description="How many it has, of how many it may have."),
        Column("Owners", _owners, description="Who owns it."),
        AGE,
        Column("Delete at", text("status.deleteAt"), priority=1, description="When it goes, unless it is restored."),
        Column("Description", text("spec.description"), priority=1, description="Who this is."),
    ),
    default=_default,
    prepare_create=_prepare_create,
    validate=tenant_errors,
    validate_update=metadata_update_errors,
    validate_status_update=metadata_update_errors,
)
