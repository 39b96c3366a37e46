"""The rules for refs and push options."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage_gitops.host.deploy.problems import Refused
from moorage_gitops.host.push import commands
from moorage_gitops.host.push.commands import Command

ZERO, OID = "0" * 40, "b" * 40


def test_commands_are_read() -> None:
    parsed = commands.parse([f"{ZERO} {OID} refs/heads/a b\n".encode(), f"{OID} {ZERO} refs/tags/v".encode()])

    assert parsed == [Command("", OID, "refs/heads/a b"), Command(OID, "", "refs/tags/v")]
    assert [command.branch for command in parsed] == ["a b", ""]


@pytest.mark.parametrize(
    "ref",
    ["refs/notes/x", "refs/heads/", "refs/for/main", "HEAD", "refs/heads/a..b", "refs/heads/a b", "refs/heads/.a"],
)
def test_refs_that_are_not_hosted(ref: str) -> None:
    with pytest.raises(Refused):
        commands.check([Command("", OID, ref)], {"main"})


@given(st.text(st.sampled_from("abc/.-@{}~^:?*[\\ \x7f\tü"), min_size=1, max_size=12))
def test_no_name_passes_that_git_refuses(name: str) -> None:
    """A ref that Git refused after the transaction would leave the row without its ref."""
    ref = f"refs/heads/{name}"
    if commands.well_formed(ref):
        assert subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0


@pytest.mark.parametrize(
    "ref", ["refs/heads/main", "refs/heads/feature/x-1", "refs/tags/v1.2.3", "refs/heads/ümlaut", "refs/heads/a@b"]
)
def test_ordinary_names_pass(ref: str) -> None:
    commands.check([Command("", OID, ref)], {"main"})


def test_only_a_deployed_branch_is_kept_from_deletion() -> None:
    commands.check([Command(OID, "", "refs/heads/other"), Command(OID, "", "refs/tags/main")], {"main"})
    with pytest.raises(Refused, match="cannot be deleted"):
        commands.check([Command(OID, "", "refs/heads/main")], {"main"})


def test_options() -> None:
    assert commands.options(["wait", "dry-run"]) == {"wait", "dry-run"}
    with pytest.raises(Refused) as caught:
        commands.options(["wait", "x\x1b[31m"])
    assert "\x1b" not in "".join(caught.value.lines)


def test_parents() -> None:
    assert commands.parents("refs/heads/a/b/c") == ["refs/heads/a", "refs/heads/a/b"]
    assert commands.parents("refs/heads/a") == []
