"""coordination.k8s.io/v1: Leases."""

from __future__ import annotations

from moorage.resources import names
from moorage.resources.field_errors import NOT_NEGATIVE, forbidden, invalid, not_supported
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, text

_STRATEGIES = ("OldestEmulationVersion",)


def _errors(lease: Document) -> list[FieldError]:
    errors = metadata_errors(lease, names.dns_subdomain, namespaced=True)
    spec = lease.get("spec") or {}
    duration, transitions = spec.get("leaseDurationSeconds", 1), spec.get("leaseTransitions", 0)
    if duration <= 0:
        errors.append(invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    if transitions < 0:
        errors.append(invalid("spec.leaseTransitions", transitions, NOT_NEGATIVE))
    strategy = spec.get("strategy", "")
    if "/" in strategy:
        if problem := names.qualified_name(strategy):
            errors.append(invalid("spec.strategy", strategy, problem))
    elif strategy and strategy not in _STRATEGIES:
        errors.append(not_supported("spec.strategy", strategy, _STRATEGIES))
    if spec.get("preferredHolder") and not strategy:
        errors.append(forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined"))
    return errors


LEASE = Kind(
    group="coordination.k8s.io",
    version="v1",
    kind="Lease",
    plural="leases",
    singular="lease",
    namespaced=True,
    schema="io.k8s.api.coordination.v1.Lease",
    storage=ResourceKey("coordination.k8s.io", "leases"),
    allow_create_on_update=True,
    unconditional_update=False,
    name_rule=names.dns_subdomain,
    columns=(NAME, Column("Holder", text("spec.holderIdentity"), description="Who holds the lease."), AGE),
    validate=_errors,
    validate_update=metadata_update_errors,
)
