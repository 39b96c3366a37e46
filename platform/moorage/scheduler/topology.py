"""Where other pods decide: affinity and anti-affinity between pods, topology spread constraints.

Source: "Inter-pod affinity and anti-affinity", "Pod Topology Spread Constraints"; Kubernetes' plugins interpodaffinity and
podtopologyspread. Pods with such terms are few, so this walks over pods where the rest of the scheduler works on arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moorage.resources import label_selector
from moorage.scheduler.nodetable import NodeTable
from moorage.scheduler.podinfo import Profile

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"
SPREAD = "node(s) didn't match pod topology spread constraints"
SPREAD_LABEL = "node(s) didn't match pod topology spread constraints (missing required label)"

Mask = NDArray[np.bool_]
NamespaceLabels = Mapping[str, Mapping[str, str]]


def refusals(profile: Profile, table: NodeTable, fits: Mask, namespaces: NamespaceLabels) -> list[tuple[str, Mask]]:
    """Reasons and the rows that each of them rules out, of those that ``fits`` leaves."""
    found = []
    existing = _existing_anti_affinity(profile, table, namespaces)
    if existing is not None:
        found.append((EXISTING, existing))
    for term in profile.anti_affinity:
        counts = _counts(term, profile, table, namespaces)
        found.append((ANTI_AFFINITY, _by_domain(term, table, lambda domain, counts=counts: counts[domain] > 0)))
    for term in profile.affinity:
        counts = _counts(term, profile, table, namespaces)
        # The first pod of a group that wants to be among its own kind must be able to start somewhere.
        if not counts and _matches(term, profile, profile, namespaces):
            found.append((AFFINITY, _by_domain(term, table, lambda domain: domain == "")))
        else:
            found.append((AFFINITY, _by_domain(term, table, lambda domain, counts=counts: counts[domain] == 0)))
    for constraint in profile.spread:
        if constraint.get("whenUnsatisfiable") == "DoNotSchedule":
            found += _spread_refusals(constraint, profile, table, fits)
    return found


def preference(profile: Profile, table: NodeTable, namespaces: NamespaceLabels) -> NDArray[np.float64]:
    """For each row the weights of preferred terms that hold there, minus those of anti-affinity and of uneven spread."""
    score = np.zeros(len(table.rows))
    for sign, entries in ((1, profile.preferred_affinity), (-1, profile.preferred_anti_affinity)):
        for entry in entries:
            term, weight = entry.get("podAffinityTerm") or {}, float(entry.get("weight") or 0)
            counts = _counts(term, profile, table, namespaces)
            score += sign * weight * _domain_counts(term.get("topologyKey", ""), table, counts)
    for constraint in profile.spread:
        if constraint.get("whenUnsatisfiable") != "DoNotSchedule":
            key = constraint["topologyKey"]
            score -= _domain_counts(key, table, _spread_counts(constraint, profile, table))
    return score


def has_preference(profile: Profile) -> bool:
    """Whether ``preference`` has anything to say."""
    return bool(profile.preferred_affinity or profile.preferred_anti_affinity or profile.spread)


def _matches(term: Mapping[str, Any], of: Profile, other: Profile, namespaces: NamespaceLabels) -> bool:
    """Whether a term of a pod ``of`` speaks about the pod ``other``."""
    named = term.get("namespaces") or ()
    selector = term.get("namespaceSelector")
    if named or selector is not None:
        by_label = selector is not None and label_selector.matches(selector, namespaces.get(other.namespace))
        if other.namespace not in named and not by_label:
            return False
    elif other.namespace != of.namespace:
        return False
    return label_selector.matches(term.get("labelSelector"), other.labels)


def _counts(term: Mapping[str, Any], profile: Profile, table: NodeTable, namespaces: NamespaceLabels) -> Counter[str]:
    """Pods that a term speaks about, by domain of its topology key."""
    key = term.get("topologyKey", "")
    found: Counter[str] = Counter()
    for index, pod in table.placed():
        domain = table.rows[index].labels.get(key, "")
        if domain and _matches(term, profile, pod.profile, namespaces):
            found[domain] += 1
    return found


def _existing_anti_affinity(profile: Profile, table: NodeTable, namespaces: NamespaceLabels) -> Mask | None:
    """Rows in a domain where a pod runs that does not want this one near it."""
    mask = None
    for index, pod in table.anti_affine.values():
        for term in pod.profile.anti_affinity:
            if _matches(term, pod.profile, profile, namespaces):
                key = term.get("topologyKey", "")
                home = table.rows[index].labels.get(key)
                rows = _by_domain(term, table, lambda domain, home=home: bool(home) and domain == home)
                mask = rows if mask is None else mask | rows
    return mask


def _by_domain(term: Mapping[str, Any], table: NodeTable, refuse: Any) -> Mask:
    key = term.get("topologyKey", "")
    return np.fromiter((bool(refuse(row.labels.get(key, ""))) for row in table.rows), bool, len(table.rows))


def _domain_counts(key: str, table: NodeTable, counts: Mapping[str, int]) -> NDArray[np.float64]:
    return np.fromiter((counts.get(row.labels.get(key, ""), 0) for row in table.rows), float, len(table.rows))


def _spread_counts(constraint: Mapping[str, Any], profile: Profile, table: NodeTable) -> Counter[str]:
    key = constraint["topologyKey"]
    found: Counter[str] = Counter()
    for index, pod in table.placed():
        domain = table.rows[index].labels.get(key, "")
        same = pod.profile.namespace == profile.namespace
        if domain and same and label_selector.matches(constraint.get("labelSelector"), pod.profile.labels):
            found[domain] += 1
    return found


def _spread_refusals(
    constraint: Mapping[str, Any], profile: Profile, table: NodeTable, fits: Mask
) -> list[tuple[str, Mask]]:
    key, skew = constraint["topologyKey"], int(constraint.get("maxSkew") or 1)
    counts = _spread_counts(constraint, profile, table)
    eligible = {row.labels[key] for row, fit in zip(table.rows, fits, strict=True) if fit and row.labels.get(key)}
    least = min((counts[domain] for domain in eligible), default=0)
    if len(eligible) < int(constraint.get("minDomains") or 1):
        least = 0
    own = int(label_selector.matches(constraint.get("labelSelector"), profile.labels))
    unlabelled = _by_domain({"topologyKey": key}, table, lambda domain: not domain)
    skewed = _by_domain(
        {"topologyKey": key}, table, lambda domain: bool(domain) and counts[domain] + own - least > skew
    )
    return [(SPREAD_LABEL, unlabelled), (SPREAD, skewed)]
