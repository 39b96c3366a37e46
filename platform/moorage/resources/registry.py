"""The kinds that are served. Changes at run time (custom resources will), so readers hold the registry, not its kinds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from moorage.resources.kind import GroupVersionKind, Kind


class Registry:
    """Kinds by (group, version, plural) and by (group, version, kind). ``generation`` grows with every change."""

    def __init__(self, kinds: Iterable[Kind] = ()) -> None:
        self._by_plural: dict[tuple[str, str, str], Kind] = {}
        self._by_kind: dict[GroupVersionKind, Kind] = {}
        self.generation = 0
        for kind in kinds:
            self.add(kind)

    def add(self, kind: Kind) -> None:
        """Serve ``kind``; one with the same names is replaced."""
        self._by_plural[kind.group, kind.version, kind.plural] = kind
        self._by_kind[kind.gvk] = kind
        self.generation += 1

    def remove(self, kind: Kind) -> None:
        """Stop serving ``kind``. Raises KeyError where it is not served."""
        del self._by_plural[kind.group, kind.version, kind.plural]
        del self._by_kind[kind.gvk]
        self.generation += 1

    def by_plural(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind behind ``/apis/GROUP/VERSION/.../PLURAL``."""
        return self._by_plural.get((group, version, plural))

    def by_kind(self, gvk: GroupVersionKind) -> Kind | None:
        """The kind that a document's ``apiVersion`` and ``kind`` name."""
        return self._by_kind.get(gvk)

    def __iter__(self) -> Iterator[Kind]:
        return iter(tuple(self._by_plural.values()))
