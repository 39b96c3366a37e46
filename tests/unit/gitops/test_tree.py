"""Which files of a tree are manifests, and which trees are refused."""

from __future__ import annotations

import pytest

from moorage_gitops.host.deploy import tree
from moorage_gitops.host.manifests.limits import ManifestLimits

OID = "a" * 40


def entry(path: str | bytes, mode: str = "100644", size: int | str = 10) -> bytes:
    kind = {"160000": "commit", "40000": "tree"}.get(mode, "blob")
    raw = path if isinstance(path, bytes) else path.encode()
    return f"{mode} {kind} {OID} {size:>7}\t".encode() + raw


def chosen(*entries: bytes, prefix: str = "", limits: ManifestLimits | None = None) -> list[str]:
    selection = tree.select(entries, prefix, limits or ManifestLimits())
    assert selection.problems == []
    return [blob.path for blob in selection.blobs]


def problems(*entries: bytes, limits: ManifestLimits | None = None) -> list[str]:
    return [str(problem) for problem in tree.select(entries, "", limits or ManifestLimits()).problems]


def test_manifests_are_chosen_by_their_ending() -> None:
    names = [
        "a.yaml",
        "b.yml",
        "c.json",
        "d/E.YAML",
        "README.md",
        "yaml",
        "x.yaml.bak",
        ".hidden.yaml",
        ".github/w.yaml",
        "d/.e/f.yaml",
    ]

    assert chosen(*map(entry, names)) == ["a.yaml", "b.yml", "c.json", "d/E.YAML"]


def test_paths_are_those_of_the_repository() -> None:
    assert chosen(entry("a.yaml"), prefix="deploy/prod") == ["deploy/prod/a.yaml"]


def test_a_prefix_of_a_hidden_folder_is_no_obstacle() -> None:
    assert chosen(entry("a.yaml"), prefix=".deploy") == [".deploy/a.yaml"]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (entry("../a.yaml"), "with '.', '..' or '.git'"),
        (entry("x/../a.txt"), "with '.', '..' or '.git'"),
        (entry("./a.yaml"), "with '.', '..' or '.git'"),
        (entry(".git/config"), "with '.', '..' or '.git'"),
        (entry("/etc/a.yaml"), "with '.', '..' or '.git'"),
        (entry("a.yaml", "120000"), "a symbolic link is not followed"),
        (entry("vendor", "160000", "-"), "a submodule is not read"),
        (entry(b"a\xff.yaml"), "must be printable UTF-8"),
        (entry("a\n.yaml"), "must be printable UTF-8"),
        (entry("a\\b.yaml"), "without backslashes"),
        (entry("a.yaml", size=99), "99 bytes; a manifest may have 50"),
    ],
)
def test_what_is_refused(raw: bytes, words: str) -> None:
    (problem,) = problems(raw, limits=ManifestLimits(file_bytes=50))

    assert words in problem


def test_symbolic_links_that_are_no_manifests_are_ignored() -> None:
    assert chosen(entry("latest", "120000"), entry("README", "120000")) == []


def test_many_files_and_many_bytes_are_refused() -> None:
    limits = ManifestLimits(files=3, total_bytes=25)

    assert (
        "4 manifest files; one commit may deploy 3"
        in problems(*(entry(f"{i}.yaml") for i in range(4)), limits=limits)[0]
    )
    assert "30 bytes together" in problems(*(entry(f"{i}.yaml") for i in range(3)), limits=limits)[0]


@pytest.mark.parametrize("path", ["..", "a/../b", "/a", "a//b", ".", ".git", "a\nb", "a/.git/b"])
def test_folders_outside_the_tree(path: str) -> None:
    assert "is not a folder of the tree" in tree.bad_folder(path)


@pytest.mark.parametrize("path", ["a", "a/b", "a/b/", ".deploy", "a..b"])
def test_folders_of_the_tree(path: str) -> None:
    assert tree.bad_folder(path) == ""
