"""Documents as bytes: where the revision goes, and what is refused."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.store import InvalidDocument
from moorage.store.commit import check_document, find_nul
from moorage.store.contracts import Encoded, EventType
from moorage.store.entry import NO_LABELS, StoredChange, StoredEntry
from tests.support.store import document, encode, key

NAME = key("a")
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


def entry(revision: int, **content: object) -> StoredEntry:
    encoded = document(NAME, "u", **content)
    return StoredEntry(NAME, "u", revision, encoded.body, encoded.offset)


@given(revision=st.integers(1, 10**15), later=st.integers(1, 10**15), text=TEXT)
def test_a_revision_is_spliced_in_and_replaced(revision: int, later: int, text: str) -> None:
    one = entry(revision, text=text)
    assert orjson.loads(one.data)["metadata"]["resourceVersion"] == str(revision)
    assert one.data_at(later) == one.at(later).data == entry(later, text=text).data


@given(TEXT)
def test_any_text_without_nul_and_surrogates_passes(text: str) -> None:
    check_document(encode({"metadata": {"name": text}, text: [text]}))


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": {"b": ["x", {"c": "y\0"}]}}, "a.b[1].c"),
        ({"a": {"k\0": 1}}, r"a['k\x00']"),
        ({"a": ["\\u0000"]}, ""),
    ],
)
def test_the_field_with_u0000_is_named(value: object, path: str) -> None:
    assert find_nul(value) == path


@pytest.mark.parametrize(("offset", "body"), [(0, b'{"metadata":{}}'), (40, b'{"metadata":{"resourceVersion":"7"}}')])
def test_a_wrong_offset_is_refused(offset: int, body: bytes) -> None:
    with pytest.raises(InvalidDocument, match="no empty resourceVersion"):
        check_document(Encoded(body, offset))


def test_labels_are_decoded_once_and_their_texts_shared() -> None:
    one, two = entry(2, labels={"app": "x" * 3}), entry(3, labels={"app": "xxx"})
    assert one.labels is one.labels
    assert next(iter(one.labels.values())) is next(iter(two.labels.values()))
    assert entry(2).labels is NO_LABELS


def test_what_leaves_a_selection_is_shown_as_it_was_known() -> None:
    change = StoredChange(EventType.MODIFIED, entry(12, n="new"), entry(9, n="old"), True)
    line = orjson.loads(change.encoded(EventType.DELETED))
    assert (line["type"], line["object"]["n"], line["object"]["metadata"]["resourceVersion"]) == (
        "DELETED",
        "old",
        "12",
    )
    line = orjson.loads(change.encoded(EventType.ADDED))
    assert (line["type"], line["object"]["n"]) == ("ADDED", "new")
    assert change.encoded(EventType.MODIFIED).endswith(b"}\n")
