"""network.moorage.io/v1 PolicyRules: a NetworkPolicy with its selectors resolved to addresses, for the nodes that enforce it.

A node may read these and not the pods of others: they say addresses and ports, nothing of what runs there.
"""

from __future__ import annotations

from moorage.resources import names
from moorage.resources.kind import Column, Kind, ResourceKey
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, size
from moorage.resources.service_addresses import OWN_GROUP

POLICY_RULES = Kind(
    group=OWN_GROUP,
    version="v1",
    kind="PolicyRules",
    plural="policyrules",
    singular="policyrules",
    namespaced=True,
    schema="io.moorage.network.v1.PolicyRules",
    storage=ResourceKey(OWN_GROUP, "policyrules"),
    name_rule=names.dns_subdomain,
    columns=(NAME, Column("Pods", size("spec.targets"), description="Pods that the policy is about."), AGE),
    validate=lambda rules: metadata_errors(rules, names.dns_subdomain, namespaced=True),
    validate_update=metadata_update_errors,
)
