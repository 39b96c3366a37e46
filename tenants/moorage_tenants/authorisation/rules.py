"""Policy rules as values: reading them, whether some cover others, and how a refusal shows those that are missing.

Source: ``component-helpers/auth/rbac/validation/policy_comparator.go`` and ``pkg/registry/rbac/validation/policy_compact.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

EVERY = "*"


class Rule(NamedTuple):
    """One PolicyRule. No ``names`` means every name; ``urls`` exclude all of ``groups``, ``resources`` and ``names``."""

    verbs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    def document(self) -> dict[str, list[str]]:
        """The rule as a role's ``rules`` hold it."""
        fields = {
            "verbs": self.verbs,
            "apiGroups": self.groups,
            "resources": self.resources,
            "resourceNames": self.names,
            "nonResourceURLs": self.urls,
        }
        return {name: list(values) for name, values in fields.items() if values}


FULL_AUTHORITY = (Rule((EVERY,), (EVERY,), (EVERY,)), Rule((EVERY,), urls=(EVERY,)))
"""All that can be given."""


def read_rule(rule: Mapping[str, Any]) -> Rule:
    """A rule of a stored role."""
    return Rule(
        tuple(rule.get("verbs") or ()),
        tuple(rule.get("apiGroups") or ()),
        tuple(rule.get("resources") or ()),
        tuple(rule.get("resourceNames") or ()),
        tuple(rule.get("nonResourceURLs") or ()),
    )


def read_rules(role: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules of a stored Role or ClusterRole."""
    return tuple(read_rule(rule) for rule in role.get("rules") or ())


def atoms(rules: Iterable[Rule]) -> Iterator[Rule]:
    """The same rights as rules with one verb and one resource (or URL), and one name at most."""
    for rule in rules:
        for verb in rule.verbs:
            for url in rule.urls:
                yield Rule((verb,), urls=(url,))
            for group in rule.groups:
                for resource in rule.resources:
                    atom = Rule((verb,), (group,), (resource,))
                    yield from [atom._replace(names=(name,)) for name in rule.names] or [atom]


def compact(rules: Sequence[Rule]) -> list[Rule]:
    """Atoms joined again: those that differ in their verbs only."""
    joined: dict[Rule, list[str]] = {}
    for rule in rules:
        verbs = joined.setdefault(rule._replace(verbs=()), [])
        verbs.extend(verb for verb in rule.verbs if verb not in verbs)
    return [rule._replace(verbs=tuple(verbs)) for rule, verbs in joined.items()]


def shown(rule: Rule) -> str:
    """``{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}``, as Kubernetes prints a rule."""
    parts = (
        ("APIGroups", rule.groups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.urls),
        ("ResourceNames", rule.names),
        ("Verbs", rule.verbs),
    )
    return "{" + ", ".join(f"{name}:{_quoted(values)}" for name, values in parts if values) + "}"


def _quoted(values: Iterable[str]) -> str:
    return "[" + " ".join(orjson.dumps(value).decode() for value in values) + "]"
