"""Merge patch: the table of RFC 7386, and its laws."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.api.errors import ApiError
from moorage.api.patch import merge_patch


@pytest.mark.parametrize(
    ("original", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": {"b": 1}}, {}, {"a": {"b": 1}}),
        ({"a": 1}, {"a": {"b": None}}, {"a": {}}),
    ],
)
def test_rfc_7386(original: Any, patch: Any, result: Any) -> None:
    before, patch_before = copy.deepcopy(original), copy.deepcopy(patch)
    assert merge_patch(original, patch) == result
    assert (original, patch) == (before, patch_before)


@pytest.mark.parametrize(
    ("patch", "name"), [([], "array"), (None, "null"), ("x", "string"), (1, "number"), (True, "bool")]
)
def test_a_patch_must_be_an_object(patch: Any, name: str) -> None:
    with pytest.raises(ApiError) as caught:
        merge_patch({}, patch)
    assert caught.value.code == 400
    assert caught.value.message == (
        f"error decoding patch: json: cannot unmarshal {name} into Go value of type map[string]interface {{}}"
    )


SCALARS = st.booleans() | st.integers(-5, 5) | st.text(max_size=2)
KEYS = st.sampled_from("abcd")
OBJECTS = st.recursive(
    st.dictionaries(KEYS, SCALARS, max_size=3),
    lambda inner: st.dictionaries(KEYS, SCALARS | inner | st.lists(SCALARS, max_size=2), max_size=3),
    max_leaves=8,
)
PATCHES = st.recursive(
    st.dictionaries(KEYS, st.none() | SCALARS, max_size=3),
    lambda inner: st.dictionaries(KEYS, st.none() | SCALARS | inner, max_size=3),
    max_leaves=8,
)


@given(OBJECTS, PATCHES)
def test_patching_twice_is_patching_once(document: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge_patch(document, patch)
    assert merge_patch(once, patch) == once


@given(OBJECTS)
def test_the_empty_patch_changes_nothing_and_shares_nothing(document: dict[str, Any]) -> None:
    result = merge_patch(document, {})
    assert result == document
    assert result is not document
    for key, value in result.items():
        assert not isinstance(value, dict | list) or value is not document[key]


@given(OBJECTS, OBJECTS)
def test_a_whole_object_as_patch_is_there_afterwards(document: dict[str, Any], patch: dict[str, Any]) -> None:
    def holds(value: Any, wanted: Any) -> bool:
        if isinstance(wanted, dict):
            return isinstance(value, dict) and all(
                key in value and holds(value[key], each) for key, each in wanted.items()
            )
        return bool(value == wanted)

    assert holds(merge_patch(document, patch), patch)
