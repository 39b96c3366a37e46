"""networking.k8s.io/v1: NetworkPolicies. The rest of the group is in ``ingress`` and ``service_addresses``.

Source: "Network Policies" in the documentation.
"""

from __future__ import annotations

from typing import Any

from moorage.resources import label_selector, names
from moorage.resources.kind import Column, Document, Kind, ResourceKey
from moorage.resources.metadata import metadata_update_errors
from moorage.resources.networking_rules import network_policy_errors
from moorage.resources.printing import AGE, NAME, at

GROUP = "networking.k8s.io"
_API = "io.k8s.api.networking.v1"


def _default_policy(policy: Document) -> None:
    spec = policy.setdefault("spec", {})
    for direction in ("ingress", "egress"):
        for rule in spec.get(direction) or ():
            for port in rule.get("ports") or ():
                if not port.get("protocol"):
                    port["protocol"] = "TCP"
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _pod_selector(policy: Document, _now: float) -> Any:
    return label_selector.formatted(at(policy, "spec.podSelector", None))


NETWORK_POLICY = Kind(
    group=GROUP,
    version="v1",
    kind="NetworkPolicy",
    plural="networkpolicies",
    singular="networkpolicy",
    namespaced=True,
    schema=f"{_API}.NetworkPolicy",
    short_names=("netpol",),
    storage=ResourceKey(GROUP, "networkpolicies"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    columns=(
        NAME,
        Column("Pod-Selector", _pod_selector, description="Labels of the pods that it is about."),
        AGE,
    ),
    default=_default_policy,
    validate=network_policy_errors,
    validate_update=metadata_update_errors,
)
