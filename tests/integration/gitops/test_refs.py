"""Branches, tags, concurrent pushes, and the ref row as the truth."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.integration.gitops.manifests import config_map
from tests.integration.gitops.rig import Rig, Work
from tests.integration.gitops.test_push import add_repository


def bare(rig: Rig) -> Path:
    """The one repository on the server's disk."""
    (path,) = (path for path in (rig.directory / "git").glob("*.git") if path.name != "empty-repository.git")
    return path


async def advertised(rig: Rig, work: Work) -> dict[str, str]:
    """What a client sees."""
    lines = (await work.git("ls-remote", rig.url())).out.splitlines()
    return {ref: oid for oid, ref in (line.split("\t") for line in lines)}


async def test_a_clone_is_what_was_pushed(rig: Rig, work: Work, tmp_path: Path) -> None:
    commit = await work.commit({"a.yaml": config_map("a", k="1"), "big.bin": bytes(range(256)) * 20_000})
    await work.push(rig.url())

    await work.git("clone", "-q", rig.url(), str(tmp_path / "clone"))
    shallow = Work(tmp_path / "shallow")
    await work.git("clone", "-q", "--depth", "1", rig.url(), str(tmp_path / "shallow"))

    assert (tmp_path / "clone" / "big.bin").stat().st_size == 256 * 20_000
    assert (await shallow.git("rev-parse", "HEAD")).out.strip() == commit


@pytest.mark.parametrize("version", ["0", "1", "2"])
async def test_every_protocol_version_works(rig: Rig, work: Work, tmp_path: Path, version: str) -> None:
    await work.git("config", "protocol.version", version)
    await work.commit({"a.yaml": config_map("a", k="1")})
    assert (await work.push(rig.url())).code == 0

    fetched = await work.git("-c", f"protocol.version={version}", "clone", "-q", rig.url(), str(tmp_path / "clone"))

    assert fetched.code == 0


async def test_a_large_push_in_chunks(rig: Rig, work: Work) -> None:
    """More than http.postBuffer: the client probes first, then sends chunked."""
    blob = b"".join(bytes([i * j % 251 for j in range(997)]) * 7 for i in range(400))
    await work.commit({"a.yaml": config_map("a", k="1"), "blob.bin": blob})
    await work.git("config", "http.postBuffer", "65536")
    await work.git("config", "core.compression", "0")

    pushed = await work.push(rig.url())

    assert pushed.code == 0, pushed.err


async def test_other_branches_and_tags_are_kept_and_not_deployed(rig: Rig, work: Work) -> None:
    main = await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url())
    feature = await work.commit({"a.yaml": "broken: ["})
    await work.git("tag", "-a", "v1", "-m", "one", main)

    pushed = await work.git("push", rig.url(), "HEAD:refs/heads/feature/x", "v1")

    assert "kept, not deployed; deployed is main" in pushed.err
    refs = await advertised(rig, work)
    assert refs["refs/heads/feature/x"] == feature
    assert refs["refs/tags/v1^{}"] == main
    assert rig.names("", "configmaps") == ["a"]
    removed = await work.git("push", rig.url(), ":refs/heads/feature/x", ":refs/tags/v1")
    assert removed.code == 0
    assert set(await advertised(rig, work)) == {"HEAD", "refs/heads/main"}


async def test_the_first_branch_becomes_the_deploy_branch(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})

    pushed = await work.push(rig.url(), refspec="HEAD:refs/heads/master")

    assert "created     ConfigMap shop/a" in pushed.err
    repository = rig.get("gitops.moorage.io", "repositories", "shop", "web")
    assert repository is not None
    assert repository["spec"]["deployBranch"] == "master"


async def test_a_repository_made_before_has_its_own_branch(rig: Rig, work: Work) -> None:
    await add_repository(rig, "web", deployBranch="release", path="deploy")
    await work.commit({"deploy/a.yaml": config_map("a", k="1")})

    kept = await work.push(rig.url())
    pushed = await work.push(rig.url(), refspec="HEAD:refs/heads/release")

    assert "kept, not deployed; deployed is release" in kept.err
    assert "created     ConfigMap shop/a" in pushed.err
    assert (await work.git("ls-remote", "--symref", rig.url(), "HEAD")).out.startswith("ref: refs/heads/release")


async def test_the_deployed_branch_cannot_be_deleted(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url())

    pushed = await work.push(rig.url(), refspec=":refs/heads/main")

    assert "! [remote rejected] main (the deployed branch main cannot be deleted)" in pushed.err
    assert "push a commit without the manifests" in pushed.err
    assert "refs/heads/main" in await advertised(rig, work)


async def test_history_is_rewritten_on_purpose_only(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url())
    await work.git("commit", "-q", "--amend", "-m", "another")

    assert "[rejected]" in (await work.push(rig.url())).err
    forced = await work.push(rig.url(), "--force")
    assert "git push --force -o rewrite-history" in forced.err
    assert "! [remote rejected] HEAD -> main (the deployed branch main only moves forward" in forced.err
    allowed = await work.push(rig.url(), "--force", "-o", "rewrite-history")
    assert allowed.code == 0, allowed.err


async def test_unknown_options_are_named(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})

    pushed = await work.push(rig.url(), "-o", "confirm-prunes")

    assert "Unknown push option 'confirm-prunes'. There are:" in pushed.err
    assert "-o confirm-prune " in pushed.err
    assert rig.store.rows == {}


@pytest.mark.parametrize(
    "ref", ["refs/notes/x", "refs/for/main", "refs/moorage/x", "refs/heads/-x", "refs/heads/a.lock"]
)
async def test_other_refs_are_refused(rig: Rig, work: Work, ref: str) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url())
    rows = dict(rig.store.rows)

    pushed = await work.push(rig.url(), refspec=f"HEAD:{ref}")

    assert pushed.code != 0
    assert rig.store.rows == rows


async def test_a_branch_and_a_folder_of_branches_cannot_share_a_name(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url())
    await work.push(rig.url(), refspec="HEAD:refs/heads/feature")

    pushed = await work.push(rig.url(), refspec="HEAD:refs/heads/feature/x")

    assert "refs/heads/feature/x and refs/heads/feature cannot both be there" in pushed.err
    both = await work.git("push", rig.url(), ":refs/heads/feature", "HEAD:refs/heads/feature/x", check=False)
    assert both.code == 0, both.err
    assert "refs/heads/feature/x" in await advertised(rig, work)


async def test_of_concurrent_pushes_to_one_branch_one_wins(rig: Rig, tmp_path: Path) -> None:
    works = [await Work(tmp_path / f"w{i}").init() for i in range(6)]
    base = works[0]
    await base.commit({"a.yaml": config_map("a", k="0")})
    await base.push(rig.url())
    commits = []
    for index, work in enumerate(works[1:]):
        await work.git("pull", "-q", rig.url(), "main")
        commits.append(await work.commit({"a.yaml": config_map("a", k=str(index))}, f"change {index}"))

    pushed = await asyncio.gather(*(work.push(rig.url()) for work in works[1:]))

    winners = [index for index, ran in enumerate(pushed) if ran.code == 0]
    assert len(winners) == 1, [ran.err for ran in pushed]
    for index, ran in enumerate(pushed):
        if index not in winners:
            assert "rejected" in ran.err
    found = rig.get("", "configmaps", "shop", "a")
    assert found is not None
    assert found["data"] == {"k": str(winners[0])}
    assert (await advertised(rig, base))["refs/heads/main"] == commits[winners[0]]


async def test_concurrent_pushes_to_many_repositories_all_win(rig: Rig, tmp_path: Path) -> None:
    works = [await Work(tmp_path / f"w{i}").init() for i in range(8)]
    for index, work in enumerate(works):
        await work.commit({"a.yaml": config_map(f"a{index}", k="0")})

    pushed = await asyncio.gather(*(work.push(rig.url(f"shop/r{i}")) for i, work in enumerate(works)))

    assert [ran.code for ran in pushed] == [0] * 8, [ran.err for ran in pushed]
    assert rig.names("", "configmaps") == [f"a{i}" for i in range(8)]


async def test_a_differing_ref_on_disk_is_repaired_before_it_is_shown(rig: Rig, work: Work) -> None:
    first = await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url())
    second = await work.commit({"a.yaml": config_map("a", k="2")})
    await work.push(rig.url())
    await work.git("--git-dir", str(bare(rig)), "update-ref", "refs/heads/main", first)
    await work.git("--git-dir", str(bare(rig)), "update-ref", "refs/heads/stray", first)

    refs = await advertised(rig, work)

    assert refs == {"HEAD": second, "refs/heads/main": second}


async def test_stale_locks_do_not_stop_a_repair(rig: Rig, work: Work) -> None:
    import os

    first = await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url())
    second = await work.commit({"a.yaml": config_map("a", k="2")})
    await work.push(rig.url())
    await work.git("--git-dir", str(bare(rig)), "update-ref", "refs/heads/main", first)
    lock = bare(rig) / "refs" / "heads" / "main.lock"
    lock.touch()
    os.utime(lock, (1, 1))

    assert (await advertised(rig, work))["refs/heads/main"] == second


async def test_a_lost_repository_is_made_whole_by_a_push(rig: Rig, work: Work) -> None:
    """The disk of the server is gone, the database is not."""
    import shutil

    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url())
    shutil.rmtree(bare(rig))
    assert await advertised(rig, work) == {}
    commit = await work.commit({"a.yaml": config_map("a", k="2")})

    pushed = await work.push(rig.url())

    assert pushed.code == 0, pushed.err
    assert (await advertised(rig, work))["refs/heads/main"] == commit


@pytest.mark.parametrize("fault", ["before", "after"])
async def test_a_lost_answer_of_the_database_is_looked_up(rig: Rig, work: Work, fault: str) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url())
    commit = await work.commit({"a.yaml": config_map("a", k="2")})
    rig.store.fault = fault

    pushed = await work.push(rig.url())

    found = rig.get("", "configmaps", "shop", "a")
    assert found is not None
    done = (await advertised(rig, work))["refs/heads/main"] == commit
    assert (pushed.code == 0) == done == (found["data"] == {"k": "2"}) == (fault == "after"), pushed.err
    if fault == "before":
        assert "nothing was applied; push again" in pushed.err
        assert (await work.push(rig.url())).code == 0


async def test_without_the_database_nothing_is_accepted_or_shown(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    rig.store.down = True

    pushed = await work.push(rig.url())

    assert "the database cannot be reached; try again soon" in pushed.err
    rig.store.down = False
    assert (await work.push(rig.url())).code == 0
