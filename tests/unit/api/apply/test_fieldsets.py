"""The algebra of field sets, against plain sets of paths."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.api.apply.fieldsets import difference, has, intersection, paths, union

Paths = frozenset[tuple[str, ...]]

ELEMENTS = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"'])
PATHS = st.frozensets(st.lists(ELEMENTS, min_size=1, max_size=3).map(tuple), max_size=8)


def as_set(members: Paths) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path in members:
        node = root
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    return _tidy(root)


def _tidy(node: dict[str, Any]) -> dict[str, Any]:
    return {} if node == {".": {}} else {key: _tidy(value) for key, value in node.items()}


def members(fields: dict[str, Any], prefix: tuple[str, ...] = ()) -> Paths:
    found: set[tuple[str, ...]] = set()
    for key, below in fields.items():
        if key == ".":
            continue
        if not below or "." in below:
            found.add((*prefix, key))
        found |= members(below, (*prefix, key))
    return frozenset(found)


@given(PATHS, PATHS)
def test_the_operations_are_those_of_sets(left: Paths, right: Paths) -> None:
    one, other = as_set(left), as_set(right)
    assert members(one) == left
    assert members(union(one, other)) == left | right
    assert members(difference(one, other)) == left - right
    assert members(intersection(one, other)) == left & right
    assert (one, other) == (as_set(left), as_set(right)), "the arguments must not be changed"


@given(PATHS, PATHS)
def test_results_have_no_empty_branches(left: Paths, right: Paths) -> None:
    for result in (difference(as_set(left), as_set(right)), intersection(as_set(left), as_set(right))):
        assert result == as_set(members(result))


def test_membership() -> None:
    fields: dict[str, Any] = {"f:a": {}, "f:b": {"f:c": {}}, "f:d": {".": {}, "f:e": {}}}
    assert [has(fields, key) for key in ("f:a", "f:b", "f:d", "f:x")] == [True, False, True, False]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"f:spec": {"f:replicas": {}}}, [".spec.replicas"]),
        ({"f:l": {'k:{"name":"a"}': {".": {}, "f:image": {}}}}, ['.l[name="a"]', '.l[name="a"].image']),
        ({"f:p": {'k:{"containerPort":80,"protocol":"TCP"}': {}}}, ['.p[containerPort=80,protocol="TCP"]']),
        ({"f:f": {'v:"x"': {}, "v:1": {}}}, ['.f[="x"]', ".f[=1]"]),
        ({"f:metadata": {"f:labels": {"f:example.com/x": {}}}}, [".metadata.labels.example.com/x"]),
        ({"f:l": {"i:0": {}, "k:broken": {}}}, [".l[0]", ".l[broken]"]),
        ({}, []),
    ],
)
def test_paths_as_people_read_them(fields: dict[str, Any], expected: list[str]) -> None:
    assert sorted(paths(fields)) == sorted(expected)
