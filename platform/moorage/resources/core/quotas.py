"""ResourceQuotas. Their status is written by the server from what the store counts (``moorage_tenants.limits``)."""

from __future__ import annotations

from typing import Any

from moorage.resources import names
from moorage.resources.core.quota_rules import quota_errors, quota_status_errors, quota_update_errors
from moorage.resources.declaring import CORE, by_name, status_of
from moorage.resources.kind import Column, Document, Kind, ResourceKey
from moorage.resources.printing import AGE, NAME, at
from moorage.resources.quantity import canonical_resource


def _canonical(amounts: Document) -> None:
    for name, text in amounts.items():
        amounts[name] = canonical_resource(text)


def _default(quota: Document) -> None:
    for part, lists in ((quota.setdefault("spec", {}), ("hard",)), (quota.setdefault("status", {}), ("hard", "used"))):
        for name in lists:
            _canonical(part.get(name) or {})


def _prepare_create(quota: Document) -> None:
    quota["status"] = {}


def _prepare_update(new: Document, old: Document) -> None:
    """What is limited no longer is not shown any more; what is new in it is counted soon."""
    hard = new["spec"].get("hard") or {}
    if hard.keys() >= (at(old, "spec.hard", {}) or {}).keys():
        return
    status = dict(new.get("status") or {})
    for name in ("hard", "used"):
        kept = {resource: text for resource, text in status.pop(name, {}).items() if resource in hard}
        if kept:
            status[name] = kept
    new["status"] = status


def _side(limits: bool) -> Any:
    """A cell with used and hard of the limits, or of everything else."""

    def cell(quota: Document, _now: float) -> str:
        used = at(quota, "status.used", {})
        return ", ".join(
            f"{name}: {used.get(name, '0')}/{hard}"
            for name, hard in sorted(at(quota, "status.hard", {}).items())
            if name.startswith("limits.") is limits
        )

    return cell


RESOURCE_QUOTA = Kind(
    group="",
    version="v1",
    kind="ResourceQuota",
    plural="resourcequotas",
    singular="resourcequota",
    namespaced=True,
    schema=f"{CORE}.ResourceQuota",
    short_names=("quota",),
    storage=ResourceKey("", "resourcequotas"),
    name_rule=names.dns_subdomain,
    subresources=by_name((status_of("", "v1", "ResourceQuota"),)),
    columns=(
        NAME,
        Column("Request", _side(False), description="What is used of what may be asked for."),
        Column("Limit", _side(True), description="What is used of what limits may add up to."),
        AGE,
    ),
    default=_default,
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
    validate=quota_errors,
    validate_update=quota_update_errors,
    validate_status_update=quota_status_errors,
)
