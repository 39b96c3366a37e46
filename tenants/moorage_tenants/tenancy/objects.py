"""What a tenant's services, claims and ingresses may ask for, and what its network policies should know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any

from moorage.resources.kind import Document, FieldError, ResourceKey
from moorage.resources.tenancy import TENANT_LABEL
from moorage_tenants.tenancy.policy import Policy
from moorage_tenants.tenancy.refusals import beyond

Part = Mapping[str, Any]

SERVICES = ResourceKey("", "services")
CLAIMS = ResourceKey("", "persistentvolumeclaims")
STATEFUL_SETS = ResourceKey("apps", "statefulsets")
INGRESSES = ResourceKey("networking.k8s.io", "ingresses")
NETWORK_POLICIES = ResourceKey("networking.k8s.io", "networkpolicies")


def mutate_object(policy: Policy, key: ResourceKey, document: Document) -> None:
    """Fill in the tenant's own default classes."""
    if key not in (CLAIMS, INGRESSES):
        return
    spec = document.setdefault("spec", {})
    if key == CLAIMS and spec.get("storageClassName") is None and not spec.get("volumeName"):
        if default := policy.default("storageClasses"):
            spec["storageClassName"] = default
    elif key == INGRESSES and spec.get("ingressClassName") is None and (default := policy.default("ingressClasses")):
        spec["ingressClassName"] = default


def object_refusals(policy: Policy, key: ResourceKey, document: Document) -> list[FieldError]:
    """What the tenant's rules have against an object that is no pod."""
    rule = _RULES.get(key)
    return rule(policy, document.get("spec") or {}) if rule else []


def _service(policy: Policy, spec: Part) -> list[FieldError]:
    errors: list[FieldError] = []
    kind = spec.get("type") or "ClusterIP"
    if kind not in policy.services:
        allowed = ", ".join(sorted(policy.services)) or "none"
        remedy = "use one of these" if policy.services else "leave the service out"
        errors.append(
            beyond(
                "spec.type", policy.name, f"have services of type {kind}", "spec.serviceTypes.allowed", allowed, remedy
            )
        )
    networks = ", ".join(map(str, policy.external)) or "none"
    for index, text in enumerate(spec.get("externalIPs") or ()):
        if not _within(policy, text):
            what, remedy = f'take the address "{text}"', "leave it out"
            field = "spec.serviceTypes.externalIPs"
            errors.append(beyond(f"spec.externalIPs[{index}]", policy.name, what, field, networks, remedy))
    wanted = spec.get("loadBalancerIP")
    if wanted and not _within(policy, wanted):
        what, remedy = f'take the address "{wanted}"', "leave it out"
        errors.append(
            beyond("spec.loadBalancerIP", policy.name, what, "spec.serviceTypes.externalIPs", networks, remedy)
        )
    return errors


def _within(policy: Policy, text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in policy.external)


def storage_class_refusals(policy: Policy, spec: Part, path: str) -> list[FieldError]:
    """What stands against the class of a claim at ``path``."""
    name = spec.get("storageClassName")
    if policy.storage is None or name is None or name in policy.storage:
        return []
    shown = f'the storage class "{name}"' if name else "volumes without a storage class"
    return [
        beyond(
            f"{path}.storageClassName",
            policy.name,
            f"use {shown}",
            "spec.storageClasses.allowed",
            policy.storage,
            "name one of these",
        )
    ]


def _claim(policy: Policy, spec: Part) -> list[FieldError]:
    return storage_class_refusals(policy, spec, "spec")


def _stateful_set(policy: Policy, spec: Part) -> list[FieldError]:
    return [
        error
        for index, claim in enumerate(spec.get("volumeClaimTemplates") or ())
        for error in storage_class_refusals(policy, claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}].spec")
    ]


def _ingress(policy: Policy, spec: Part) -> list[FieldError]:
    errors: list[FieldError] = []
    name = spec.get("ingressClassName") or ""
    if policy.ingress is not None and name not in policy.ingress:
        what = f'use the ingress class "{name}"' if name else "have ingresses without a class"
        field = "spec.ingressClasses.allowed"
        errors.append(beyond("spec.ingressClassName", policy.name, what, field, policy.ingress, "name one of these"))
    if policy.hostnames is None:
        return errors
    hosts = [(f"spec.rules[{index}].host", rule.get("host", "")) for index, rule in enumerate(spec.get("rules") or ())]
    if spec.get("defaultBackend") is not None:
        hosts.append(("spec.defaultBackend", ""))
    for index, tls in enumerate(spec.get("tls") or ()):
        hosts += [(f"spec.tls[{index}].hosts[{number}]", host) for number, host in enumerate(tls.get("hosts") or ())]
    for path, host in hosts:
        if host not in policy.hostnames:
            what = f'serve the host name "{host}"' if host else "serve every host name"
            remedy = "name one of these"
            errors.append(beyond(path, policy.name, what, "spec.hostnames.allowed", policy.hostnames, remedy))
    return errors


_RULES: Mapping[ResourceKey, Callable[[Policy, Part], list[FieldError]]] = {
    SERVICES: _service,
    CLAIMS: _claim,
    STATEFUL_SETS: _stateful_set,
    INGRESSES: _ingress,
}


def open_peers(policy: Policy, document: Document) -> list[str]:
    """Paths of a NetworkPolicy's peers that let pods of other tenants in by labels which these set themselves."""
    found = []
    for index, rule in enumerate((document.get("spec") or {}).get("ingress") or ()):
        for number, peer in enumerate(rule.get("from") or ()):
            selector = peer.get("namespaceSelector")
            if selector is not None and not _names_tenant(selector):
                found.append(f"spec.ingress[{index}].from[{number}].namespaceSelector")
    return found


def _names_tenant(selector: Part) -> bool:
    """Whether it asks for something that a namespace's owner cannot set: its tenant or its name."""
    fixed = (TENANT_LABEL, "kubernetes.io/metadata.name")
    if any(key in fixed for key in selector.get("matchLabels") or {}):
        return True
    return any(
        each.get("key") in fixed and each.get("operator") == "In" for each in selector.get("matchExpressions") or ()
    )
