"""The committer's connection: registered under the writer's epoch, and the ear for other processes' commits.

One connection does both because it is the cheapest: a session that is sent its own notifications gets them with the
answer to its commit, where a second session would be woken, and would wake this process, for each of our own commits.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import datetime

import psycopg

from moorage.store.commit import PREPARE
from moorage.store.contracts import Unavailable
from moorage.store.database import Connection, Database, abandon, limited
from moorage.store.epochs import LOCK
from moorage.store.pipe import Pipe

log = logging.getLogger("moorage.store.committer")

RAISE_EPOCH = """
INSERT INTO writers AS w VALUES (%s, %s, %s, clock_timestamp())
ON CONFLICT (writer) DO UPDATE SET epoch = greatest(w.epoch + 1, excluded.epoch), changed_at = excluded.changed_at
RETURNING epoch
"""


# A batch of a lost connection may still run, or wait for the rest of its message with the store lock in its hands.
END_FORMER = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"
OURSELVES = "SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
# Where the network swallowed our words in the middle of a batch, nothing else would end its transaction for minutes.
LIMIT = "SELECT set_config('transaction_timeout', %s, false)"
LIMIT_SINCE = 170000


class WriterLink:
    """``writer`` names this process, whatever connections it goes through; ``epoch`` counts those. ``heard`` is called
    with the revision of each notification that another process sent.
    """

    def __init__(self, database: Database, heard: Callable[[int], None]) -> None:
        self.writer = f"{database.server_name}/{uuid.uuid4()}"
        self.epoch = 0
        self.on_loss: Callable[[], None] = lambda: None
        """Called when the connection goes away while nothing is under way."""
        self._database = database
        self._heard = heard
        self._pipe: Pipe | None = None
        self._backend = 0
        self._backend_start: datetime | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._pipe is not None and self._pipe.open

    async def connect(self, deadline: float) -> Pipe:
        """The connection; a new one registers under a new epoch first, which makes batches of older ones void. Raises
        Unavailable.
        """
        if self._pipe is None or not self._pipe.open:
            connection = await self._database.connect_within(deadline)
            try:
                with limited(connection, self._database.settings.attempt_timeout):
                    await self._register(connection)
            except (psycopg.OperationalError, OSError) as error:
                await abandon(connection)
                raise Unavailable(f"PostgreSQL went away: {error}") from error
            except BaseException:
                await abandon(connection)
                raise
            self._pipe = Pipe(connection, notified=self._notified, lost=self._lost)
        return self._pipe

    async def disconnect(self) -> None:
        """Give the connection up."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            await pipe.close()

    async def _register(self, connection: Connection) -> None:
        await connection.execute(END_FORMER, (self._backend, self._backend_start))
        if connection.info.server_version >= LIMIT_SINCE:
            limit = f"{round(self._database.settings.attempt_timeout * 1000)}ms"
            await connection.execute(LIMIT, (limit,))
        async with connection.transaction():
            await connection.execute(LOCK)
            arguments = (self.writer, self.epoch + 1, self._database.server_name)
            row = await (await connection.execute(RAISE_EPOCH, arguments)).fetchone()
            ourselves = await (await connection.execute(OURSELVES)).fetchone()
        assert row is not None
        assert ourselves is not None
        self.epoch = row[0]
        self._backend, self._backend_start = connection.info.backend_pid, ourselves[0]
        connection.add_notify_handler(lambda notification: self._notified(notification.pid, notification.payload))
        await connection.execute("LISTEN moorage")
        await connection.execute(PREPARE)

    def _lost(self) -> None:
        log.warning("connection lost while idle", extra={"action": "lost"})
        self.on_loss()

    def _notified(self, sender: int, payload: str) -> None:
        # Our own commits come into the caches with their bytes, not from the log.
        if sender != self._backend:
            self._heard(int(payload))
