"""Who depends on whom, by uid.

Source: Kubernetes' ``graph_builder.go``. An owner that is only known from a reference to it is a *virtual* node: it may not
exist, which only a live read can tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from moorage.client.objects import Document, ObjectKey, is_deleting, key_of, owner_references, uid_of
from moorage.client.resource import Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class Owner(NamedTuple):
    """An owner reference. ``blocks``: the owner's foreground deletion waits for this dependent."""

    api_version: str
    kind: str
    name: str
    uid: str
    blocks: bool


@dataclass(eq=False, slots=True)
class Node:
    """An object, as far as garbage collection cares. ``resource`` is None where only references tell of it."""

    uid: str
    key: ObjectKey
    api_version: str
    kind: str
    resource: Resource | None = None
    owners: tuple[Owner, ...] = ()
    deleting: bool = False
    finalizers: frozenset[str] = frozenset()
    dependents: set[Node] = field(default_factory=set)

    @property
    def virtual(self) -> bool:
        """Never observed, only referred to."""
        return self.resource is None

    @property
    def foreground(self) -> bool:
        """Being deleted, but only after its dependents."""
        return self.deleting and FOREGROUND in self.finalizers

    @property
    def orphaning(self) -> bool:
        """Being deleted, but only after it has let go of its dependents."""
        return self.deleting and ORPHAN in self.finalizers

    def own(self) -> list[Node]:
        """Dependents that it can own: all for a kind of the cluster, else those of its namespace. Anybody can name anybody's
        uid; what another namespace's objects claim holds nothing up here.
        """
        namespace = self.key.namespace
        return [node for node in self.dependents if not namespace or node.key.namespace == namespace]

    def blocking(self) -> list[Node]:
        """Dependents that its foreground deletion waits for."""
        return [node for node in self.own() if any(owner.uid == self.uid and owner.blocks for owner in node.owners)]


class Graph:
    """All objects that own or are owned, and all others too: who will own is not known beforehand."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(list(self._nodes.values()))

    def get(self, uid: str) -> Node | None:
        """The node of a uid."""
        return self._nodes.get(uid)

    def put(self, resource: Resource, document: Document) -> set[str]:
        """Take in an object as it was observed. Returns the uids that must be looked at because of it."""
        uid = uid_of(document)
        node = self._nodes.get(uid)
        if node is None:
            node = Node(uid, key_of(document), resource.api_version, resource.kind)
            self._nodes[uid] = node
        was_virtual = node.virtual
        node.key = key_of(document)
        node.api_version, node.kind, node.resource = resource.api_version, resource.kind, resource
        node.deleting = is_deleting(document)
        node.finalizers = frozenset(document["metadata"].get("finalizers") or ())
        touched = self._relink(node, _owners(document))
        if node.foreground or node.orphaning:
            touched.add(uid)
        if node.foreground or was_virtual:
            touched.update(dependent.uid for dependent in node.dependents)
        return touched

    def remove(self, uid: str) -> set[str]:
        """Forget an object that is gone. Returns its dependents, and those of its owners that wait for dependents to go."""
        node = self._nodes.pop(uid, None)
        if node is None:
            return set()
        touched = {dependent.uid for dependent in node.dependents}
        for owner in node.owners:
            touched |= self._unlink(node, owner)
        return touched

    def observed(self, node: Node, owner: Owner) -> Node | None:
        """The owner as it was observed, where the reference names it rightly (kind, name, namespace); None otherwise."""
        parent = self._nodes.get(owner.uid)
        if parent is None or parent.resource is None:
            return None
        named = (parent.api_version, parent.kind, parent.key.name) == (owner.api_version, owner.kind, owner.name)
        return parent if named and parent.key.namespace in ("", node.key.namespace) else None

    def _relink(self, node: Node, owners: tuple[Owner, ...]) -> set[str]:
        """Follow a change of owner references. Returns what it touches: the node where an owner is not known to stay, and
        owners that no longer need wait for it.
        """
        touched: set[str] = set()
        now = {owner.uid: owner for owner in owners}
        for before in node.owners:
            after = now.get(before.uid)
            if after is None:
                touched |= self._unlink(node, before)
            elif before.blocks and not after.blocks and self._nodes[before.uid].foreground:
                touched.add(before.uid)
        node.owners = owners
        for owner in owners:
            parent = self._nodes.get(owner.uid)
            if parent is None:
                # The namespace is a guess (an owner may be of the cluster): only a live read settles it.
                parent = Node(owner.uid, ObjectKey(node.key.namespace, owner.name), owner.api_version, owner.kind)
                self._nodes[owner.uid] = parent
            parent.dependents.add(node)
            known = self.observed(node, owner)
            if known is None or known.foreground:
                touched.add(node.uid)
            if parent.foreground and node.deleting:
                touched.add(parent.uid)
        return touched

    def _unlink(self, node: Node, owner: Owner) -> set[str]:
        parent = self._nodes.get(owner.uid)
        if parent is None:
            return set()
        parent.dependents.discard(node)
        if parent.virtual and not parent.dependents:
            del self._nodes[parent.uid]
        return {parent.uid} if parent.foreground else set()


def _owners(document: Document) -> tuple[Owner, ...]:
    return tuple(
        Owner(
            str(reference.get("apiVersion") or ""),
            str(reference.get("kind") or ""),
            str(reference.get("name") or ""),
            str(reference.get("uid") or ""),
            bool(reference.get("blockOwnerDeletion")),
        )
        for reference in owner_references(document)
    )
