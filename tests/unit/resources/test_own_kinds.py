"""Leases, Repositories, Applications, and what the registry holds."""

from typing import Any

import pytest

from moorage.resources import schemas
from moorage.resources.builtin import BUILTIN, builtin_registry
from moorage.resources.gitops_rules import BRANCH_MESSAGE, branch_name
from moorage.resources.kind import Kind
from tests.unit.resources.documents import NOW, kind, plain, problems, stored

LEASE = kind("Lease", "coordination.k8s.io")
REPOSITORY, APPLICATION = kind("Repository", "gitops.moorage.io"), kind("Application", "gitops.moorage.io")


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"holderIdentity": "a", "leaseDurationSeconds": 40, "leaseTransitions": 0}, []),
        ({"leaseDurationSeconds": 0}, ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"]),
        ({"leaseTransitions": -1}, ["spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"]),
        (
            {"strategy": "Newest"},
            ['spec.strategy: Unsupported value: "Newest": supported values: "OldestEmulationVersion"'],
        ),
        ({"strategy": "example.com/mine"}, []),
        ({"strategy": "/mine"}, ['spec.strategy: Invalid value: "/mine": prefix part must be non-empty']),
        ({"preferredHolder": "a"}, ["spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined"]),
    ],
)
def test_leases(spec: dict[str, Any], found: list[str]) -> None:
    assert problems(LEASE, plain("Lease", "coordination.k8s.io", spec=spec)) == found


@pytest.mark.parametrize("name", ["main", "release/1.2", "feature_x", "a" * 200])
def test_branches(name: str) -> None:
    assert branch_name(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "@", "-x", "/x", ".x", "x/", "x.", "a..b", "a b", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "a@{b",
     "a//b", "a/.b", "a.lock", "a.lock/b", "a\nb"],
)  # fmt: skip
def test_no_branches(name: str) -> None:
    assert branch_name(name) == BRANCH_MESSAGE


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({}, None),
        ({"deployBranch": "live", "path": "deploy/web", "description": "The shop."}, None),
        ({"deployBranch": "a b"}, 'spec.deployBranch: Invalid value: "a b": must be a valid Git branch name'),
        ({"deployBranch": "a" * 201}, "spec.deployBranch: Invalid value: "),
        ({"path": "/etc"}, 'spec.path: Invalid value: "/etc": must be a relative path'),
        ({"path": "../x"}, "spec.path: Invalid value: \"../x\": must not contain '..'"),
        ({"path": "a" * 1025}, "spec.path: Too long: may not be more than 1024 bytes"),
        ({"description": "a" * 1025}, "spec.description: Too long: may not be more than 1024 bytes"),
    ],
)
def test_repositories(spec: dict[str, Any], problem: str | None) -> None:
    found = problems(REPOSITORY, plain("Repository", "gitops.moorage.io", spec=spec))
    assert len(found) == (1 if problem else 0), found
    assert all(text.startswith(problem or "") for text in found)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"repository": "shop"}, None),
        ({"repository": "shop", "branch": "main", "path": "a"}, None),
        ({}, "spec.repository: Required value: name the Repository in this namespace that is deployed"),
        ({"repository": "A"}, 'spec.repository: Invalid value: "A": a lowercase RFC 1123 label'),
        ({"repository": "shop", "branch": ".."}, 'spec.branch: Invalid value: "..": must be a valid Git branch name'),
        ({"repository": "shop", "path": "a/../b"}, "spec.path: Invalid value: \"a/../b\": must not contain '..'"),
    ],
)
def test_applications(spec: dict[str, Any], problem: str | None) -> None:
    found = problems(APPLICATION, plain("Application", "gitops.moorage.io", spec=spec))
    assert len(found) == (1 if problem else 0), found
    assert all(text.startswith(problem or "") for text in found)


def test_defaults() -> None:
    assert stored(REPOSITORY, plain("Repository", "gitops.moorage.io"))["spec"] == {"deployBranch": "main"}
    assert stored(APPLICATION, plain("Application", "gitops.moorage.io"))["spec"] == {"prune": True}


def test_columns() -> None:
    application = {
        "metadata": {"name": "shop"},
        "spec": {"repository": "shop"},
        "status": {"revision": "0123456789abcdef", "sync": {"status": "Synced"}, "health": {"status": "Healthy"}},
    }
    row = {column.name: column.cell(application, NOW) for column in APPLICATION.columns}
    assert (
        row.items()
        >= {
            "Name": "shop",
            "Sync": "Synced",
            "Health": "Healthy",
            "Revision": "0123456789",
            "Repository": "shop",
        }.items()
    )
    repository = {"spec": {"deployBranch": "main"}, "status": {"url": "https://h/git/a/b.git", "revision": "ab"}}
    row = {column.name: column.cell(repository, NOW) for column in REPOSITORY.columns}
    assert row.items() >= {"URL": "https://h/git/a/b.git", "Branch": "main", "Revision": "ab"}.items()


@pytest.mark.parametrize("of", BUILTIN, ids=lambda of: f"{of.group}/{of.plural}")
def test_every_kind_is_whole(of: Kind) -> None:
    assert schemas.definition(of.schema)
    assert schemas.described()[of.schema]["description"]
    assert of.singular == of.kind.lower()
    columns = [column.name for column in of.columns]
    assert len(columns) == len(set(columns))
    assert not columns or "Name" in columns
    assert all(column.description for column in of.columns)
    assert all(isinstance(value, str) for value in of.fields({}).values())
    for column in of.columns:
        column.cell({}, NOW)


def test_no_two_kinds_share_a_name() -> None:
    registry = builtin_registry()
    assert len(list(registry)) == len(BUILTIN)
    for of in BUILTIN:
        assert registry.by_kind(of.gvk) is of
        assert registry.by_plural(of.group, of.version, of.plural) is of
    short = [name for of in BUILTIN if of.group != "events.k8s.io" for name in of.short_names]
    assert len(short) == len(set(short))


def test_only_secrets_are_sealed() -> None:
    assert [of.kind for of in BUILTIN if of.sealed] == ["Secret"]
