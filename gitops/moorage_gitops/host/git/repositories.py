"""Bare repositories on disk: one directory per Repository uid, made on first use, put aside when its object is gone."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from moorage_gitops.host.config import GitLimits
from moorage_gitops.host.git.process import Git
from moorage_gitops.host.push import relay

_EMPTY = "empty-repository"
HOOKS = ("pre-receive", "proc-receive")
KEPT_SECONDS = 24 * 3600.0
"""How long a removed repository can be taken back by hand from ``removed/``."""
_UID = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z-]{7,63}\Z")


class Repositories:
    """The directory tree of the Git host. Synchronous file work is short; long work goes to Git or to a thread."""

    def __init__(self, root: Path, limits: GitLimits) -> None:
        self._root = root
        self._removed = root / "removed"
        home, hooks = root / "home", root / "hooks"
        for directory in (root, self._removed, home, hooks):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in HOOKS:
            _write_hook(hooks / name, name)
        self.git = Git(home, hooks, limits)
        self._making = asyncio.Lock()

    def path(self, uid: str) -> Path:
        """Where the repository of ``uid`` is. Raises ValueError for what is no uid."""
        if not _UID.match(uid):
            raise ValueError(f"not a uid: {uid!r}")
        return self._root / f"{uid}.git"

    async def open(self, uid: str, branch: str) -> Path:
        """The repository of ``uid``, made where there is none, with HEAD at ``branch``."""
        path = self.path(uid)
        head = f"ref: refs/heads/{branch}\n"
        if not path.is_dir():
            async with self._making:
                if not path.is_dir():
                    await self._make(path, branch)
        elif _read(path / "HEAD") != head:
            await self.git.run(path, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
        return path

    async def empty(self) -> Path:
        """A repository without refs, advertised for one that a push is going to create."""
        return await self.open(_EMPTY, "main")

    async def _make(self, path: Path, branch: str) -> None:
        scratch = Path(tempfile.mkdtemp(prefix="new-", dir=self._root))
        try:
            await self.git.run(scratch, "init", "--quiet", "--bare", "--template=")
            await self.git.run(scratch, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
            await asyncio.to_thread(scratch.rename, path)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise

    def remove(self, uid: str) -> None:
        """Put the repository of ``uid`` aside; ``purge`` deletes it for good after a day."""
        path = self.path(uid)
        with suppress(FileNotFoundError):
            aside = self._removed / f"{path.name}.{time.time_ns()}"
            path.rename(aside)
            os.utime(aside)

    def uids(self) -> list[str]:
        """The uids of the objects that have a repository on disk. Blocking."""
        return [path.stem for path in self._root.glob("*.git") if path.name != f"{_EMPTY}.git"]

    def purge(self, now: float) -> None:
        """Delete what has been put aside for a day, and the leftovers of a crash. Blocking."""
        leftovers = (self._root.glob("new-*"), self._root.glob("*.git/objects/tmp_objdir-*"))
        for path in (*self._removed.iterdir(), *itertools.chain(*leftovers)):
            if path.stat().st_mtime < now - KEPT_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def sync_packs(repository: Path) -> None:
    """Make the names of new packs durable: Git has synced the files, not the directories that hold them. Blocking."""
    for directory in (repository / "objects" / "pack", repository / "objects"):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _write_hook(path: Path, name: str) -> None:
    """A line of shell, because a hook's interpreter line has a length limit and no quoting; nothing of a user is in it."""
    script = f"#!/bin/sh\nexec {shlex.join([sys.executable, '-IS', str(relay.__file__), name])}\n"
    if _read(path) == script and os.access(path, os.X_OK):
        return
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_text(script)
    scratch.chmod(0o700)
    scratch.rename(path)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
