"""What becomes of Secrets that a push carries in the clear: the policy, what the push is told, and how its history is searched.

A repository keeps what was once pushed, for everybody who may ever read it. So not only the commit that is deployed counts, but
every file of every commit that comes with the push.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from moorage.resources.core.namespaces import NAMESPACE
from moorage.resources.gitops_rules import PLAIN_SECRETS
from moorage.resources.kind import Document
from moorage.resources.tenancy import TENANT, tenant_of
from moorage.store.contracts import Store
from moorage_gitops.host.deploy.objects import Desired
from moorage_gitops.host.deploy.problems import Problem
from moorage_gitops.host.git.blobs import read
from moorage_gitops.host.git.process import Git, OutputTooLarge
from moorage_gitops.scanning.manifests import SUFFIXES, plain_secrets

REFUSE, WARN, ALLOW = PLAIN_SECRETS
_LARGEST = 1 << 20
_LISTING = 32 << 20
_BATCH_BYTES = 256 << 20
_BATCH_FILES = 20_000


async def policy_of(store: Store, repository: Document) -> str:
    """``refuse``, ``warn`` or ``allow``: the stricter one of what the repository and its tenant say; refuse where none does."""
    metadata, spec = repository["metadata"], repository.get("spec") or {}
    said = [spec.get("plainSecrets")]
    namespace = (await store.cache(NAMESPACE.storage)).get("", metadata["namespace"])
    tenant = tenant_of(namespace.labels) if namespace is not None else ""
    entry = (await store.cache(TENANT.storage)).get("", tenant) if tenant else None
    if entry is not None:
        found = orjson.loads(entry.data)
        said.append(((found.get("spec") or {}).get("secrets") or {}).get("plainInGit"))
    return min((each for each in said if each in PLAIN_SECRETS), key=PLAIN_SECRETS.index, default=REFUSE)


@dataclass(slots=True)
class Plain:
    """Plain Secrets of a push, and the commands that seal them. ``cut`` says that not everything could be looked through."""

    problems: list[Problem] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    cut: bool = False

    def advice(self) -> list[str]:
        """What to do, as commands."""
        earlier = any("an earlier commit" in problem.message for problem in self.problems)
        lines = ["", "Seal them, so that only this platform can read what you commit:"]
        lines += [f"  {command}" for command in self.commands]
        lines.append("and take the plain text out of the commits that you push:")
        if earlier:
            lines.append(
                "  git reset --soft @{upstream} && git commit      (or: git rebase -i, and edit the commits named above)"
            )
        else:
            lines.append("  git add -A && git commit --amend --no-edit")
        lines.append("Then give the values another time: what was pushed to another server, or copied, is known there.")
        return lines


def of_objects(desired: Iterable[Desired], into: Plain) -> None:
    """Add the plain Secrets among the objects of the commit."""
    for item in desired:
        keys = sorted(_values(item.document)) if item.kind.sealed else []
        if keys:
            field_name = "stringData" if keys[0] in (item.document.get("stringData") or {}) else "data"
            message = f"a Secret in the clear ({', '.join(keys[:5])}) is not accepted from Git"
            into.problems.append(Problem(item.file, item.line(f"{field_name}[{keys[0]}]"), item.subject, message))
            _add_command(into, item.file, item.namespace)


class PushHistory:
    """Looks through the files that a push brings, whatever commit they are in."""

    def __init__(self, git: Git, repository: Path, variables: Mapping[str, str]) -> None:
        self._git = git
        self._repository = repository
        self._variables = variables

    async def search(self, commits: Sequence[str], folders: Sequence[str], namespace: str, into: Plain) -> None:
        """Add what the new blobs of ``commits`` below ``folders`` hold and ``into`` does not name yet."""
        try:
            blobs = await self._new_blobs(commits, folders)
            if len(blobs) > _BATCH_FILES:
                raise OutputTooLarge("rev-list")
            contents = await read(self._git, self._repository, list(blobs), self._variables, _BATCH_BYTES)
        except OutputTooLarge:
            into.cut = True
            return
        known = {problem.file for problem in into.problems}
        texts = [
            (path, content) for (_, path), content in zip(blobs.items(), contents, strict=True) if path not in known
        ]
        for path, content in texts:
            if b"Secret" not in content and b"secretGenerator" not in content:
                continue
            found = await asyncio.to_thread(plain_secrets, content)
            for secret in found[:1]:
                named = f"Secret {secret.name}" if secret.name else "Secret"
                message = f"an earlier commit of this push, or a generator, has it in the clear ({', '.join(secret.keys[:5])})"
                into.problems.append(Problem(path, secret.line, named, message))
                _add_command(into, path, namespace)

    async def _new_blobs(self, commits: Sequence[str], folders: Sequence[str]) -> dict[str, str]:
        """Object id -> path of the manifests that are in no ref of the repository yet."""
        paths = [f":(literal){folder.strip('/')}" for folder in folders if folder.strip("/")]
        listed = await self._git.run(
            self._repository,
            "rev-list",
            "--objects",
            f"--filter=combine:object:type=blob+blob:limit={_LARGEST}",
            *commits,
            "--not",
            "--all",
            "--",
            *(paths if len(paths) == len(folders) else ()),
            extra=self._variables,
            limit=_LISTING,
        )
        blobs: dict[str, str] = {}
        for line in listed.decode(errors="replace").splitlines():
            oid, _, path = line.partition(" ")
            if path.lower().endswith(SUFFIXES):
                blobs.setdefault(oid, path)
        return blobs


def _values(document: Document) -> set[str]:
    parts = (document.get("data") or {}, document.get("stringData") or {})
    return {str(key) for part in parts if isinstance(part, dict) for key, value in part.items() if value}


def _add_command(into: Plain, path: str, namespace: str) -> None:
    command = f"moorage secrets seal --manifest {shlex.quote(path)} --in-place -n {namespace}"
    if command not in into.commands:
        into.commands.append(command)
