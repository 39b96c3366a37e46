"""Which priority level and which flow a request is in, by the FlowSchemas: the first that matches decides.

Source: KEP-1040; apiserver/pkg/util/flowcontrol/rule.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from moorage.api.contracts import Identity
from moorage.resources.kind import Document

_ACCOUNT = "system:serviceaccount:"
ALL = "*"


class Asked(NamedTuple):
    """What a request asks for, as far as it decides where it runs. ``path`` is set for non-resource requests only."""

    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    path: str


Test = Callable[[Identity, Asked], bool]


@dataclass(frozen=True, slots=True)
class Schema:
    """A FlowSchema, compiled."""

    name: str
    uid: str
    level: str
    precedence: int
    distinguisher: str
    tests: tuple[tuple[Test, Test], ...]

    def matches(self, identity: Identity, asked: Asked) -> bool:
        """Whether one of its rules is about this request."""
        return any(who(identity, asked) and what(identity, asked) for who, what in self.tests)

    def flow(self, identity: Identity, asked: Asked) -> str:
        """What tells flows of this schema apart."""
        if self.distinguisher == "ByUser":
            return identity.name
        return asked.namespace if self.distinguisher == "ByNamespace" else ""


def compiled(document: Document) -> Schema:
    """A schema from its object."""
    metadata, spec = document["metadata"], document.get("spec") or {}
    return Schema(
        metadata["name"],
        metadata.get("uid", ""),
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        spec.get("matchingPrecedence", 0),
        (spec.get("distinguisherMethod") or {}).get("type", ""),
        tuple((_subjects(rule.get("subjects") or ()), _targets(rule)) for rule in spec.get("rules") or ()),
    )


def _subjects(subjects: Sequence[Mapping[str, Any]]) -> Test:
    users: set[str] = set()
    groups: set[str] = set()
    namespaces: list[str] = []
    for subject in subjects:
        if subject["kind"] == "User":
            users.add(subject["user"]["name"])
        elif subject["kind"] == "Group":
            groups.add(subject["group"]["name"])
        else:
            account = subject["serviceAccount"]
            if account["name"] == ALL:
                namespaces.append(f"{_ACCOUNT}{account['namespace']}:")
            else:
                users.add(f"{_ACCOUNT}{account['namespace']}:{account['name']}")
    prefixes = tuple(namespaces)

    def test(identity: Identity, _asked: Asked) -> bool:
        if ALL in users or ALL in groups or identity.name in users or not groups.isdisjoint(identity.groups):
            return True
        return identity.name.startswith(prefixes)

    return test


def _targets(rule: Mapping[str, Any]) -> Test:
    resources = [_resource(part) for part in rule.get("resourceRules") or ()]
    paths = [_path(part) for part in rule.get("nonResourceRules") or ()]

    def test(identity: Identity, asked: Asked) -> bool:
        return any(part(identity, asked) for part in (paths if asked.path else resources))

    return test


def _resource(part: Mapping[str, Any]) -> Test:
    verbs, groups = frozenset(part.get("verbs") or ()), frozenset(part.get("apiGroups") or ())
    resources = frozenset(part.get("resources") or ())
    namespaces, cluster = frozenset(part.get("namespaces") or ()), bool(part.get("clusterScope"))

    def test(_identity: Identity, asked: Asked) -> bool:
        name = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
        return (
            (ALL in verbs or asked.verb in verbs)
            and (ALL in groups or asked.group in groups)
            and (ALL in resources or name in resources)
            and ((ALL in namespaces or asked.namespace in namespaces) if asked.namespace else cluster)
        )

    return test


def _path(part: Mapping[str, Any]) -> Test:
    verbs, urls = frozenset(part.get("verbs") or ()), tuple(part.get("nonResourceURLs") or ())
    exact = frozenset(urls)
    prefixes = tuple(url[:-1] for url in urls if url.endswith("/*"))

    def test(_identity: Identity, asked: Asked) -> bool:
        if ALL not in verbs and asked.verb not in verbs:
            return False
        return ALL in exact or asked.path in exact or asked.path.startswith(prefixes)

    return test
