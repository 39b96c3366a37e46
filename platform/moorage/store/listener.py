"""Hears of commits by other processes: PostgreSQL's notifications, and a look once a second in case one was missed."""

from __future__ import annotations

import asyncio
import logging

import psycopg

from moorage.store.committer import Committer
from moorage.store.contracts import Unavailable
from moorage.store.database import FIRST_PAUSE, LONGEST_PAUSE, Connection, Database, abandon
from moorage.store.feed import Feed
from moorage.store.probe import Probe

log = logging.getLogger("moorage.store.listener")


class Listener:
    """Keeps the feed up to date with the log."""

    def __init__(self, database: Database, feed: Feed, probe: Probe, committer: Committer) -> None:
        self._database = database
        self._feed = feed
        self._probe = probe
        self._committer = committer
        self.connected = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is opened anew, with growing pauses."""
        pause = FIRST_PAUSE
        while True:
            connection: Connection | None = None
            try:
                connection = await self._database.connect()
                await connection.execute("LISTEN moorage")
                # Whatever was committed before we listened has sent its notification already.
                await self._look()
                self.connected.set()
                pause = FIRST_PAUSE
                while True:
                    await self._listen(connection)
            except (Unavailable, psycopg.OperationalError, OSError) as error:
                log.warning("not listening: %s", error, extra={"action": "listen", "retry_in": pause})
            finally:
                self.connected.clear()
                if connection is not None:
                    await abandon(connection)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _listen(self, connection: Connection) -> None:
        """One second's worth of notifications, and a look of our own at its end."""
        async for notification in connection.notifies(timeout=self._database.settings.poll):
            # Our own commits the committer brings into the caches, without reading them back.
            if notification.pid != self._committer.backend:
                await self._feed.catch_up(int(notification.payload))
        await self._look()

    async def _look(self) -> None:
        newest = await self._probe.latest()
        self._feed.horizon = max(self._feed.horizon, self._probe.horizon)
        await self._feed.wait_own()
        await self._feed.catch_up(newest)
