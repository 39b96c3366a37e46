"""Reading many blobs with one Git process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from moorage_gitops.host.git.process import Git


async def read(
    git: Git, repository: Path, oids: Sequence[str], variables: Mapping[str, str], limit: int
) -> list[bytes]:
    """The contents of ``oids``, in order. Raises OutputTooLarge past ``limit`` bytes, GitError."""
    if not oids:
        return []
    request = "".join(f"{oid}\n" for oid in oids).encode()
    output = await git.run(
        repository,
        "cat-file",
        "--batch",
        "--buffer",
        stdin=request,
        extra=variables,
        limit=limit + 200 * len(oids),
    )
    contents, at = [], 0
    for _ in oids:
        end = output.index(b"\n", at)
        size = int(output[at:end].split(b" ")[2])
        contents.append(output[end + 1 : end + 1 + size])
        at = end + 1 + size + 1
    return contents
