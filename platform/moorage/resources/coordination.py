"""coordination.k8s.io/v1: Leases."""

from __future__ import annotations

from moorage.resources import names
from moorage.resources.kind import Column, Kind, ResourceKey
from moorage.resources.printing import AGE, NAME, text

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
)
