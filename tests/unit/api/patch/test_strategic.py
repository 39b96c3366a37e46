"""Strategic merge patch: the documented examples, every directive, the order of lists, refusals, laws."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.api.errors import ApiError
from moorage.api.patch import strategic_merge_patch
from moorage.api.structure import structure_of

DEPLOYMENT = structure_of("io.k8s.api.apps.v1.Deployment")
POD = structure_of("io.k8s.api.core.v1.Pod")
SERVICE = structure_of("io.k8s.api.core.v1.Service")

Doc = dict[str, Any]


def patched(document: Doc, patch: Any, structure: Any = POD) -> Doc:
    before, patch_before = copy.deepcopy(document), copy.deepcopy(patch)
    result = strategic_merge_patch(document, patch, structure)
    assert (document, patch) == (before, patch_before), "neither argument may be changed"
    return result


def containers(*items: Any, **directives: Any) -> Doc:
    return {"spec": {"containers": list(items), **directives}}


A, B, C = {"name": "a", "image": "1"}, {"name": "b", "image": "1"}, {"name": "c", "image": "1"}


def names(document: Doc) -> str:
    return "".join(item["name"] for item in document["spec"]["containers"])


def test_items_are_merged_by_name() -> None:
    assert patched(containers(A, B), containers({"name": "b", "image": "2"})) == containers(
        A, {"name": "b", "image": "2"}
    )


def test_a_new_item_is_added_as_in_the_documentation() -> None:
    """ "Update API Objects in Place Using kubectl patch": the patch's items come first."""
    live = {"spec": {"template": {"spec": {"containers": [{"name": "patch-demo-ctr", "image": "nginx"}]}}}}
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "patch-demo-ctr-2", "image": "redis"}]}}}}
    result = patched(live, patch, DEPLOYMENT)
    assert result["spec"]["template"]["spec"]["containers"] == [
        {"name": "patch-demo-ctr-2", "image": "redis"},
        {"name": "patch-demo-ctr", "image": "nginx"},
    ]


def test_a_list_without_merge_strategy_is_replaced() -> None:
    """The documentation's tolerations example."""
    live = {"spec": {"tolerations": [{"key": "a", "effect": "NoSchedule"}]}}
    assert patched(live, {"spec": {"tolerations": [{"key": "b"}]}}) == {"spec": {"tolerations": [{"key": "b"}]}}


def test_delete_an_item() -> None:
    assert patched(containers(A, B), containers({"name": "a", "$patch": "delete"})) == containers(B)
    assert patched(containers(A), containers({"name": "nowhere", "$patch": "delete"})) == containers(A)


def test_replace_a_list() -> None:
    assert patched(containers(A, B), containers({"$patch": "replace"}, C)) == containers(C)
    assert patched(containers(A, B), containers({"$patch": "replace"})) == containers()


def test_replace_and_delete_a_map() -> None:
    live = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    assert patched(live, {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}) == {
        "metadata": {"labels": {"c": "3"}}
    }
    assert patched(live, {"metadata": {"labels": {"$patch": "delete"}}}) == {"metadata": {"labels": {}}}
    assert patched(live, {"metadata": {"labels": {"$patch": "merge", "a": "9"}}})["metadata"]["labels"]["a"] == "9"


def test_null_removes_and_does_not_stay() -> None:
    live = containers({**A, "command": ["x"]})
    assert patched(live, containers({"name": "a", "command": None})) == containers(A)
    assert patched({}, {"spec": {"nodeName": None, "hostname": "h"}}) == {"spec": {"hostname": "h"}}


def test_retain_keys_changes_a_union() -> None:
    """The documentation's strategy example: Recreate must not keep rollingUpdate."""
    live = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert patched(live, patch, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_retain_keys_in_a_new_map_is_not_stored() -> None:
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert patched({"spec": {}}, patch, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_volumes_change_their_source() -> None:
    live = {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}
    patch = {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}]}}
    assert patched(live, patch) == {"spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}}


def test_primitive_lists_are_united_and_deleted_from() -> None:
    live = {"metadata": {"finalizers": ["a", "b"]}}
    assert patched(live, {"metadata": {"finalizers": ["c", "a"]}})["metadata"]["finalizers"] == ["c", "a", "b"]
    gone = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "x"]}}
    assert patched(live, gone) == {"metadata": {"finalizers": ["b"]}}
    assert patched({"metadata": {}}, gone) == {"metadata": {}}


def test_primitive_lists_with_an_order() -> None:
    live = {"metadata": {"finalizers": ["a", "b", "c"]}}
    patch = {
        "metadata": {
            "$deleteFromPrimitiveList/finalizers": ["b"],
            "$setElementOrder/finalizers": ["d", "a"],
            "finalizers": ["d"],
        }
    }
    assert sorted(patched(live, patch)["metadata"]["finalizers"]) == ["a", "c", "d"]
    assert patched(live, patch)["metadata"]["finalizers"][:2] == ["d", "a"]


@pytest.mark.parametrize(
    ("live", "order", "changes", "expected"),
    [
        ("ab", "ba", "", "ba"),
        ("abc", "cab", "", "cab"),
        ("ab", "cab", "c", "cab"),
        ("abc", "ca", "", "bca"),
        ("abcd", "db", "", "acdb"),
        ("ab", "abc", "c", "abc"),
        ("", "ab", "ab", "ab"),
    ],
)
def test_the_order_of_elements(live: str, order: str, changes: str, expected: str) -> None:
    patch: Doc = {"$setElementOrder/containers": [{"name": name} for name in order]}
    if changes:
        patch["containers"] = [{"name": name, "image": "2"} for name in changes]
    document = {"spec": {"containers": [{"name": name, "image": "1"} for name in live]}}
    result = patched(document, {"spec": patch})
    assert names(result) == expected


def test_what_kubectl_apply_sends_when_a_container_is_replaced() -> None:
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}],
            "containers": [{"name": "c", "image": "9"}, {"$patch": "delete", "name": "a"}],
        }
    }
    assert patched(containers(A, B), patch) == containers({"name": "c", "image": "9"}, B)


def test_ports_merge_by_the_patch_key_alone() -> None:
    live = {"spec": {"ports": [{"port": 80, "protocol": "TCP"}]}}
    patch = {"spec": {"ports": [{"port": 80, "targetPort": 8080}, {"port": 443}]}}
    assert patched(live, patch, SERVICE)["spec"]["ports"] == [
        {"port": 80, "protocol": "TCP", "targetPort": 8080},
        {"port": 443},
    ]


def test_maps_without_a_schema_merge_by_their_keys() -> None:
    live = {"metadata": {"annotations": {"a": "1"}}}
    patch = {"metadata": {"annotations": {"b": "2", "a": None}}}
    assert patched(live, patch) == {"metadata": {"annotations": {"b": "2"}}}


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ([], "cannot unmarshal array"),
        (containers({"image": "x"}), "does not contain declared merge key: name"),
        (containers({"name": "a", "$patch": "frob"}), "unknown patch type: frob"),
        ({"spec": {"$patch": "frob"}}, "unknown patch type: frob"),
        (containers({"name": "a", "$patch": "merge"}), "merging lists cannot yet be specified"),
        ({"spec": {"$retainKeys": "x"}}, "invalid patch format of retainKeys"),
        ({"spec": {"$retainKeys": ["a"], "nodeName": "n"}}, "invalid patch format of retainKeys"),
        ({"metadata": {"$deleteFromPrimitiveList/finalizers": "x"}}, "invalid patch format of primitive list"),
        ({"spec": {"$setElementOrder/containers": {}}}, "invalid patch format of setElementOrder list"),
        (containers(["x"]), "lists of lists are not supported"),
        (containers("x"), "list element types are not identical"),
        (containers({"name": {"x": 1}}), "the merge key name must be a scalar"),
        (
            containers({"name": "a"}, **{"$setElementOrder/containers": [{"name": "b"}]}),
            "doesn't match $setElementOrder list",
        ),
    ],
)
def test_refusals(patch: Any, words: str) -> None:
    with pytest.raises(ApiError) as caught:
        strategic_merge_patch({**containers(A), "metadata": {}}, patch, POD)
    assert caught.value.code == 400
    assert words in caught.value.message


ITEMS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abcde")}, optional={"image": st.sampled_from("123")}),
    unique_by=lambda item: item["name"],
    max_size=4,
)
LABELS = st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"), max_size=3)


@given(ITEMS, LABELS, ITEMS, st.dictionaries(st.sampled_from("xyz"), st.none() | st.sampled_from("12"), max_size=3))
def test_patching_twice_is_patching_once(live: list[Doc], labels: Doc, changes: list[Doc], more: Doc) -> None:
    document = {"metadata": {"labels": labels}, "spec": {"containers": live}}
    patch = {"metadata": {"labels": more}, "spec": {"containers": changes}}
    once = patched(document, patch)
    assert patched(once, patch) == once


@given(ITEMS, ITEMS)
def test_nothing_is_lost_and_nothing_comes_twice(live: list[Doc], changes: list[Doc]) -> None:
    result = patched(containers(*live), containers(*changes))["spec"]["containers"]
    expected = {item["name"]: item for item in live}
    for item in changes:
        expected[item["name"]] = {**expected.get(item["name"], {}), **item}
    assert {item["name"]: item for item in result} == expected
    assert len(result) == len(expected)


@given(ITEMS, ITEMS)
def test_the_patch_s_order_is_kept(live: list[Doc], changes: list[Doc]) -> None:
    result = names(patched(containers(*live), containers(*changes)))
    wanted = [item["name"] for item in changes]
    assert [name for name in result if name in wanted] == wanted
    others = [item["name"] for item in live if item["name"] not in wanted]
    assert [name for name in result if name not in wanted] == others
