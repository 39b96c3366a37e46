"""Tables as kubectl asks for them."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from moorage.api.errors import ApiError
from moorage.api.tables import include_of, table
from moorage.resources.kind import Kind
from tests.unit.api.kinds import CONFIGMAP, POD, REGISTRY

NOW = 1_800_000_000.0
DOCUMENT = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "b", "resourceVersion": "7", "creationTimestamp": "2027-01-15T07:00:00Z"},
    "data": {"k": "v"},
}


def test_a_list() -> None:
    result = table(CONFIGMAP, [DOCUMENT], 9, "next", 4, now=NOW)
    assert (result["kind"], result["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert result["metadata"] == {"resourceVersion": "9", "continue": "next", "remainingItemCount": 4}
    assert [column["name"] for column in result["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert set(result["columnDefinitions"][0]) == {"name", "type", "format", "description", "priority"}
    assert result["columnDefinitions"][0]["format"] == "name"
    row = result["rows"][0]
    assert row["cells"] == ["a", 1, "60m"]
    assert row["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": DOCUMENT["metadata"],
    }


def test_a_single_object_brings_its_revision() -> None:
    assert table(CONFIGMAP, [DOCUMENT], now=NOW)["metadata"] == {"resourceVersion": "7"}


def test_what_rows_include() -> None:
    assert table(CONFIGMAP, [DOCUMENT], 1, include="Object")["rows"][0]["object"] == DOCUMENT
    assert table(CONFIGMAP, [DOCUMENT], 1, include="None")["rows"][0]["object"] is None
    assert [include_of(value) for value in ("", "None", "Object")] == ["Metadata", "None", "Object"]
    with pytest.raises(ApiError, match='Unsupported value: "All": supported values: "Metadata", "None", "Object"'):
        include_of("All")


def test_later_events_of_a_watch_have_no_headers() -> None:
    assert table(CONFIGMAP, [DOCUMENT], headers=False)["columnDefinitions"] is None


def test_an_empty_list_has_headers() -> None:
    result = table(POD, [], 3)
    assert result["rows"] == []
    assert result["columnDefinitions"][1]["name"] == "Ready"


def test_a_kind_without_columns_shows_name_and_time() -> None:
    result = table(replace(CONFIGMAP, columns=()), [DOCUMENT], 1)
    assert [column["name"] for column in result["columnDefinitions"]] == ["Name", "Created At"]
    assert result["rows"][0]["cells"] == ["a", "2027-01-15T07:00:00Z"]


def test_the_old_version() -> None:
    result = table(CONFIGMAP, [DOCUMENT], 1, version="v1beta1")
    assert result["apiVersion"] == "meta.k8s.io/v1beta1"
    assert result["rows"][0]["object"]["apiVersion"] == "meta.k8s.io/v1beta1"


@pytest.mark.parametrize("kind", list(REGISTRY), ids=lambda kind: str(kind.plural))
def test_every_kind_prints_an_object_that_has_nothing_but_a_name(kind: Kind) -> None:
    bare = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "x"}}
    row = table(kind, [bare], 1)["rows"][0]
    assert len(row["cells"]) == len(kind.columns or ("Name", "Created At"))
    orjson.dumps(row)
