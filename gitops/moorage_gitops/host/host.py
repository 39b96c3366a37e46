"""What the pushes and fetches of one process share."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from moorage.api.fairness.queues import Level
from moorage_gitops.host.config import GitHostConfig
from moorage_gitops.host.git.repositories import Repositories
from moorage_gitops.host.turns import Turns


class Host:
    """The Git host of one API server."""

    def __init__(self, config: GitHostConfig) -> None:
        self.config = config
        self.repositories = Repositories(config.directory, config.limits)
        self.git = self.repositories.git
        limits, owners = config.limits, config.flow_owners
        pushes = Level("git-push", limits.receives, limits.queue, limits.patience, limits.receives_each)
        fetches = Level("git-fetch", limits.uploads, limits.queue, limits.patience, limits.uploads_each)
        waits = Level("git-wait", limits.waits, 0, 0, limits.waits_each)
        self.receives = Turns(pushes, waits, owners)
        self.uploads = Turns(fetches, waits, owners)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def lock(self, uid: str) -> asyncio.Lock:
        """Held while a push to the repository is decided and its refs are written; between servers the ref row decides."""
        return self._locks[uid]
