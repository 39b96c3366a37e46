"""The wanted contents of the table as a value, and the batch that leads from one value to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from moorage_agent.network.nft.batch import Batch, Element

Rule = tuple[bytes, ...]


class BaseChain(NamedTuple):
    """A chain that the kernel runs. ``kind`` is ``nat`` or ``filter``."""

    kind: str
    hook: int
    priority: int


class SetSpec(NamedTuple):
    """The shape of a set. It never changes under one name."""

    fields: tuple[int, ...]
    flags: int = 0
    data_size: int = 0
    verdicts: bool = False
    seconds: int = 0


Elements = Mapping[bytes, Element]


@dataclass(slots=True)
class Ruleset:
    """Chains with their rules, sets with their elements. A set without an entry in ``elements`` is the kernel's to fill."""

    bases: dict[str, BaseChain] = field(default_factory=dict)
    chains: dict[str, tuple[Rule, ...]] = field(default_factory=dict)
    sets: dict[str, SetSpec] = field(default_factory=dict)
    elements: dict[str, dict[bytes, Element]] = field(default_factory=dict)

    def put(self, name: str, element: Element) -> None:
        """An element of a set; the first of two with one key stays."""
        self.elements.setdefault(name, {}).setdefault(element.key, element)

    def include(self, other: Ruleset) -> None:
        """All of ``other`` too; elements of a set that both have are joined."""
        self.bases.update(other.bases)
        self.chains.update(other.chains)
        self.sets.update(other.sets)
        for name, elements in other.elements.items():
            mine = self.elements.get(name)
            if mine is None:
                self.elements[name] = dict(elements)
            else:
                for key, element in elements.items():
                    mine.setdefault(key, element)


class Size(NamedTuple):
    """How much there is: rules, and elements of the sets that somebody would miss at once, by their names."""

    rules: int
    elements: Mapping[str, int]


def size(rules: Ruleset) -> Size:
    """What can be counted in the kernel: maps to verdicts, which all Services and policies are led to by."""
    maps = {name: len(rules.elements.get(name, ())) for name, spec in rules.sets.items() if spec.verdicts}
    return Size(sum(map(len, rules.chains.values())), maps)


def merged(parts: Iterable[Ruleset]) -> Ruleset:
    """All parts as one."""
    result = Ruleset()
    for part in parts:
        result.include(part)
    return result


def whole(table: str, new: Ruleset) -> Batch:
    """Load ``new`` into a fresh table, whatever there was."""
    batch = Batch(table)
    batch.replace_table()
    _change(batch, Ruleset(), new)
    return batch


def difference(table: str, old: Ruleset, new: Ruleset) -> Batch:
    """Lead from ``old``, which is loaded, to ``new``."""
    batch = Batch(table)
    _change(batch, old, new)
    return batch


def _change(batch: Batch, old: Ruleset, new: Ruleset) -> None:
    """First what others need, then what needs it; in the end what nobody needs any more."""
    for name, spec in new.sets.items():
        if old.sets.get(name) != spec:
            assert name not in old.sets, f"the set {name} changed its shape"
            batch.add_set(
                name,
                spec.fields,
                flags=spec.flags,
                data_size=spec.data_size,
                verdicts=spec.verdicts,
                seconds=spec.seconds,
            )
    for name, base in new.bases.items():
        if name not in old.bases:
            batch.add_base_chain(name, *base)
    for name in new.chains:
        if name not in old.chains and name not in new.bases:
            batch.add_chain(name)
    for name in old.chains:
        if name in new.chains and old.chains[name] != new.chains[name]:
            batch.flush_chain(name)
    for name, elements in new.elements.items():
        _change_elements(batch, name, old.elements.get(name, {}), elements)
    for name in new.chains:
        if old.chains.get(name) != new.chains[name]:
            for rule in new.chains[name]:
                batch.add_rule(name, rule)
    _remove(batch, old, new)


def _change_elements(batch: Batch, name: str, old: Elements, new: Elements) -> None:
    if old is new:
        return
    gone = [element for key, element in old.items() if new.get(key) != element]
    added = [element for key, element in new.items() if old.get(key) != element]
    if gone:
        batch.delete_elements(name, [Element(one.key, b"", one.end, one.flags) for one in gone])
    if added:
        batch.add_elements(name, added)


def _remove(batch: Batch, old: Ruleset, new: Ruleset) -> None:
    gone = [name for name in old.chains if name not in new.chains]
    for name in gone:
        batch.flush_chain(name)
    unused = [name for name in old.sets if name not in new.sets]
    for name in unused:
        batch.delete_set(name)
    for name in gone:
        batch.delete_chain(name)
