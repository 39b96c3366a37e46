"""What keeps the Git host's disk in order: repositories whose object is gone, repositories of many packs.

Runs after requests, so that nobody has to start it and an idle server does nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from moorage.resources.gitops import REPOSITORY
from moorage.store.contracts import Unavailable
from moorage_gitops.host.git.process import GitError
from moorage_gitops.host.git.refs import repair
from moorage_gitops.host.host import Host

logger = logging.getLogger(__name__)
SWEEP_SECONDS = 600.0
PACKS = 40
"""More packs than this in one repository are made one."""


class Upkeep:
    """Sweeps and repacks, one at a time."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._next_sweep = 0.0
        self._busy = False

    async def after_request(self) -> None:
        """Sweep where it is time."""
        now = time.monotonic()
        if self._busy or now < self._next_sweep:
            return
        self._busy = True
        try:
            await self.sweep()
            self._next_sweep = now + SWEEP_SECONDS
        except Unavailable:
            logger.info("repositories are not swept while the database is away")
        except OSError:
            logger.exception("repositories could not be swept")
        finally:
            self._busy = False

    async def sweep(self) -> list[str]:
        """Put aside the repositories whose object is gone. Raises Unavailable, and then does nothing."""
        store = self._host.config.store
        # Directories first: one that is made while the list is read belongs to an object that is not in it yet.
        there = await asyncio.to_thread(self._host.repositories.uids)
        cache = await store.cache(REPOSITORY.storage)
        await cache.wait(await store.latest())
        known = {entry.uid for entry in cache.entries()}
        gone = [uid for uid in there if uid not in known]
        for uid in gone:
            async with self._host.lock(uid):
                await asyncio.to_thread(self._host.repositories.remove, uid)
            logger.info("the repository of uid %s was put aside: its object is gone", uid)
        await asyncio.to_thread(self._host.repositories.purge, time.time())
        return gone

    async def after_push(self, uid: str, repository: Path) -> None:
        """Make one pack of many. Objects that no ref reaches are kept for two weeks (Git's default)."""
        packs = await asyncio.to_thread(lambda: len(list((repository / "objects" / "pack").glob("*.pack"))))
        if packs <= PACKS:
            return
        async with self._host.lock(uid):
            try:
                # What the rows name must be reachable before anything is thought to be garbage.
                await repair(self._host.git, repository, await self._host.config.store.refs(uid))
                await self._host.git.run(repository, "gc", "--quiet")
            except (GitError, Unavailable) as error:
                logger.warning("%s was not repacked: %s", repository.name, error)
