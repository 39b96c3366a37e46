"""Documents to bytes: the revision's place is right whatever the document says."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from moorage.api import encode
from tests.unit.api.kinds import POD

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


def document(**metadata: Any) -> dict[str, Any]:
    return {"spec": {"a": 1}, "metadata": metadata, "kind": "Pod", "apiVersion": "v1"}


def test_the_revision_is_put_in_its_place() -> None:
    encoded = encode.encode(document(name="a", resourceVersion="7"))
    assert (
        encoded.at(42)
        == b'{"apiVersion":"v1","kind":"Pod","metadata":{"resourceVersion":"42","name":"a"},"spec":{"a":1}}'
    )


def test_the_document_is_not_changed() -> None:
    original = document(resourceVersion="7", name="a")
    encode.encode(original)
    assert original == document(resourceVersion="7", name="a")


def test_empty_metadata() -> None:
    assert json.loads(encode.encode({"apiVersion": "v1", "kind": "X", "metadata": {}}).at(1))["metadata"] == {
        "resourceVersion": "1"
    }


@given(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.dictionaries(st.sampled_from(["name", "annotations", "labels", "resourceVersion", "uid"]), JSON_VALUES),
    st.dictionaries(st.sampled_from(["spec", "status", "data", "kindred"]), JSON_VALUES),
)
def test_any_document_comes_back_with_the_revision(kind: str, metadata: dict[str, Any], rest: dict[str, Any]) -> None:
    metadata["trap"] = '"resourceVersion":""'
    given_document = {**rest, "metadata": metadata, "apiVersion": "v1", "kind": kind}
    back = json.loads(encode.encode(given_document).at(123456))
    expected = {**given_document, "metadata": {**metadata, "resourceVersion": "123456"}}
    assert back == expected


def test_lists_are_joined_bytes() -> None:
    datas = [b'{"metadata":{"name":"a"}}', b'{"metadata":{"name":"b"}}']
    whole = encode.list_header(POD, 9, "tok", 3) + b",".join(datas) + encode.LIST_TAIL
    assert json.loads(whole) == {
        "kind": "PodList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "9", "continue": "tok", "remainingItemCount": 3},
        "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}],
    }
    assert json.loads(encode.list_header(POD, 9) + encode.LIST_TAIL)["items"] == []


def test_watch_lines() -> None:
    assert encode.watch_line("ADDED", b'{"a":1}\n') == b'{"type":"ADDED","object":{"a":1}}\n'
    bookmark = json.loads(encode.bookmark_line("v1", "Pod", 8, initial_events_end=True))
    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["metadata"]["resourceVersion"] == "8"
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert json.loads(encode.error_line({"code": 410}))["object"] == {"code": 410}


def test_pretty_and_yaml() -> None:
    assert encode.dumps({"a": [1]}, pretty=True) == b'{\n  "a": [\n    1\n  ]\n}\n'
    value = {"y": "no", "n": "22:22", "z": ["", "1", "true", "~", "x: y", "1e3"], "same": [1], "again": [1]}
    text = encode.yaml_bytes(value).decode()
    assert yaml.safe_load(text) == value
    assert "&" not in text
    assert "'y': 'no'" in text


def test_partial_metadata() -> None:
    assert encode.partial(document(name="a")) == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": "a"},
    }
    listed = encode.partial_list([document(name="a")], 4, "t", 1)
    assert listed["kind"] == "PartialObjectMetadataList"
    assert listed["metadata"] == {"resourceVersion": "4", "continue": "t", "remainingItemCount": 1}
    assert listed["items"][0]["kind"] == "PartialObjectMetadata"
