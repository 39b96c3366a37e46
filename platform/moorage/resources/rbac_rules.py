"""Rules of roles and bindings. Source: ``pkg/apis/rbac/validation`` and ``pkg/apis/rbac/v1/defaults.go``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names
from moorage.resources.field_errors import invalid, not_supported, required
from moorage.resources.kind import Document, FieldError
from moorage.resources.label_selector import selector_errors
from moorage.resources.metadata import metadata_errors, metadata_update_errors

GROUP = "rbac.authorization.k8s.io"
USER, GROUP_KIND, SERVICE_ACCOUNT = "User", "Group", "ServiceAccount"

_NAMES_TEXT = {USER: "user name cannot be empty", GROUP_KIND: "group name cannot be empty"}


def role_errors(role: Document) -> list[FieldError]:
    """A Role: no rule of it is about URLs."""
    errors = metadata_errors(role, names.path_segment, namespaced=True)
    return errors + _rules_errors(role.get("rules") or (), namespaced=True)


def cluster_role_errors(role: Document) -> list[FieldError]:
    """A ClusterRole, with its aggregation."""
    errors = metadata_errors(role, names.path_segment, namespaced=False)
    errors += _rules_errors(role.get("rules") or (), namespaced=False)
    aggregation = role.get("aggregationRule")
    if aggregation is None:
        return errors
    path = "aggregationRule.clusterRoleSelectors"
    selectors = aggregation.get("clusterRoleSelectors") or ()
    if not selectors:
        errors.append(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
    for index, selector in enumerate(selectors):
        errors += selector_errors(f"{path}[{index}]", selector)
    return errors


def role_binding_errors(binding: Document) -> list[FieldError]:
    """A RoleBinding: it may refer to a Role beside it or to a ClusterRole."""
    return _binding_errors(binding, ("Role", "ClusterRole"), namespaced=True)


def cluster_role_binding_errors(binding: Document) -> list[FieldError]:
    """A ClusterRoleBinding: it refers to a ClusterRole, and its service accounts name their namespace."""
    return _binding_errors(binding, ("ClusterRole",), namespaced=False)


def binding_update_errors(new: Document, old: Document) -> Sequence[FieldError]:
    """What a binding refers to never changes: who was trusted with one role is not trusted with another."""
    errors = list(metadata_update_errors(new, old))
    if new.get("roleRef") != old.get("roleRef"):
        errors.append(invalid("roleRef", new.get("roleRef"), "cannot change roleRef"))
    return errors


def default_binding(binding: Document) -> None:
    """API groups that need not be said."""
    reference = binding.get("roleRef")
    if isinstance(reference, dict) and not reference.get("apiGroup"):
        reference["apiGroup"] = GROUP
    for subject in binding.get("subjects") or ():
        if isinstance(subject, dict) and not subject.get("apiGroup") and subject.get("kind") in (USER, GROUP_KIND):
            subject["apiGroup"] = GROUP


def _rules_errors(rules: Sequence[Mapping[str, Any]], *, namespaced: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, rule in enumerate(rules):
        errors += _rule_errors(f"rules[{index}]", rule, namespaced=namespaced)
    return errors


def _rule_errors(path: str, rule: Mapping[str, Any], *, namespaced: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    if not rule.get("verbs"):
        errors.append(required(f"{path}.verbs", "verbs must contain at least one value"))
    urls = rule.get("nonResourceURLs")
    if urls:
        if namespaced:
            detail = "namespaced rules cannot apply to non-resource URLs"
            errors.append(invalid(f"{path}.nonResourceURLs", urls, detail))
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            detail = "rules cannot apply to both regular resources and non-resource URLs"
            errors.append(invalid(f"{path}.nonResourceURLs", urls, detail))
        return errors
    if not rule.get("apiGroups"):
        errors.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        errors.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return errors


def _binding_errors(binding: Document, kinds: tuple[str, ...], *, namespaced: bool) -> list[FieldError]:
    errors = metadata_errors(binding, names.path_segment, namespaced=namespaced)
    reference: Mapping[str, Any] = binding.get("roleRef") or {}
    if reference.get("apiGroup") != GROUP:
        errors.append(not_supported("roleRef.apiGroup", reference.get("apiGroup", ""), (GROUP,)))
    if reference.get("kind") not in kinds:
        errors.append(not_supported("roleRef.kind", reference.get("kind", ""), kinds))
    name = reference.get("name", "")
    if not name:
        errors.append(required("roleRef.name"))
    elif problem := names.path_segment(name):
        errors.append(invalid("roleRef.name", name, problem))
    for index, subject in enumerate(binding.get("subjects") or ()):
        errors += _subject_errors(f"subjects[{index}]", subject, namespaced=namespaced)
    return errors


def _subject_errors(path: str, subject: Mapping[str, Any], *, namespaced: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    kind, name, group = subject.get("kind", ""), subject.get("name", ""), subject.get("apiGroup", "")
    if not name:
        errors.append(required(f"{path}.name"))
    if kind == SERVICE_ACCOUNT:
        if name and (problem := names.dns_subdomain(name)):
            errors.append(invalid(f"{path}.name", name, problem))
        if group:
            errors.append(not_supported(f"{path}.apiGroup", group, ("",)))
        if not namespaced and not subject.get("namespace"):
            errors.append(required(f"{path}.namespace"))
    elif kind in (USER, GROUP_KIND):
        if not name:
            errors.append(invalid(f"{path}.name", name, _NAMES_TEXT[kind]))
        if group != GROUP:
            errors.append(not_supported(f"{path}.apiGroup", group, (GROUP,)))
    else:
        errors.append(not_supported(f"{path}.kind", kind, (SERVICE_ACCOUNT, USER, GROUP_KIND)))
    return errors
