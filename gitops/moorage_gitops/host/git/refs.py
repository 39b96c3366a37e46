"""Refs on disk follow the ref rows in the database, which are the truth."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from moorage_gitops.host.git.process import Git

logger = logging.getLogger(__name__)
ZERO = "0" * 40


async def on_disk(git: Git, repository: Path) -> dict[str, str]:
    """The refs that Git would advertise, but HEAD."""
    output = await git.run(repository, "for-each-ref", "--format=%(objectname) %(refname)")
    pairs = (line.split(" ", 1) for line in output.decode(errors="surrogateescape").splitlines())
    return {name: oid for oid, name in pairs}


async def present(git: Git, repository: Path, oids: list[str], extra: Mapping[str, str] | None = None) -> set[str]:
    """Those of ``oids`` whose object the repository has."""
    if not oids:
        return set()
    output = await git.run(
        repository, "cat-file", "--batch-check", stdin="".join(f"{oid}\n" for oid in oids).encode(), extra=extra
    )
    return {line.split(" ")[0] for line in output.decode().splitlines() if not line.endswith(" missing")}


async def write(git: Git, repository: Path, changes: Mapping[str, str]) -> None:
    """Set refs on disk; "" deletes one. All or none."""
    if not changes:
        return
    lines = [f"update {ref}\0{oid}\0\0" if oid else f"delete {ref}\0\0" for ref, oid in changes.items()]
    await git.run(repository, "update-ref", "--stdin", "-z", stdin="".join(lines).encode(errors="surrogateescape"))


async def repair(git: Git, repository: Path, rows: Mapping[str, str]) -> dict[str, str]:
    """Make the refs on disk those of ``rows``; returns what was changed.

    A row whose object is missing here (a restored database, a lost disk) leaves its ref as it is: it cannot be served,
    and a push that brings the object makes it whole.
    """
    disk = await on_disk(git, repository)
    wanted = {ref: oid for ref, oid in rows.items() if oid and disk.get(ref) != oid}
    there = await present(git, repository, list(wanted.values()))
    changes = {ref: oid for ref, oid in wanted.items() if oid in there}
    changes |= {ref: "" for ref in disk if not rows.get(ref)}
    await write(git, repository, changes)
    for ref in changes:
        logger.warning("%s: %s differed from its row in the database and was repaired", repository.name, ref)
    for ref in wanted.keys() - changes.keys():
        logger.error("%s: %s should be %s, which this server does not have", repository.name, ref, wanted[ref])
    return changes


async def is_ancestor(git: Git, repository: Path, old: str, new: str, extra: Mapping[str, str]) -> bool:
    """Whether ``new`` holds all of ``old``'s history. A missing ``old`` is no ancestor."""
    if old not in await present(git, repository, [old], extra):
        return False
    return await git.succeeds(repository, "merge-base", "--is-ancestor", old, new, extra=extra)
