"""What a delete leaves of an object."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.api.options import DeleteOptions
from moorage.api.writing.deletion import marked
from moorage.resources.builtin import builtin_registry
from moorage.resources.kind import Kind

NOW = 1_700_000_000.0
STARTED = "2023-11-14T22:13:20Z"


def kind(group: str, plural: str) -> Kind:
    found = builtin_registry().by_plural(group, "v1", plural)
    assert found is not None
    return found


PODS, CONFIGMAPS, NAMESPACES = kind("", "pods"), kind("", "configmaps"), kind("", "namespaces")


def pod(**metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "generation": 1, **metadata},
        "spec": {"nodeName": "n"},
        "status": {"phase": "Running"},
    }


def test_an_object_that_nothing_holds_goes_at_once() -> None:
    new, wait = marked(CONFIGMAPS, {"metadata": {"name": "c"}}, DeleteOptions(), NOW)
    assert new is not None
    assert not wait


@pytest.mark.parametrize(
    ("policy", "before", "after"),
    [
        ("Orphan", [], ["orphan"]),
        ("Foreground", [], ["foregroundDeletion"]),
        ("Background", ["orphan"], None),
        ("Foreground", ["orphan", "x.io/y"], ["x.io/y", "foregroundDeletion"]),
        ("", ["x.io/y"], ["x.io/y"]),
    ],
)
def test_the_policy_becomes_a_finalizer(policy: str, before: list[str], after: list[str] | None) -> None:
    metadata: dict[str, Any] = {"name": "c", "finalizers": before} if before else {"name": "c"}
    new, wait = marked(CONFIGMAPS, {"metadata": metadata}, DeleteOptions(policy=policy), NOW)
    assert new is not None
    assert new["metadata"].get("finalizers") == after
    assert wait == bool(after)
    assert new["metadata"]["deletionTimestamp"] == STARTED
    assert new["metadata"]["deletionGracePeriodSeconds"] == 0


def test_a_running_pod_gets_its_grace_period() -> None:
    new, wait = marked(PODS, pod(), DeleteOptions(), NOW)
    assert wait
    assert new is not None
    assert new["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:50Z"
    assert new["metadata"]["deletionGracePeriodSeconds"] == 30
    assert new["metadata"]["generation"] == 2


def test_a_second_delete_can_only_shorten_it() -> None:
    first, _ = marked(PODS, pod(), DeleteOptions(), NOW)
    assert first is not None
    assert marked(PODS, first, DeleteOptions(grace_seconds=60), NOW + 5) == (None, True)
    assert marked(PODS, first, DeleteOptions(), NOW + 5) == (None, True)
    shorter, wait = marked(PODS, first, DeleteOptions(grace_seconds=10), NOW + 5)
    assert wait
    assert shorter is not None
    assert shorter["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:30Z"
    last, wait = marked(PODS, shorter, DeleteOptions(grace_seconds=0), NOW + 6)
    assert last is not None
    assert not wait


def test_a_grace_period_of_none_ends_a_pod_unless_a_finalizer_holds_it() -> None:
    first, _ = marked(PODS, pod(finalizers=["x.io/y"]), DeleteOptions(), NOW)
    assert first is not None
    held, wait = marked(PODS, first, DeleteOptions(grace_seconds=0), NOW)
    assert wait
    assert held is not None
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0


def test_a_namespace_waits_for_its_own_finalizer() -> None:
    namespace = {"metadata": {"name": "a"}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    new, wait = marked(NAMESPACES, namespace, DeleteOptions(), NOW)
    assert wait
    assert new is not None
    assert new["status"]["phase"] == "Terminating"
    assert marked(NAMESPACES, new, DeleteOptions(), NOW) == (None, True)
