"""Which files of a commit's tree are manifests. Pure: takes what ``git ls-tree -r -z -l`` prints."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field

from moorage_gitops.host.deploy.problems import Problem
from moorage_gitops.host.manifests.limits import ManifestLimits

SUFFIXES = (".yaml", ".yml", ".json")
_SYMLINK, _SUBMODULE = "120000", "160000"
_FORBIDDEN = frozenset(("", ".", "..", ".git"))


@dataclass(frozen=True, slots=True)
class Blob:
    """A manifest file: its path within the repository, object id and size in bytes."""

    path: str
    oid: str
    size: int


@dataclass(slots=True)
class Selection:
    """The manifest files of a tree, and what forbids to deploy it."""

    blobs: list[Blob] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def select(entries: Iterable[bytes], prefix: str, limits: ManifestLimits) -> Selection:
    """The manifests among ``entries`` (``mode type oid size<TAB>path``).

    ``prefix`` is the folder that was listed, "" for the root.
    """
    selection = Selection()
    total = 0
    for entry in entries:
        meta, _, raw = entry.partition(b"\t")
        mode, _type, oid, size = meta.decode("ascii").split()
        name = raw.decode(errors="surrogateescape")
        path = posixpath.join(prefix, name) if prefix else name
        problem = _odd(path, name, mode)
        if problem is not None:
            selection.problems.append(problem)
        elif _is_manifest(name) and mode not in (_SYMLINK, _SUBMODULE):
            blob = Blob(path, oid, int(size))
            selection.blobs.append(blob)
            total += blob.size
            if blob.size > limits.file_bytes:
                selection.problems.append(
                    Problem(path, 0, "", f"{blob.size} bytes; a manifest may have {limits.file_bytes}")
                )
    if len(selection.blobs) > limits.files:
        message = f"{len(selection.blobs)} manifest files; one commit may deploy {limits.files}. Split the application"
        selection.problems.append(Problem(prefix or "(the whole tree)", 0, "", message))
    elif total > limits.total_bytes:
        message = f"the manifests have {total} bytes together; one commit may deploy {limits.total_bytes}. Split the application"
        selection.problems.append(Problem(prefix or "(the whole tree)", 0, "", message))
    return selection


def bad_folder(path: str) -> str:
    """What is wrong with the folder that an Application or Repository names, or ""."""
    parts = path.strip("/").split("/")
    if (
        path.startswith("/")
        or any(part in _FORBIDDEN for part in parts)
        or any(not part.isprintable() for part in parts)
    ):
        return f"{path!r} is not a folder of the tree: it must be relative, without '.', '..' and '.git'"
    return ""


def _is_manifest(name: str) -> bool:
    hidden = any(part.startswith(".") for part in name.split("/"))
    return not hidden and name.lower().endswith(SUFFIXES)


def _odd(path: str, name: str, mode: str) -> Problem | None:
    """What no deployed tree may hold. Only manifests and what could hide some is looked at."""
    shown = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    parts = name.split("/")
    if any(part in _FORBIDDEN for part in parts) or name.startswith("/"):
        return Problem(shown, 0, "", "a path with '.', '..' or '.git' in it is refused")
    if mode == _SUBMODULE:
        return Problem(
            shown, 0, "", "a submodule is not read; commit its manifests, or move it out of the deployed folder"
        )
    if not _is_manifest(name):
        return None
    if mode == _SYMLINK:
        return Problem(shown, 0, "", "a symbolic link is not followed; commit the file itself")
    if not path.isprintable() or "\\" in path or shown != path:
        return Problem(shown, 0, "", "a file name must be printable UTF-8 without backslashes")
    return None
