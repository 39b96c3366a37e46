"""Refs on disk follow the ref rows in the database, which are the truth."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from moorage_gitops.host.git.process import Git, GitError

logger = logging.getLogger(__name__)
ZERO = "0" * 40
_STALE_SECONDS = 30.0


async def on_disk(git: Git, repository: Path) -> dict[str, str]:
    """The refs that Git would advertise, but HEAD."""
    output = await git.run(repository, "for-each-ref", "--format=%(objectname) %(refname)")
    pairs = (line.split(" ", 1) for line in output.decode(errors="surrogateescape").splitlines())
    return {name: oid for oid, name in pairs}


async def types(
    git: Git, repository: Path, oids: Sequence[str], extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The type (commit, tag, tree, blob) of each of ``oids`` that the repository has."""
    if not oids:
        return {}
    lines = "".join(f"{oid}\n" for oid in oids).encode()
    output = await git.run(repository, "cat-file", "--batch-check", stdin=lines, extra=extra)
    found = (line.split(" ") for line in output.decode().splitlines())
    return {words[0]: words[1] for words in found if len(words) == 3}


async def write(git: Git, repository: Path, changes: Mapping[str, str]) -> None:
    """Set refs on disk; "" deletes one. Deletions come first: ``a`` makes room for ``a/b``. Raises GitError."""
    deletions = [f"delete {ref}\0\0" for ref, oid in changes.items() if not oid]
    updates = [f"update {ref}\0{oid}\0\0" for ref, oid in changes.items() if oid]
    for lines in (deletions, updates):
        if lines:
            data = "".join(lines).encode(errors="surrogateescape")
            try:
                await git.run(repository, "update-ref", "--stdin", "-z", stdin=data)
            except GitError as error:
                if ".lock" not in error.stderr or not await asyncio.to_thread(_clear_locks, repository):
                    raise
                await git.run(repository, "update-ref", "--stdin", "-z", stdin=data)


def _clear_locks(repository: Path) -> bool:
    """Remove locks that a killed Git has left; a living one holds its locks for milliseconds. Blocking."""
    before = time.time() - _STALE_SECONDS
    stale = [
        path
        for path in (*repository.glob("*.lock"), *repository.glob("refs/**/*.lock"))
        if path.stat().st_mtime < before
    ]
    for path in stale:
        logger.warning("%s: removing the lock %s, left by a Git process that was killed", repository.name, path.name)
        path.unlink(missing_ok=True)
    return bool(stale)


async def repair(git: Git, repository: Path, rows: Mapping[str, str]) -> dict[str, str]:
    """Make the refs on disk those of ``rows``; returns what was changed.

    A row whose object is missing here (a restored database, a lost disk) leaves its ref as it is: it cannot be served,
    and a push that brings the object makes it whole.
    """
    disk = await on_disk(git, repository)
    wanted = {ref: oid for ref, oid in rows.items() if oid and disk.get(ref) != oid}
    there = await types(git, repository, list(wanted.values()))
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
    if old not in await types(git, repository, [old], extra):
        return False
    return await git.succeeds(repository, "merge-base", "--is-ancestor", old, new, extra=extra)
