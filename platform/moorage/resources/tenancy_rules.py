"""Rules of Tenants."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from moorage.resources import names
from moorage.resources.checks import Errors, check_name, check_required_name
from moorage.resources.core.limit_ranges import LIMIT_RANGE
from moorage.resources.core.pods.resource_rules import check_amount, check_container_resource
from moorage.resources.core.pods.scheduling_rules import check_tolerations
from moorage.resources.core.quota_rules import quota_errors
from moorage.resources.field_errors import duplicate, forbidden, invalid, not_negative, not_supported, required
from moorage.resources.gitops_rules import PLAIN_SECRETS
from moorage.resources.kind import Document, FieldError
from moorage.resources.label_selector import label_errors
from moorage.resources.metadata import annotation_errors, metadata_errors

Part = Mapping[str, Any]

SUBJECT_KINDS = ("Group", "ServiceAccount", "User")
LEVELS = ("baseline", "privileged", "restricted")
SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
WORKLOADS = ("Keep", "Stop")
RESERVED_NAMES = ("default",)
RESERVED_PREFIXES = ("kube-", "moorage-")
KEEP_DAYS = 3650
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_PATTERN = re.compile(r"[^\s\x00-\x1f\x7f,]+")
PATTERN_MESSAGE = "must be a name or a pattern without spaces and commas, where * stands for any text (e.g. 'team-*')"
PLATFORM_KEYS = ("kubernetes.io", "k8s.io", "moorage.io")


def is_reserved(name: str) -> bool:
    """Whether a name is the platform's own, so that neither a tenant nor a tenant's namespace may have it."""
    return name in RESERVED_NAMES or name.startswith(RESERVED_PREFIXES)


def is_platform_key(key: str) -> bool:
    """Whether a label's or annotation's key has a meaning for the platform (its prefix is ours or Kubernetes')."""
    prefix = key.rpartition("/")[0]
    return any(prefix == each or prefix.endswith(f".{each}") for each in PLATFORM_KEYS)


def port_range(text: str) -> range | None:
    """The ports of ``8080`` or ``30000-30010``; None for what is no such thing."""
    match = _PORTS.fullmatch(text)
    if match is None:
        return None
    first, last = int(match[1]), int(match[2] or match[1])
    return range(first, last + 1) if 1 <= first <= last <= 65535 else None


def tenant_errors(tenant: Document) -> list[FieldError]:
    """What is wrong with a Tenant."""
    errors = metadata_errors(tenant, names.dns_label, namespaced=False)
    name = tenant["metadata"].get("name", "")
    if is_reserved(name):
        errors.append(invalid("metadata.name", name, "the name is reserved for the platform; choose another"))
    spec: Part = tenant.get("spec") or {}
    _check_people(errors, spec)
    _check_namespaces(errors, spec.get("namespaces") or {})
    _check_quotas(errors, spec)
    _check_limits(errors, spec)
    _check_placement(errors, spec.get("nodePools") or {})
    for field in ("registries", "priorityClasses", "storageClasses", "ingressClasses", "hostnames"):
        _check_allowed(errors, f"spec.{field}", spec.get(field) or {})
    _check_services(errors, spec.get("serviceTypes") or {})
    for index, path in enumerate((spec.get("hostPaths") or {}).get("allowed") or ()):
        if not path.startswith("/") or ".." in path.split("/"):
            detail = "must be an absolute path without '..' (e.g. '/srv/blue')"
            errors.append(invalid(f"spec.hostPaths.allowed[{index}]", path, detail))
    for index, text in enumerate((spec.get("hostPorts") or {}).get("allowed") or ()):
        if port_range(text) is None:
            detail = "must be a port or a range of ports, from 1 to 65535 (e.g. '8080' or '30000-30010')"
            errors.append(invalid(f"spec.hostPorts.allowed[{index}]", text, detail))
    _check_levels(errors, spec.get("podSecurity") or {})
    for index, other in enumerate((spec.get("network") or {}).get("allowFrom") or ()):
        check_required_name(errors, f"spec.network.allowFrom[{index}]", other, names.dns_label)
    if (policy := (spec.get("secrets") or {}).get("plainInGit")) is not None and policy not in PLAIN_SECRETS:
        errors.append(not_supported("spec.secrets.plainInGit", policy, PLAIN_SECRETS))
    if spec.get("deletion") is not None:
        _check_deletion(errors, spec["deletion"])
    return errors


def _check_people(errors: Errors, spec: Part) -> None:
    for field in ("owners", "members"):
        seen: set[tuple[str, ...]] = set()
        for index, subject in enumerate(spec.get(field) or ()):
            here = f"spec.{field}[{index}]"
            _check_subject(errors, here, subject)
            role = subject.get("role", "")
            if field == "members":
                check_required_name(errors, f"{here}.role", role, names.path_segment)
            key = (subject.get("kind", ""), subject.get("namespace", ""), subject.get("name", ""), role)
            if key in seen:
                errors.append(duplicate(here, subject.get("name", "")))
            seen.add(key)


def _check_subject(errors: Errors, path: str, subject: Part) -> None:
    kind, name, namespace = subject.get("kind", ""), subject.get("name", ""), subject.get("namespace", "")
    if kind not in SUBJECT_KINDS:
        errors.append(not_supported(f"{path}.kind", kind, SUBJECT_KINDS))
        return
    if kind == "ServiceAccount":
        check_required_name(errors, f"{path}.name", name, names.dns_subdomain)
        check_required_name(errors, f"{path}.namespace", namespace, names.dns_label)
        return
    if not name:
        errors.append(required(f"{path}.name"))
    if namespace:
        errors.append(forbidden(f"{path}.namespace", f"a {kind} is not in a namespace"))
    if name in ("system:authenticated", "system:unauthenticated", "system:serviceaccounts") and kind == "Group":
        detail = "everybody is in this group; name the people or a group of the login provider"
        errors.append(invalid(f"{path}.name", name, detail))


def _check_namespaces(errors: Errors, policy: Part) -> None:
    if "limit" in policy:
        errors += not_negative("spec.namespaces.limit", policy["limit"])
    labels, annotations = policy.get("labels") or {}, policy.get("annotations") or {}
    errors += label_errors("spec.namespaces.labels", labels)
    errors += annotation_errors("spec.namespaces.annotations", annotations)
    for field in ("allowedLabels", "allowedAnnotations"):
        _check_patterns(errors, f"spec.namespaces.{field}", policy.get(field) or ())
    for key in labels:
        if is_platform_key(key):
            detail = "the platform sets its own labels; use spec.podSecurity and spec.network for what they say"
            errors.append(invalid("spec.namespaces.labels", key, detail))


def _check_quotas(errors: Errors, spec: Part) -> None:
    """What a ResourceQuota may say, and the number of namespaces."""
    hard = dict((spec.get("quota") or {}).get("hard") or {})
    if (limit := hard.pop("namespaces", None)) is not None:
        check_amount(errors, "spec.quota.hard[namespaces]", "count/namespaces", limit)
    errors += _as_part_of(quota_errors, {"hard": hard}, "spec.quota.")
    for index, template in enumerate(spec.get("resourceQuotas") or ()):
        errors += _as_part_of(quota_errors, template, f"spec.resourceQuotas[{index}].")


def _check_limits(errors: Errors, spec: Part) -> None:
    """What a LimitRange may say; default requests are one that speaks of containers."""
    errors += _as_part_of(LIMIT_RANGE.validate, {"limits": spec.get("limits") or []}, "spec.")
    for resource, amount in (spec.get("defaultRequests") or {}).items():
        here = f"spec.defaultRequests[{resource}]"
        check_container_resource(errors, here, resource)
        check_amount(errors, here, resource, amount)


def _as_part_of(rules: Callable[[Document], Sequence[FieldError]], spec: Part, path: str) -> list[FieldError]:
    """What ``rules`` of another kind have against this ``spec``, at ``path`` of ours."""
    found = rules({"metadata": {"name": "x", "namespace": "x"}, "spec": dict(spec)})
    return [replace(error, path=path + error.path.removeprefix("spec.")) for error in found]


def _check_placement(errors: Errors, pools: Part) -> None:
    errors += label_errors("spec.nodePools.selector", pools.get("selector"))
    check_tolerations(errors, "spec.nodePools.tolerations", pools.get("tolerations") or ())


def _check_patterns(errors: Errors, path: str, patterns: Sequence[str]) -> None:
    for index, pattern in enumerate(patterns):
        if not _PATTERN.fullmatch(pattern):
            errors.append(invalid(f"{path}[{index}]", pattern, PATTERN_MESSAGE))


def _check_allowed(errors: Errors, path: str, policy: Part) -> None:
    _check_patterns(errors, f"{path}.allowed", policy.get("allowed") or ())
    if default := policy.get("default"):
        check_name(errors, f"{path}.default", default, names.dns_subdomain)


def _check_services(errors: Errors, policy: Part) -> None:
    for index, each in enumerate(policy.get("allowed") or ()):
        if each not in SERVICE_TYPES:
            errors.append(not_supported(f"spec.serviceTypes.allowed[{index}]", each, SERVICE_TYPES))
    for index, network in enumerate(policy.get("externalIPs") or ()):
        try:
            ipaddress.ip_network(network)
        except ValueError:
            detail = "must be a network in CIDR notation (e.g. 203.0.113.0/28)"
            errors.append(invalid(f"spec.serviceTypes.externalIPs[{index}]", network, detail))


def _check_levels(errors: Errors, levels: Part) -> None:
    for mode in ("enforce", "warn", "audit"):
        level = levels.get(mode)
        if level and level not in LEVELS:
            errors.append(not_supported(f"spec.podSecurity.{mode}", level, LEVELS))


def _check_deletion(errors: Errors, deletion: Part) -> None:
    days = deletion.get("keepDays", 0)
    if not 0 <= days <= KEEP_DAYS:
        errors.append(invalid("spec.deletion.keepDays", days, f"must be between 0 and {KEEP_DAYS}, inclusive"))
    workloads = deletion.get("workloads", "Keep")
    if workloads not in WORKLOADS:
        errors.append(not_supported("spec.deletion.workloads", workloads, WORKLOADS))
