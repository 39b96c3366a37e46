"""The concrete store: wires its parts, checks histories, and offers what ``contracts.Store`` promises."""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from moorage.resources.kind import ResourceKey
from moorage.store import audited, commit
from moorage.store.audit_chain import AuditChain
from moorage.store.audit_log import AuditLog
from moorage.store.cache import ResourceCache
from moorage.store.commit import Note
from moorage.store.committer import Committer
from moorage.store.contracts import (
    Entry,
    KeyStore,
    Op,
    Origin,
    Outcome,
    Precondition,
    RefUpdate,
    SealContext,
    Sealer,
    Unavailable,
    Verdict,
    Write,
)
from moorage.store.database import Connection, Database, Readers, abandon
from moorage.store.entry import StoredEntry
from moorage.store.epochs import Seen, check_history
from moorage.store.errors import StaleHistory
from moorage.store.feed import Feed
from moorage.store.history import History
from moorage.store.keys import DataKeys
from moorage.store.listener import Listener
from moorage.store.loading import Loader
from moorage.store.partitions import make_partitions
from moorage.store.past import entries_at
from moorage.store.probe import Probe
from moorage.store.quotas import Quotas
from moorage.store.resealing import Resealing
from moorage.store.rotations import Rotations
from moorage.store.rows import Row, Unsealer
from moorage.store.secret_versions import SecretVersions
from moorage.store.settings import StoreSettings
from moorage.store.signing_keys import SigningKeys
from moorage.store.tokens import Tokens
from moorage.store.tunnels import NodeTunnels
from moorage.store.upkeep import Upkeep
from moorage.store.writer_link import WriterLink

log = logging.getLogger("moorage.store")

SealerFactory = Callable[[KeyStore, str], Sealer]
"""Makes the sealer from the store's key table and the cluster's uid."""

REF = "SELECT object_id FROM git_refs WHERE repository = %s AND ref = %s"
REFS = "SELECT ref, object_id FROM git_refs WHERE repository = %s ORDER BY ref"


class PostgresStore:
    """Implements ``contracts.Store``; beside it the small tables: ``keys``, ``tokens``, ``tunnels``, ``quotas``,
    ``signing_keys``, ``rotations``, ``secret_versions``, and ``resealing``.
    Made by ``open_store``.
    """

    def __init__(self, database: Database) -> None:
        self.cluster = ""
        """The cluster's uid."""
        self.feed = Feed(self)
        self._database = database
        self._settings = database.settings
        self._readers = Readers(database)
        self._seen = Seen()
        self._tasks: list[asyncio.Task[None]] = []
        self.keys = DataKeys(self._readers)
        self.tokens = Tokens(self._readers)
        self.tunnels = NodeTunnels(self._readers)
        self.quotas = Quotas(self._readers)
        self.signing_keys = SigningKeys(self._readers)
        self.rotations = Rotations(self._readers)
        self._probe = Probe(database, self._seen)
        self._listener = Listener(self.feed, self._probe, self._settings.poll)
        self._link = WriterLink(database, self._listener.heard)
        self.audit = AuditLog(database, self._readers)
        self.audit_chain = AuditChain(self._readers, self._link.writer)
        self._committer = Committer(self._link, self._settings, self._seen, self.feed, self.audit_chain)
        self._upkeep = Upkeep(database, self.commit)

    def metrics(self) -> Iterable[str]:
        """The store's part of ``/metrics``."""
        return self._committer.meters.lines()

    async def open(self, sealer: SealerFactory) -> None:
        """Connect, check schema and history, start the loops. Raises Unavailable, SchemaMissing."""
        self._database.on_connect = self._check
        connection = await self._database.connect()
        try:
            await make_partitions(connection, self._settings)
        finally:
            await abandon(connection)
        self._sealer = sealer(self.keys, self.cluster)
        unsealer = Unsealer(self._sealer)
        self.secret_versions = SecretVersions(self._readers, unsealer)
        self.resealing = Resealing(self._readers, self._sealer)
        self._history = History(self._readers, unsealer, self._seen)
        self._loader = Loader(self._readers, unsealer, self._history, self.feed, self._settings.read_deadline)
        await self._link.connect(time.monotonic() + self._settings.connect_timeout)
        loops = {
            "commit": self._committer.run,
            "listen": self._listener.run,
            "upkeep": self._upkeep.run,
            "audit": self.audit_chain.run,
        }
        self._tasks = [asyncio.create_task(_kept_up(name, loop), name=f"store {name}") for name, loop in loops.items()]

    async def close(self) -> None:
        """Finish what was asked to be written, then stop everything."""
        self._committer.close()
        if self._tasks:
            await asyncio.wait(self._tasks[:1], timeout=self._settings.commit_deadline)
        await self._write_audit()
        for task in self._tasks:
            task.cancel()
        await self.feed.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._probe.close()
        await self._readers.close()

    async def commit(
        self,
        writes: Sequence[Write],
        origin: Origin,
        *,
        atomic: bool = False,
        preconditions: Sequence[Precondition] = (),
        refs: Sequence[RefUpdate] = (),
    ) -> Sequence[Verdict]:
        """Write a batch; one verdict per member, in order. A transaction that writes no object (it moves refs, or only
        checks) has one verdict for itself. Raises OutcomeUnknown, Unavailable, InvalidDocument.
        """
        if (preconditions or refs) and not atomic:
            raise ValueError("preconditions and refs belong to a transaction: give atomic=True")
        if not writes and not atomic:
            return []
        for write in writes:
            if write.encoded is not None:
                commit.check_document(write.encoded)
            elif write.op is not Op.DELETE:
                raise ValueError(f"{write.op} of {write.key} needs a document")
        sealed = [await self._seal(write) for write in writes]
        notes = self._notes(writes, sealed, origin)
        if atomic:
            size = sum(map(_size, writes))
            request = commit.Request(writes, sealed, origin, True, preconditions, refs, size, notes)
            return self._told(origin, notes, await self._committer.submit(request))
        step = self._settings.batch_members
        requests = [
            commit.Request(part, sealed[place], origin, size=sum(map(_size, part)), notes=notes[place])
            for start in range(0, len(writes), step)
            for place in (slice(start, start + step),)
            for part in (writes[place],)
        ]
        if len(requests) == 1:
            return self._told(origin, notes, await self._committer.submit(requests[0]))
        answers = await asyncio.gather(*map(self._committer.submit, requests), return_exceptions=True)
        verdicts: list[Verdict] = []
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            verdicts += answer
        return self._told(origin, notes, verdicts)

    async def cache(self, resource: ResourceKey) -> ResourceCache:
        """The cache of a resource, filled on first use and kept from then on. Raises Unavailable, SealBroken."""
        cache = self.feed.caches.get(resource)
        if cache is None:
            cache = self.feed.caches[resource] = ResourceCache(resource, self.feed, self._loader, self._settings)
        await cache.ready()
        return cache

    async def latest(self) -> int:
        """The newest revision in PostgreSQL, read after this call began. Raises Unavailable."""
        return await self._probe.latest()

    async def list_at(
        self,
        resource: ResourceKey,
        revision: int,
        *,
        namespace: str | None = None,
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> Sequence[Entry]:
        """Objects as they were at ``revision``, ordered by (namespace, name), those after ``after`` only. Raises
        Expired, Unavailable.
        """
        cache = await self.cache(resource)
        entries = await entries_at(cache, self.feed, revision)
        return page(entries, namespace, after, limit)

    async def ref(self, repository: str, ref: str) -> str:
        """The object id that a Git ref row holds, or "" where there is none. Raises Unavailable."""
        found = await self._readers.fetch(REF, (repository, ref))
        return str(found[0][0]) if found else ""

    async def refs(self, repository: str) -> Mapping[str, str]:
        """All ref rows of a repository. Raises Unavailable."""
        return dict(await self._readers.fetch(REFS, (repository,)))

    async def read(self, after: int, until: int, resources: frozenset[ResourceKey]) -> tuple[Sequence[Row], int]:
        """Implements ``feed.Log``: where the log does not continue after ``after``, the feed is set to where it goes on."""
        try:
            return await self._history.read(after, until, resources)
        except StaleHistory as error:
            connection = await self._database.connect()
            try:
                state = await check_history(connection, Seen(), self._database.server_name)
            finally:
                await abandon(connection)
            if self.feed.revision == after:
                self._restart(state.epoch, state.head, state.horizon, str(error))
            return (), self.feed.revision

    async def _check(self, connection: Connection) -> None:
        """On every new connection: is this the history that we know?"""
        state = await check_history(connection, self._seen, self._database.server_name)
        if not self.cluster:
            self.cluster = state.cluster
            self._seen.restart(state.epoch)
            self.feed.revision = state.head
            self.audit_chain.begin(state.cluster, state.epoch)
        elif state.epoch != self._seen.epoch or state.cluster != self.cluster:
            self.cluster = state.cluster
            self._restart(state.epoch, state.head, state.horizon, f"epoch {state.epoch} of revisions has begun")
        self.feed.horizon = max(self.feed.horizon, state.horizon)

    async def _write_audit(self) -> None:
        """Write what the audit still has to tell, if the database takes it soon."""
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                await self.audit_chain.flush()
        except (Unavailable, TimeoutError) as error:
            log.error("the last rows of the audit could not be written: %s", error, extra={"action": "audit"})

    def _restart(self, epoch: int, head: int, horizon: int, reason: str) -> None:
        self._seen.restart(epoch)
        self.audit_chain.begin(self.cluster, epoch)
        self.feed.reset(head, horizon, reason)

    def _notes(self, writes: Sequence[Write], sealed: Sequence[bytes | None], origin: Origin) -> list[Note]:
        """What the audit and the versions of Secrets need to know of each write."""
        shared = audited.context(origin)
        notes = []
        for write, ciphertext in zip(writes, sealed, strict=True):
            current: Entry | None = None
            if write.op is Op.UPDATE and (cache := self.feed.caches.get(write.key.resource_key)) is not None:
                current = cache.get(write.key.namespace, write.key.name)
                # One that is not known to be what the write replaces tells nothing of what it changes.
                if current is not None and write.expect_revision != current.revision:
                    current = None
            detail = audited.details(write, origin, shared, current)
            row, digest = audited.row_of(write, origin, detail), audited.digest(write, ciphertext)
            notes.append(Note(detail, row, digest, audited.keeps_version(write, current)))
        return notes

    def _told(self, origin: Origin, notes: Sequence[Note], verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        """``verdicts``, after it was noted whether the audit has a row of this request."""
        rows = (note.row is not None for note in notes) if notes else (True,)
        if any(told and verdict.outcome is Outcome.WRITTEN for told, verdict in zip(rows, verdicts, strict=False)):
            self.audit_chain.committed(origin.request_id)
        return verdicts

    async def _seal(self, write: Write) -> bytes | None:
        if not write.sealed or write.encoded is None:
            return None
        return await self._sealer.seal(write.encoded.body, SealContext(*write.key, write.uid))


@asynccontextmanager
async def open_store(
    url: str,
    *,
    sealer: SealerFactory,
    server_name: str,
    password: str | None = None,
    settings: StoreSettings | None = None,
) -> AsyncIterator[PostgresStore]:
    """The store of the cluster in the database at ``url`` (libpq URL), open as long as the context is.

    ``password`` goes with the URL, which never carries one. ``server_name`` names this process to the others.
    ``sealer`` makes the sealer from the key table and the cluster's uid. Raises Unavailable, SchemaMissing.
    """
    database = Database(url, password=password, server_name=server_name, settings=settings or StoreSettings())
    store = PostgresStore(database)
    try:
        await store.open(sealer)
        yield store
    finally:
        await store.close()


def page(
    entries: Sequence[StoredEntry], namespace: str | None, after: tuple[str, str] | None, limit: int | None
) -> Sequence[StoredEntry]:
    """A part of a list that is ordered by (namespace, name): one namespace, those after a position, not more than a limit."""
    start, end = 0, len(entries)
    if namespace is not None:
        start = bisect_left(entries, namespace, key=_namespace)
        end = bisect_right(entries, namespace, key=_namespace)
    if after is not None:
        start = max(start, bisect_right(entries, after, key=_position))
    if limit is not None:
        end = min(end, start + limit)
    return entries[start:end]


def _namespace(entry: StoredEntry) -> str:
    return entry.key.namespace


def _position(entry: StoredEntry) -> tuple[str, str]:
    return entry.key.namespace, entry.key.name


def _size(write: Write) -> int:
    return 0 if write.encoded is None else len(write.encoded.body)


async def _kept_up(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop that ends only when it is told to; one that fails for a reason nobody thought of is begun again."""
    while True:
        try:
            await loop()
        except Exception:
            log.exception("the store's %s loop failed and is begun again", name, extra={"action": "loop", "loop": name})
            await asyncio.sleep(1)
        else:
            return
