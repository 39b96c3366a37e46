"""What ResourceQuotas and Tenants limit, as the rows that the store counts against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import tenancy
from moorage.resources.kind import Document, Kind
from moorage.resources.quota_amounts import limit
from moorage.store.contracts import Limits

QUOTAS = ("", "resourcequotas")
TENANTS = (tenancy.GROUP, "tenants")

Requirement = Mapping[str, Any]


def matcher(spec: Mapping[str, Any]) -> list[Requirement]:
    """What a ResourceQuota's scopes ask of a charge's class; all must hold."""
    wanted: list[Requirement] = [{"scope": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    for each in (spec.get("scopeSelector") or {}).get("matchExpressions") or ():
        requirement: dict[str, Any] = {"scope": each["scopeName"], "operator": each["operator"]}
        if each.get("values"):
            requirement["values"] = list(each["values"])
        wanted.append(requirement)
    return wanted


def _rows(hard: Mapping[str, str]) -> dict[str, int]:
    return {name: limit(name, text) for name, text in hard.items()}


def _of_quota(quota: Document) -> tuple[dict[str, int], Sequence[Requirement]]:
    spec = quota.get("spec") or {}
    return _rows(spec.get("hard") or {}), matcher(spec)


def _of_tenant(tenant: Document) -> tuple[dict[str, int], Sequence[Requirement]]:
    return _rows(tenancy.hard_limits(tenant)), ()


def limits_of(kind: Kind, document: Document, old: Document | None) -> Limits | None:
    """The quota rows that ``document`` sets; None where it sets none, or the same as ``old``."""
    key = (kind.storage.group, kind.storage.resource)
    if key not in (QUOTAS, TENANTS):
        return None
    read = _of_quota if key == QUOTAS else _of_tenant
    wanted = read(document)
    if old is not None and wanted == read(old):
        return None
    metadata = document["metadata"]
    name = metadata["name"]
    scope = f"quota/{metadata['namespace']}/{name}" if key == QUOTAS else f"tenant/{name}"
    return Limits(scope, *wanted)
