"""Bindings by their subjects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from moorage.store.contracts import Entry
from moorage_tenants.authorisation.subjects import key_of

_Key = tuple[str, str]
RoleKey = tuple[str, str]
"""Namespace of a Role ("" for a ClusterRole), and its name."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A RoleBinding, or a ClusterRoleBinding where ``namespace`` is "". ``role_namespace`` is "" for a ClusterRole."""

    namespace: str
    name: str
    role_namespace: str
    role: str
    subjects: tuple[str, ...]

    @staticmethod
    def of(entry: Entry) -> Binding:
        """From a stored binding."""
        document = entry.document()
        namespace = entry.key.namespace
        reference = document.get("roleRef") or {}
        subjects = (key_of(subject, namespace) for subject in document.get("subjects") or ())
        return Binding(
            namespace,
            entry.key.name,
            namespace if reference.get("kind") == "Role" else "",
            reference.get("name", ""),
            tuple(dict.fromkeys(key for key in subjects if key is not None)),
        )


class BindingBook:
    """All bindings: subject -> namespace ("" for the cluster) -> binding, and -> role, which is all that a decision asks for:
    people have few roles, however many bindings they have them by.
    """

    def __init__(self) -> None:
        self._all: dict[_Key, Binding] = {}
        self._of: dict[str, dict[str, dict[_Key, Binding]]] = {}
        self._roles: dict[str, dict[str, dict[RoleKey, int]]] = {}
        self.changes = 0
        """Grows with every change of who is bound to what."""

    def of(self, subjects: Iterable[str], namespace: str) -> Iterator[tuple[str, Binding]]:
        """(subject, binding) of everything that is bound to one of ``subjects`` in ``namespace`` itself ("": cluster-wide)."""
        for subject in subjects:
            spaces = self._of.get(subject)
            if spaces is not None:
                for binding in spaces.get(namespace, {}).values():
                    yield subject, binding

    def roles(self, subjects: Iterable[str], namespace: str, found: set[RoleKey]) -> None:
        """Add to ``found`` every role that one of ``subjects`` is bound to in ``namespace`` itself ("": cluster-wide)."""
        for subject in subjects:
            spaces = self._roles.get(subject)
            if spaces is not None:
                here = spaces.get(namespace)
                if here is not None:
                    found.update(here)

    def put(self, entry: Entry) -> None:
        """A binding is there, or changed."""
        binding = Binding.of(entry)
        key = binding.namespace, binding.name
        if self._all.get(key) == binding:
            return
        self._forget(key)
        self.changes += 1
        self._all[key] = binding
        for subject in binding.subjects:
            self._of.setdefault(subject, {}).setdefault(binding.namespace, {})[key] = binding
            counts = self._roles.setdefault(subject, {}).setdefault(binding.namespace, {})
            role = binding.role_namespace, binding.role
            counts[role] = counts.get(role, 0) + 1

    def drop(self, entry: Entry) -> None:
        """A binding went."""
        self._forget((entry.key.namespace, entry.key.name))

    def clear_local(self) -> None:
        """Begin anew with RoleBindings."""
        for key in [key for key in self._all if key[0]]:
            self._forget(key)

    def clear_cluster(self) -> None:
        """Begin anew with ClusterRoleBindings."""
        for key in [key for key in self._all if not key[0]]:
            self._forget(key)

    def _forget(self, key: _Key) -> None:
        binding = self._all.pop(key, None)
        if binding is None:
            return
        self.changes += 1
        role = binding.role_namespace, binding.role
        for subject in binding.subjects:
            here, counts = self._of[subject][binding.namespace], self._roles[subject][binding.namespace]
            del here[key]
            counts[role] -= 1
            if not counts[role]:
                del counts[role]
            if not here:
                del self._of[subject][binding.namespace], self._roles[subject][binding.namespace]
                if not self._of[subject]:
                    del self._of[subject], self._roles[subject]
