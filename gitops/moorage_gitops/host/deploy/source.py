"""Reading a commit: its tree, its manifest files, its message. Objects may still be in the quarantine of a push."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from moorage_gitops.host.deploy import tree
from moorage_gitops.host.deploy.problems import Problem, Refused
from moorage_gitops.host.git.blobs import read
from moorage_gitops.host.git.process import Git, OutputTooLarge
from moorage_gitops.host.manifests import jsontext, yaml
from moorage_gitops.host.manifests.limits import ManifestError, ManifestLimits, Parsed

_BOM = b"\xef\xbb\xbf"
_IN_THREAD = 64 << 10
"""Manifests of more bytes than this are parsed in a thread, so that other requests get their turn."""


@dataclass(slots=True)
class Reading:
    """What a commit holds. ``documents`` are (file, document); ``texts`` the lines of files, for excerpts."""

    files: int = 0
    documents: list[tuple[str, Parsed]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    texts: dict[str, bytes] = field(default_factory=dict)

    def excerpt(self, file: str, line: int) -> str:
        """A line of a file; "" where there is none, and where the file has a Secret: a line may hold two objects."""
        text = self.texts.get(file, b"")
        if b"Secret" in text:
            return ""
        lines = text.split(b"\n", line)
        return lines[line - 1].decode(errors="replace") if 0 < line <= len(lines) else ""


class CommitReader:
    """Reads commits of one repository."""

    def __init__(self, git: Git, repository: Path, variables: Mapping[str, str], limits: ManifestLimits) -> None:
        self._git = git
        self._repository = repository
        self._variables = variables
        self.limits = limits

    async def message(self, commit: str) -> str:
        """The commit's message. Raises Refused where it is too long to be read."""
        try:
            text = await self._git.run(
                self._repository, "cat-file", "commit", commit, extra=self._variables, limit=4 << 20
            )
        except OutputTooLarge:
            raise Refused("the commit's message is longer than 4 MB") from None
        return text.partition(b"\n\n")[2].decode(errors="replace")

    async def read(self, commit: str, folder: str) -> Reading:
        """The manifests below ``folder`` ("" for all). Mistakes are collected in the result.

        Raises Refused where nothing can be read.
        """
        selection = tree.select(await self._list(commit, folder), folder.strip("/"), self.limits)
        reading = Reading(files=len(selection.blobs), problems=selection.problems)
        if reading.problems:
            return reading
        oids = [blob.oid for blob in selection.blobs]
        contents = await read(self._git, self._repository, oids, self._variables, self.limits.total_bytes)
        reading.texts = {blob.path: content for blob, content in zip(selection.blobs, contents, strict=True)}
        # A few aliases may unfold to many values: those too are parsed beside the event loop.
        if sum(map(len, contents)) > _IN_THREAD or any(b"*" in content for content in contents):
            await asyncio.to_thread(parse, reading, self.limits)
        else:
            parse(reading, self.limits)
        return reading

    async def _list(self, commit: str, folder: str) -> list[bytes]:
        if folder and (problem := tree.bad_folder(folder)):
            raise Refused(problem)
        treeish = f"{commit}:{folder.strip('/')}"
        entries: list[bytes] = []
        pending = b""
        arguments = ["ls-tree", "-r", "-z", "-l", treeish]
        async with self._git.spawn(self._repository, arguments, extra=self._variables) as process:
            assert process.stdout is not None
            while chunk := await process.stdout.read(1 << 16):
                *complete, pending = (pending + chunk).split(b"\0")
                entries += complete
                # A tree may name itself again and again: a few objects, any number of paths.
                if len(entries) > self.limits.tree_entries:
                    raise Refused(
                        f"the commit's tree has more than {self.limits.tree_entries} entries; deploy a folder of it"
                    )
                if len(pending) > 1 << 16:
                    raise Refused("the commit's tree has a path longer than 65,536 bytes")
            if await process.wait() == 0:
                return entries
        if folder:
            raise Refused(f"the commit has no folder {folder!r}, which is to be deployed (spec.path)")
        raise Refused("the commit's tree cannot be read")


def parse(reading: Reading, limits: ManifestLimits) -> None:
    """Parse every file of ``reading.texts`` into ``documents``, ``problems`` and ``skipped``."""
    for file, content in reading.texts.items():
        try:
            documents = load(file, content, limits)
        except ManifestError as error:
            reading.problems.append(Problem(file, error.line, "", error.message))
            continue
        for document in documents:
            if isinstance(document.value, dict) and not document.value.keys() & {"apiVersion", "kind", "metadata"}:
                reading.skipped.append(file)
            else:
                reading.documents.append((file, document))


def load(file: str, content: bytes, limits: ManifestLimits) -> list[Parsed]:
    """The documents of one file. Raises ManifestError."""
    content = content.removeprefix(_BOM)
    if b"\0" in content:
        raise ManifestError(
            "not a text file; a manifest is YAML or JSON in UTF-8", content.count(b"\n", 0, content.index(b"\0")) + 1
        )
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise ManifestError("not valid UTF-8", content.count(b"\n", 0, error.start) + 1) from None
    if file.lower().endswith(".json"):
        return jsontext.load(content, limits)
    return yaml.load(content, limits)
