"""RBAC word by word, as the documentation of Kubernetes tells it: slow, and obviously right. Decisions are compared with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moorage_tenants.authorisation.rules import Rule

Document = Mapping[str, Any]


def rule_allows(rule: Rule, verb: str, group: str, resource: str, subresource: str, name: str) -> bool:
    """Whether one rule grants a verb on a resource."""
    if verb not in rule.verbs and "*" not in rule.verbs:
        return False
    if group not in rule.groups and "*" not in rule.groups:
        return False
    full = resource + ("/" + subresource if subresource else "")
    hit = False
    for each in rule.resources:
        if each in {"*", full} or (subresource and each == "*/" + subresource):
            hit = True
    return hit and (not rule.names or name in rule.names)


def rule_allows_path(rule: Rule, verb: str, path: str) -> bool:
    """Whether one rule grants a method on a path."""
    if verb not in rule.verbs and "*" not in rule.verbs:
        return False
    return any(url == path or (url.endswith("*") and path.startswith(url.rstrip("*"))) for url in rule.urls)


def covers(owned: Sequence[Rule], atom: Rule) -> bool:
    """Whether one of the rules that somebody holds covers a rule with one verb and one resource or path."""
    for rule in owned:
        if atom.verbs[0] not in rule.verbs and "*" not in rule.verbs:
            continue
        if atom.urls:
            url = atom.urls[0]
            if any(each == url or (each.endswith("*") and url.startswith(each.rstrip("*"))) for each in rule.urls):
                return True
            continue
        if atom.groups[0] not in rule.groups and "*" not in rule.groups:
            continue
        wanted = atom.resources[0]
        parts = wanted.split("/", 1)
        same = "*" in rule.resources or wanted in rule.resources
        if not same and not (len(parts) == 2 and "*/" + parts[1] in rule.resources):
            continue
        if rule.names and not (atom.names and atom.names[0] in rule.names):
            continue
        return True
    return False


@dataclass
class World:
    """Stored objects by kind; ``allows`` walks all of them for every question."""

    cluster_roles: list[Document] = field(default_factory=list)
    roles: list[Document] = field(default_factory=list)
    bindings: list[Document] = field(default_factory=list)

    def allows(self, user: str, groups: Iterable[str], namespace: str, *asked: str) -> bool:
        """Whether a verb, group, resource, subresource and name are granted."""
        return any(rule_allows(rule, *asked) for rule in self.rules(user, groups, namespace))

    def rules(self, user: str, groups: Iterable[str], namespace: str) -> list[Rule]:
        """All rules that somebody holds in a namespace."""
        found: list[Rule] = []
        for binding in self.bindings:
            home = binding["metadata"].get("namespace", "")
            if home not in {"", namespace}:
                continue
            if any(_means(subject, user, set(groups), home) for subject in binding["subjects"]):
                found += self._of(binding["roleRef"], home)
        return found

    def _of(self, reference: Document, namespace: str) -> list[Rule]:
        if reference["kind"] == "Role":
            found = [each for each in self.roles if _name(each) == (namespace, reference["name"])]
        else:
            found = [each for each in self.cluster_roles if _name(each) == ("", reference["name"])]
        return [rule for role in found for rule in self._rules_of(role, set())]

    def _rules_of(self, role: Document, seen: set[str]) -> list[Rule]:
        selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
        if not selectors:
            return [_rule(rule) for rule in role.get("rules") or []]
        found: list[Rule] = []
        for other in self.cluster_roles:
            name = other["metadata"]["name"]
            labels = other["metadata"].get("labels") or {}
            if name in seen or name == role["metadata"]["name"]:
                continue
            if any(all(labels.get(k) == v for k, v in each["matchLabels"].items()) for each in selectors):
                found += self._rules_of(other, {*seen, role["metadata"]["name"]})
        return found


def _name(document: Document) -> tuple[str, str]:
    return document["metadata"].get("namespace", ""), document["metadata"]["name"]


def _rule(rule: Document) -> Rule:
    return Rule(
        tuple(rule.get("verbs", ())),
        tuple(rule.get("apiGroups", ())),
        tuple(rule.get("resources", ())),
        tuple(rule.get("resourceNames", ())),
        tuple(rule.get("nonResourceURLs", ())),
    )


def _means(subject: Document, user: str, groups: set[str], namespace: str) -> bool:
    if subject["kind"] == "User":
        return bool(subject["name"] == user)
    if subject["kind"] == "Group":
        return subject["name"] in groups
    home = subject.get("namespace") or namespace
    return bool(home) and user == f"system:serviceaccount:{home}:{subject['name']}"
