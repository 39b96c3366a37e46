"""The group committer: one batch under way, the next one gathers meanwhile; every outcome is known before it is told.

After a connection is lost in the middle of a batch the batch may be in the database, or may still get there: the server
may not have noticed that its client is gone. So the writer raises its epoch under the store lock: from then on the lost
batch is either committed or will be refused, and a look into the log tells which. Only then do callers get their answer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence

import psycopg

from moorage.store import commit
from moorage.store.audit_chain import AuditChain
from moorage.store.commit import Batch, Committed, Request
from moorage.store.contracts import OutcomeUnknown, Unavailable, Verdict
from moorage.store.database import FIRST_PAUSE, LONGEST_PAUSE, is_lost, limited, translate
from moorage.store.epochs import Seen
from moorage.store.errors import InvalidDocument, StaleHistory, StaleWriter
from moorage.store.feed import Feed
from moorage.store.lookup import look_up
from moorage.store.meters import StoreMeters
from moorage.store.partitions import make_partitions
from moorage.store.pipe import Pipe
from moorage.store.settings import StoreSettings
from moorage.store.writer_link import WriterLink

log = logging.getLogger("moorage.store.committer")

AGAIN = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure, psycopg.errors.LockNotAvailable)
"""Rolled back through no fault of the batch."""


class Lost(Exception):
    """The connection went away after the batch was sent: nobody knows yet whether it was committed."""


class Committer:
    """Writes of one process, over one link."""

    def __init__(self, link: WriterLink, settings: StoreSettings, seen: Seen, feed: Feed, chain: AuditChain) -> None:
        self._link = link
        link.on_loss = self._on_loss
        self._settings = settings
        self._seen = seen
        self._feed = feed
        self._chain = chain
        self._queue: deque[Request] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._retry = 0.0
        self.meters = StoreMeters(lambda: len(self._queue), chain.backlog)

    async def submit(self, request: Request) -> list[Verdict]:
        """Queue a request and wait for its verdicts. Raises OutcomeUnknown, Unavailable, InvalidDocument."""
        if self._closing:
            raise Unavailable("the server is stopping; nothing was written")
        self._queue.append(request)
        self._wake.set()
        return await request.answer

    async def run(self) -> None:
        """Commit batches until ``close``; what is queued by then is still written."""
        try:
            while True:
                if self._queue:
                    await self._settle(Batch(self._gather()))
                elif self._closing:
                    return
                else:
                    await self._idle()
        finally:
            for request in self._queue:
                if not request.answer.done():
                    request.answer.set_exception(Unavailable("the server is stopping; nothing was written"))
            self._queue.clear()
            await self._link.disconnect()

    async def _idle(self) -> None:
        """Listen until there is something to write, or to repair."""
        self._wake.clear()
        if not self._link.connected:
            try:
                await self._link.connect(time.monotonic())
            except Unavailable as error:
                log.warning("not connected: %s", error, extra={"action": "connect"})
                self._retry = min(max(self._retry * 2, FIRST_PAUSE), LONGEST_PAUSE)
                asyncio.get_running_loop().call_later(self._retry, self._wake.set)
            else:
                self._retry = 0.0
        await self._wake.wait()

    def _on_loss(self) -> None:
        self._wake.set()

    def close(self) -> None:
        """Take no more requests; ``run`` returns after the queued ones."""
        self._closing = True
        self._wake.set()

    def _gather(self) -> list[Request]:
        """The next requests that may share a batch, in order."""
        requests = [self._queue.popleft()]
        members, size = len(requests[0].writes), requests[0].size
        while self._queue and not requests[0].atomic:
            following = self._queue[0]
            members += len(following.writes)
            size += following.size
            if following.atomic or members > self._settings.batch_members or size > self._settings.batch_bytes:
                break
            requests.append(self._queue.popleft())
        return requests

    async def _settle(self, batch: Batch) -> None:
        """Commit a batch and answer every request of it, whatever happens."""
        deadline = time.monotonic() + self._settings.commit_deadline
        self._feed.own_commit = under_way = asyncio.get_running_loop().create_future()
        try:
            verdicts = await self._commit(batch, deadline)
        except (psycopg.Error, commit.Unwritable) as error:
            if len(batch.requests) > 1:
                # Somebody's member is bad in a way that the function has no verdict for; it must not spoil the others.
                for request in batch.requests:
                    await self._settle(Batch([request]))
                return
            self._refuse(batch, _explained(error))
        except (OutcomeUnknown, Unavailable) as error:
            self._refuse(batch, error)
        except asyncio.CancelledError:
            self._refuse(batch, OutcomeUnknown("the server stopped while it committed; the outcome is not known"))
            raise
        except Exception as error:
            log.exception("commit failed", extra={"action": "failed", "batch": str(batch.id)})
            self._refuse(batch, OutcomeUnknown(f"the server failed while it committed: {error!r}"))
        else:
            self._answer(batch, verdicts)
        finally:
            under_way.set_result(None)
            if self._feed.own_commit is under_way:
                self._feed.own_commit = None

    async def _commit(self, batch: Batch, deadline: float) -> list[Verdict]:
        """Try until there is an outcome. Raises OutcomeUnknown, Unavailable; psycopg.Error, Unwritable (nothing was written)."""
        sent = False
        # Taken before anything is sent: the feed may read the batch back from the log before we look for it.
        floor = self._seen.revision
        while True:
            try:
                pipe = await self._link.connect(deadline)
                found = await self._find(pipe, batch, floor) if sent else None
                if found is not None:
                    return await self._complete(batch, found, deadline)
                # What was sent before is void: the look-up found nothing, and its epoch is over.
                sent = False
                committed = await self._attempt(pipe, batch)
            except Unavailable as error:
                if sent:
                    raise OutcomeUnknown(f"the commit was sent, and then {error}") from error
                raise
            except Lost as error:
                sent = True
                log.warning("connection lost during a commit", extra={"action": "lost", "batch": str(batch.id)})
                await self._link.disconnect()
                if time.monotonic() > deadline:
                    raise OutcomeUnknown(f"the commit was sent, and then {error}") from error
            except (StaleWriter, StaleHistory, psycopg.errors.CheckViolation, *AGAIN) as error:
                if time.monotonic() > deadline:
                    raise Unavailable(f"nothing was written: {error}") from error
                await self._recover(error, batch, deadline)
            else:
                await self._apply(batch, committed)
                return committed.verdicts

    async def _attempt(self, pipe: Pipe, batch: Batch) -> Committed:
        anchor, sent = self._chain.anchor(), time.monotonic()
        for request in batch.requests:
            self.meters.waited.observe(sent - request.queued)
        arguments = commit.parameters(batch, self._link.writer, self._link.epoch, self._seen.epoch, anchor)
        try:
            # A little more than the server's own limit, which leaves the connection usable.
            with limited(pipe.connection, self._settings.attempt_timeout + 1):
                committed = await commit.call(pipe, arguments)
        except psycopg.Error as error:
            if is_lost(error, pipe.connection):
                self.meters.losses += 1
                raise Lost(str(error) or "no answer came") from error
            raise translate(error) from error
        self.meters.decided(committed.verdicts, time.monotonic() - sent)
        if anchor is not None and committed.last >= committed.first:
            self._chain.anchored(anchor)
        return committed

    async def _find(self, pipe: Pipe, batch: Batch, floor: int) -> Committed | None:
        try:
            async with pipe.driver() as connection:
                with limited(connection, self._settings.attempt_timeout):
                    return await look_up(connection, batch, floor)
        except (psycopg.OperationalError, OSError) as error:
            raise Lost(str(error)) from error

    async def _recover(self, error: Exception, batch: Batch, deadline: float) -> None:
        """Remove the cause of a refusal of the whole batch, of which nothing was written. Raises Unavailable."""
        if isinstance(error, (StaleWriter, StaleHistory)):
            # A new connection registers the writer anew and compares histories.
            await self._link.disconnect()
        elif isinstance(error, psycopg.errors.CheckViolation):
            if error.diag.constraint_name:
                raise error
            pipe = await self._link.connect(deadline)
            try:
                async with pipe.driver() as connection:
                    with limited(connection, self._settings.attempt_timeout):
                        await make_partitions(connection, self._settings, room=len(batch.writes))
            except psycopg.OperationalError as failure:
                log.warning("no partition could be made: %s", failure, extra={"action": "partition"})
                await self._link.disconnect()

    async def _complete(self, batch: Batch, found: Committed, deadline: float) -> list[Verdict]:
        """The batch had been committed. Members without a revision had failed then, and may be tried again now: their
        callers have heard nothing yet.
        """
        await self._apply(batch, found)
        verdicts: list[Verdict] = []
        rest = iter(found.verdicts)
        for request in batch.requests:
            mine = [next(rest) for _ in request.writes]
            missing = [number for number, verdict in enumerate(mine) if verdict.revision == 0]
            if missing and not request.atomic:
                again = Request(
                    [request.writes[number] for number in missing],
                    [request.sealed[number] for number in missing],
                    request.origin,
                    notes=[request.notes[number] for number in missing] if request.notes else (),
                )
                for number, verdict in zip(missing, await self._commit_rest(again, deadline), strict=True):
                    mine[number] = verdict
            verdicts += mine
        return verdicts + list(rest)

    async def _commit_rest(self, request: Request, deadline: float) -> list[Verdict]:
        try:
            return await self._commit(Batch([request]), deadline)
        except Unavailable as error:
            raise OutcomeUnknown(
                f"a part of the batch is committed, the rest could not be tried again: {error}"
            ) from error

    async def _apply(self, batch: Batch, committed: Committed) -> None:
        if committed.last < committed.first:
            return
        self._seen.note(committed.last, batch.id)
        try:
            await self._feed.own(commit.rows(batch, committed), committed.first, committed.last)
        except Unavailable as error:
            # It is committed. The caches follow when the log can be read again, and reads wait for them until then.
            log.warning("caches are behind: %s", error, extra={"action": "behind", "revision": committed.last})

    def _answer(self, batch: Batch, verdicts: Sequence[Verdict]) -> None:
        start = 0
        for request in batch.requests:
            # A transaction without members has one verdict for itself.
            end = start + len(request.writes) if len(batch.requests) > 1 else len(verdicts)
            if not request.answer.done():
                request.answer.set_result(list(verdicts[start:end]))
            start = end

    def _refuse(self, batch: Batch, error: Exception) -> None:
        for request in batch.requests:
            if not request.answer.done():
                request.answer.set_exception(error)


def _explained(error: psycopg.Error | commit.Unwritable) -> Exception:
    """What the caller hears: errors that a document caused in our own terms, all others as a database that is out of order."""
    if isinstance(error, commit.Unwritable):
        return InvalidDocument(f"the document cannot be stored: {error}")
    if isinstance(error, psycopg.DataError):
        return InvalidDocument(f"PostgreSQL cannot store the document: {error.diag.message_primary}")
    log.error("commit refused by PostgreSQL: %s", error, extra={"action": "refused", "sqlstate": error.sqlstate})
    return Unavailable(f"PostgreSQL refused the commit, nothing was written: {error.diag.message_primary or error}")
