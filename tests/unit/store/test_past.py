"""Undoing changes gives the list as it was; pages of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from moorage.store.contracts import EventType
from moorage.store.entry import StoredChange, StoredEntry
from moorage.store.past import undo
from moorage.store.store import page
from tests.support.store import document, key

POSITIONS = st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"))


def entry(position: tuple[str, str], revision: int) -> StoredEntry:
    of = key(position[1], position[0])
    encoded = document(of, "u")
    return StoredEntry(of, "u", revision, encoded.body, encoded.offset)


def shape(entries: object) -> list[tuple[str, str, int]]:
    assert isinstance(entries, (list, tuple))
    return [(e.key.namespace, e.key.name, e.revision) for e in entries]


@given(st.lists(st.tuples(POSITIONS, st.booleans()), max_size=20), st.data())
def test_undo(steps: list[tuple[tuple[str, str], bool]], data: st.DataObject) -> None:
    objects: dict[tuple[str, str], StoredEntry] = {}
    states = [dict(objects)]
    changes = []
    for revision, (position, remove) in enumerate(steps, start=2):
        previous = objects.get(position)
        new = entry(position, revision)
        if remove and previous is not None:
            del objects[position]
            changes.append(StoredChange(EventType.DELETED, new, previous, True))
        else:
            objects[position] = new
            kind = EventType.MODIFIED if previous is not None else EventType.ADDED
            changes.append(StoredChange(kind, new, previous, True))
        states.append(dict(objects))
    back = data.draw(st.integers(0, len(steps)))
    current = tuple(objects[position] for position in sorted(objects))
    expected = [states[back][position] for position in sorted(states[back])]
    assert shape(undo(current, changes[back:])) == shape(expected)


@given(st.sets(POSITIONS), st.none() | st.sampled_from("abc"), st.none() | POSITIONS, st.none() | st.integers(0, 4))
def test_page(
    positions: set[tuple[str, str]], namespace: str | None, after: tuple[str, str] | None, limit: int | None
) -> None:
    entries = [entry(position, 2) for position in sorted(positions)]
    expected = [e for e in entries if namespace is None or e.key.namespace == namespace]
    expected = [e for e in expected if after is None or (e.key.namespace, e.key.name) > after][:limit]
    assert shape(list(page(entries, namespace, after, limit))) == shape(expected)
