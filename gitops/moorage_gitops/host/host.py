"""What the pushes and fetches of one process share."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from moorage_gitops.host.config import GitHostConfig
from moorage_gitops.host.git.repositories import Repositories


class Host:
    """The Git host of one API server."""

    def __init__(self, config: GitHostConfig) -> None:
        self.config = config
        self.repositories = Repositories(config.directory, config.limits)
        self.git = self.repositories.git
        self.receives = asyncio.Semaphore(config.limits.receives)
        self.uploads = asyncio.Semaphore(config.limits.uploads)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def lock(self, uid: str) -> asyncio.Lock:
        """Held while a push to the repository is decided and its refs are written; between servers the ref row decides."""
        return self._locks[uid]
