"""Rules of metadata, on a kind that has no others."""

from typing import Any

import pytest

from moorage.resources.metadata import ANNOTATIONS_LIMIT
from tests.unit.resources.documents import REMOVED, edited, kind, plain, problems, stored

ACCOUNT = kind("ServiceAccount")
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u1"}


def account(edits: dict[str, Any]) -> dict[str, Any]:
    return edited(plain("ServiceAccount"), {f"metadata/{path}": value for path, value in edits.items()})


@pytest.mark.parametrize(
    ("edits", "problem"),
    [
        ({"name": REMOVED}, "metadata.name: Required value: name or generateName is required"),
        ({"name": "A"}, 'metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of'),
        ({"generateName": "A-"}, 'metadata.generateName: Invalid value: "A-": a lowercase RFC 1123 subdomain must consist of'),
        ({"namespace": REMOVED}, "metadata.namespace: Required value"),
        ({"namespace": "a.b"}, 'metadata.namespace: Invalid value: "a.b": a lowercase RFC 1123 label must consist of'),
        ({"generation": -1}, "metadata.generation: Invalid value: -1: must be greater than or equal to 0"),
        ({"labels": {"a/": "b"}}, 'metadata.labels: Invalid value: "a/": name part must be non-empty'),
        ({"labels": {"a": "b c"}}, 'metadata.labels: Invalid value: "b c": a valid label must be an empty string or consist of'),
        ({"annotations": {"/a": "b"}}, 'metadata.annotations: Invalid value: "/a": prefix part must be non-empty'),
        ({"annotations": {"a": "b" * ANNOTATIONS_LIMIT}}, "metadata.annotations: Too long: may not be more than 262144 bytes"),
        ({"ownerReferences": [{**OWNER, "apiVersion": ""}]},
         'metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty'),
        ({"ownerReferences": [{**OWNER, "kind": ""}]}, 'metadata.ownerReferences.kind: Invalid value: "": must not be empty'),
        ({"ownerReferences": [{**OWNER, "name": ""}]}, 'metadata.ownerReferences.name: Invalid value: "": must not be empty'),
        ({"ownerReferences": [{**OWNER, "uid": ""}]}, 'metadata.ownerReferences.uid: Invalid value: "": must not be empty'),
        ({"ownerReferences": [{**OWNER, "apiVersion": "v1", "kind": "Event"}]}, "metadata.ownerReferences: Invalid value: {"),
        ({"ownerReferences": [{**OWNER, "controller": True}, {**OWNER, "name": "x", "controller": True}]},
         "metadata.ownerReferences: Invalid value: ["),
        ({"finalizers": ["here"]},
         'metadata.finalizers[0]: Invalid value: "here": name is neither a standard finalizer name nor is it fully qualified'),
        ({"finalizers": ["a/b/c"]}, 'metadata.finalizers: Invalid value: "a/b/c": a valid label key must consist of'),
        ({"finalizers": ["orphan", "foregroundDeletion"]},
         'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: '
         "finalizer orphan and foregroundDeletion cannot be both set"),
    ],
)  # fmt: skip
def test_refused(edits: dict[str, Any], problem: str) -> None:
    found = problems(ACCOUNT, account(edits))
    assert len(found) == 1
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    "edits",
    [
        {"generateName": "web-"},
        {"labels": {"app.kubernetes.io/name": "web", "empty": ""}},
        {"annotations": {"Example.com/Any": "x" * 1000}},
        {"ownerReferences": [{**OWNER, "controller": True}, {**OWNER, "name": "other"}]},
        {"finalizers": ["example.com/hold", "foregroundDeletion"]},
    ],
)
def test_accepted(edits: dict[str, Any]) -> None:
    assert problems(ACCOUNT, account(edits)) == []


def test_cluster_scope_has_no_namespace() -> None:
    assert problems(kind("Node"), plain("Node")) == ["metadata.namespace: Forbidden: not allowed on this type"]


@pytest.mark.parametrize(
    ("edits", "problem"),
    [
        ({"name": "two"}, 'metadata.name: Invalid value: "two": field is immutable'),
        ({"namespace": "b"}, 'metadata.namespace: Invalid value: "b": field is immutable'),
        ({"uid": "other"}, 'metadata.uid: Invalid value: "other": field is immutable'),
        ({"creationTimestamp": "2025-01-01T00:00:00Z"},
         'metadata.creationTimestamp: Invalid value: "2025-01-01T00:00:00Z": field is immutable'),
        ({"deletionTimestamp": "2025-01-01T00:00:00Z"},
         'metadata.deletionTimestamp: Invalid value: "2025-01-01T00:00:00Z": field is immutable'),
        ({"deletionGracePeriodSeconds": 5}, "metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable"),
        ({"generation": 1}, "metadata.generation: Invalid value: 1: must not be decremented"),
    ],
)  # fmt: skip
def test_what_an_update_leaves(edits: dict[str, Any], problem: str) -> None:
    old = stored(ACCOUNT, account({"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 2}))
    new = edited(old, {f"metadata/{path}": value for path, value in edits.items()})
    assert [str(error) for error in ACCOUNT.validate_update(new, old)] == [problem]
    assert not ACCOUNT.validate_update(old, old)


def test_what_is_being_deleted_gets_no_new_finalizers() -> None:
    old = account({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a.b/c", "a.b/d"]})
    new = edited(old, {"metadata/finalizers": ["a.b/d", "a.b/e"]})
    assert [str(error) for error in ACCOUNT.validate_update(new, old)] == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"a.b/e"}'
    ]
    assert not ACCOUNT.validate_update(edited(old, {"metadata/finalizers": ["a.b/d"]}), old)
