"""The host's disk follows the Repository objects, and stays small."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moorage.api.contracts import Operation, TransactionRequest
from moorage.resources.gitops import REPOSITORY
from moorage_gitops.host import upkeep
from moorage_gitops.host.upkeep import Upkeep
from tests.integration.gitops.manifests import config_map
from tests.integration.gitops.rig import TOKENS, Rig, Work


def repositories(rig: Rig) -> list[Path]:
    return [path for path in (rig.directory / "git").glob("*.git") if path.name != "empty-repository.git"]


async def test_a_deleted_repository_is_put_aside_and_later_deleted(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url("shop/stays"))
    (stays,) = repositories(rig)
    await work.push(rig.url("shop/goes"), "-o", "adopt")
    operation = Operation(verb="delete", kind=REPOSITORY, namespace="shop", name="goes")
    await rig.engine.transact(TOKENS["admin-token"], TransactionRequest(operations=[operation]))

    gone = await Upkeep(rig.app.host).sweep()

    assert len(gone) == 1
    assert repositories(rig) == [stays]
    (aside,) = (rig.directory / "git" / "removed").iterdir()
    os.utime(aside, (1, 1))
    await Upkeep(rig.app.host).sweep()
    assert not aside.exists()
    assert rig.names("", "configmaps") == ["a"], "what was deployed stays"


async def test_a_repository_made_anew_does_not_show_the_old_one(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url())
    operation = Operation(verb="delete", kind=REPOSITORY, namespace="shop", name="web")
    await rig.engine.transact(TOKENS["admin-token"], TransactionRequest(operations=[operation]))
    assert (await work.git("ls-remote", rig.url(), check=False)).code != 0

    pushed = await work.push(rig.url())

    assert "[new branch]" in pushed.err


async def test_many_packs_become_one(rig: Rig, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        await work.commit({"a.yaml": config_map("a", k=str(number))})
        await work.push(rig.url())
    (repository,) = repositories(rig)
    assert len(list((repository / "objects" / "pack").glob("*.pack"))) == 4
    monkeypatch.setattr(upkeep, "PACKS", 3)

    await Upkeep(rig.app.host).after_push(repository.stem, repository)

    assert len(list((repository / "objects" / "pack").glob("*.pack"))) == 1
    assert (await work.git("ls-remote", rig.url())).out.count("refs/heads/main") == 1
