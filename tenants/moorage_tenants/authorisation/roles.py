"""Roles and ClusterRoles as the index keeps them, aggregation included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moorage.resources.label_selector import matches
from moorage.store.contracts import Entry
from moorage_tenants.authorisation.permissions import Permissions
from moorage_tenants.authorisation.rules import Rule, read_rules

NOTHING = Permissions(())


@dataclass(frozen=True, slots=True)
class ClusterRole:
    """``selectors``: whose rules make up this role's; empty for a role with rules of its own."""

    name: str
    labels: Mapping[str, str]
    rules: tuple[Rule, ...]
    selectors: tuple[Mapping[str, Any], ...]

    @staticmethod
    def of(document: Mapping[str, Any]) -> ClusterRole:
        """From a stored ClusterRole."""
        metadata: Mapping[str, Any] = document["metadata"]
        aggregation: Mapping[str, Any] = document.get("aggregationRule") or {}
        return ClusterRole(
            metadata["name"],
            metadata.get("labels") or {},
            read_rules(document),
            tuple(aggregation.get("clusterRoleSelectors") or ()),
        )


def aggregated(role: ClusterRole, others: Iterable[ClusterRole]) -> tuple[Rule, ...]:
    """The rules of ``role``: its own, or those of all roles that its selectors find (through aggregated ones to those that
    have rules of their own), each rule once, in the order of selectors and names.

    Source: ``pkg/controller/clusterroleaggregation`` (v1.36), whose order this keeps.
    """
    if not role.selectors:
        return role.rules
    everybody = sorted(others, key=lambda each: each.name)
    found: dict[Rule, None] = {}
    for rule in _collected(role, everybody, {role.name}):
        found.setdefault(rule)
    return tuple(found)


def _collected(role: ClusterRole, everybody: Sequence[ClusterRole], seen: set[str]) -> Iterator[Rule]:
    for selector in role.selectors:
        for each in everybody:
            if each.name in seen or not matches(selector, each.labels):
                continue
            if each.selectors:
                yield from _collected(each, everybody, {*seen, each.name})
            else:
                yield from each.rules


class RoleBook:
    """All roles, compiled when first asked for."""

    def __init__(self) -> None:
        self._cluster: dict[str, ClusterRole] = {}
        self._local: dict[tuple[str, str], tuple[Rule, ...]] = {}
        self._compiled: dict[tuple[str, str], Permissions] = {}
        self._aggregated: dict[str, tuple[Rule, ...]] = {}
        self.changes = 0
        """Grows with every change of what a role allows."""

    def rules(self, namespace: str, name: str) -> tuple[Rule, ...] | None:
        """Rules of a Role, or of a ClusterRole where ``namespace`` is ""; None where there is no such role."""
        if namespace:
            return self._local.get((namespace, name))
        role = self._cluster.get(name)
        if role is None:
            return None
        if not role.selectors:
            return role.rules
        rules = self._aggregated.get(name)
        if rules is None:
            rules = self._aggregated[name] = aggregated(role, self._cluster.values())
        return rules

    def permissions(self, namespace: str, name: str) -> Permissions:
        """The same compiled; nothing where there is no such role."""
        key = (namespace, name)
        compiled = self._compiled.get(key)
        if compiled is None:
            rules = self.rules(namespace, name)
            compiled = self._compiled[key] = NOTHING if rules is None else Permissions(rules)
        return compiled

    def put_cluster(self, entry: Entry) -> None:
        """A ClusterRole is there, or changed."""
        role = ClusterRole.of(entry.document())
        if self._cluster.get(role.name) != role:
            self._cluster[role.name] = role
            self._forget_cluster()

    def drop_cluster(self, entry: Entry) -> None:
        """A ClusterRole went."""
        self._cluster.pop(entry.key.name, None)
        self._forget_cluster()

    def clear_cluster(self) -> None:
        """Begin anew."""
        self._cluster.clear()
        self._forget_cluster()

    def put_local(self, entry: Entry) -> None:
        """A Role is there, or changed."""
        key = entry.key.namespace, entry.key.name
        rules = read_rules(entry.document())
        if self._local.get(key) != rules:
            self._local[key] = rules
            self._compiled.pop(key, None)
            self.changes += 1

    def drop_local(self, entry: Entry) -> None:
        """A Role went."""
        key = entry.key.namespace, entry.key.name
        self._local.pop(key, None)
        self._compiled.pop(key, None)
        self.changes += 1

    def clear_local(self) -> None:
        """Begin anew."""
        for key in self._local:
            self._compiled.pop(key, None)
        self._local.clear()
        self.changes += 1

    def _forget_cluster(self) -> None:
        """One role may be part of any other."""
        self.changes += 1
        self._aggregated.clear()
        for key in [key for key in self._compiled if not key[0]]:
            del self._compiled[key]
