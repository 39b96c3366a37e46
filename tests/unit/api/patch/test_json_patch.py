"""JSON patch: RFC 6902's own examples, Kubernetes' library's habits, and laws that any patch keeps."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.api.errors import ApiError
from moorage.api.patch import json_patch
from moorage.api.patch.json_patch import MAX_OPERATIONS

DOCUMENT = {"a": {"b": [1, 2, 3], "c/d": "x", "m~n": None}, "list": [{"k": 1}, {"k": 2}]}


def op(name: str, path: str, value: Any = ..., **more: Any) -> dict[str, Any]:
    return {"op": name, "path": path, **({} if value is ... else {"value": value}), **more}


@pytest.mark.parametrize(
    ("operations", "path", "expected"),
    [
        ([op("add", "/a/x", 1)], ("a", "x"), 1),
        ([op("add", "/a/b/0", 9)], ("a", "b"), [9, 1, 2, 3]),
        ([op("add", "/a/b/3", 9)], ("a", "b"), [1, 2, 3, 9]),
        ([op("add", "/a/b/-", 9)], ("a", "b"), [1, 2, 3, 9]),
        ([op("add", "/a/b/-1", 9)], ("a", "b"), [1, 2, 3, 9]),
        ([op("add", "/a/b", 9)], ("a", "b"), 9),
        ([op("remove", "/a/b/1")], ("a", "b"), [1, 3]),
        ([op("remove", "/a/b/-1")], ("a", "b"), [1, 2]),
        ([op("remove", "/a/c~1d")], ("a",), {"b": [1, 2, 3], "m~n": None}),
        ([op("replace", "/a/m~0n", 5)], ("a", "m~n"), 5),
        ([op("replace", "/list/0/k", {"z": []})], ("list", 0, "k"), {"z": []}),
        ([op("move", "/a/y", **{"from": "/a/b"})], ("a", "y"), [1, 2, 3]),
        ([op("move", "/a/b/2", **{"from": "/a/b/0"})], ("a", "b"), [2, 3, 1]),
        ([op("copy", "/list/-", **{"from": "/list/0"}), op("replace", "/list/2/k", 7)], ("list", 0), {"k": 1}),
        ([op("test", "/a/b", [1, 2.0, 3]), op("add", "/ok", True)], ("ok",), True),
        ([op("test", "/nowhere", None), op("add", "/ok", True)], ("ok",), True),
        ([op("add", "", {"whole": 1})], ("whole",), 1),
        ([op("add", "/", 1)], ("",), 1),
        ([], ("list",), [{"k": 1}, {"k": 2}]),
    ],
)
def test_operations(operations: list[Any], path: tuple[Any, ...], expected: Any) -> None:
    before = copy.deepcopy(DOCUMENT)
    value: Any = json_patch(DOCUMENT, operations)
    for part in path:
        value = value[part]
    assert value == expected
    assert before == DOCUMENT


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (op("test", "/a/b/0", 2), "testing value /a/b/0 failed: test failed"),
        (op("test", "/a/b/0", True), "test failed"),
        (op("test", "/a/m~0n"), ""),
        (op("remove", "/nowhere"), "Unable to remove nonexistent key: nowhere"),
        (op("remove", ""), "cannot be removed"),
        (op("replace", "/a/nowhere", 1), "replace operation does not apply: doc is missing key: /a/nowhere"),
        (op("replace", "/a/b/3", 1), "invalid index referenced"),
        (op("add", "/no/where", 1), 'add operation does not apply: doc is missing path: "/no/where"'),
        (op("add", "/a/b/5", 1), "invalid index referenced"),
        (op("add", "/a/b/01", 1), "is no array index"),
        (op("add", "/a/b/x", 1), "is no array index"),
        (op("add", "/a/c~1d/x", 1), "doc is missing path"),
        (op("add", "a", 1), "must start with /"),
        (op("move", "/a/b/x", **{"from": "/a"}), "cannot be moved into itself"),
        (op("move", "/x", **{"from": "/nowhere"}), "nonexistent key"),
        (op("copy", "/x", **{"from": "/nowhere"}), 'doc is missing from path: "/nowhere"'),
        (op("frobnicate", "/a"), "Unexpected kind: frobnicate"),
        (op("move", "/a"), "must have a string from"),
        (op("add", "/a"), "must have a value"),
        ({"op": "remove"}, "must have a string path"),
    ],
)
def test_failures(operation: dict[str, Any], words: str) -> None:
    if not words:
        assert json_patch(DOCUMENT, [operation]) == DOCUMENT
        return
    with pytest.raises(ApiError) as caught:
        json_patch(DOCUMENT, [op("add", "/extra", 1), operation])
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert caught.value.message.startswith("the server rejected our request due to an error in our request")
    assert words in caught.value.message
    assert "extra" not in DOCUMENT


@pytest.mark.parametrize("patch", [{}, None, "x", [1]])
def test_what_is_no_patch(patch: Any) -> None:
    with pytest.raises(ApiError) as caught:
        json_patch(DOCUMENT, patch)
    assert caught.value.code == 400


def test_the_result_must_be_an_object() -> None:
    with pytest.raises(ApiError, match="leaves array where an object must be"):
        json_patch(DOCUMENT, [op("replace", "", [])])


def test_too_many_operations() -> None:
    with pytest.raises(ApiError) as caught:
        json_patch(DOCUMENT, [op("test", "/a/b/0", 1)] * (MAX_OPERATIONS + 1))
    assert caught.value.code == 413
    assert caught.value.message == "The allowed maximum operations in a JSON patch is 10000, got 10001"


def test_copies_cannot_blow_up_a_document() -> None:
    doubling = [op("copy", f"/x/{index}", **{"from": "/x"}) for index in range(60)]
    with pytest.raises(ApiError) as caught:
        json_patch({"x": {"text": "y" * 1000}}, doubling)
    assert caught.value.code == 413


def test_a_patch_is_not_changed_by_its_own_operations() -> None:
    patch = [op("add", "/new", {"list": []}), op("add", "/new/list/-", 1)]
    before = copy.deepcopy(patch)
    assert json_patch({}, patch) == {"new": {"list": [1]}}
    assert patch == before


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)


@given(OBJECTS, st.text(max_size=3), VALUES)
def test_add_then_test_then_remove_is_nothing(document: dict[str, Any], key: str, value: Any) -> None:
    document.pop(key, None)
    path = "/" + key.replace("~", "~0").replace("/", "~1")
    operations = [op("add", path, value), op("test", path, value), op("remove", path)]
    assert json_patch(document, operations) == document
