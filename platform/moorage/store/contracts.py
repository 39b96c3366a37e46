"""What the store promises to those above it, and what it asks of them. No implementation lives here."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeAlias

from moorage.resources.kind import ResourceKey


class Key(NamedTuple):
    """The identity of an object in the store. ``group`` is the storage group; ``namespace`` is "" for cluster scope."""

    group: str
    resource: str
    namespace: str
    name: str

    @property
    def resource_key(self) -> ResourceKey:
        """The collection that this object is in."""
        return ResourceKey(self.group, self.resource)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A document serialised once, as UTF-8 JSON, with ``"resourceVersion":""`` in its metadata.

    ``offset`` is the index in ``body`` right after the opening quote of that empty value; the revision is spliced in there.
    """

    body: bytes
    offset: int

    def at(self, revision: int) -> bytes:
        """The document's bytes as of ``revision``."""
        return b"%b%d%b" % (self.body[: self.offset], revision, self.body[self.offset :])


class Op(StrEnum):
    """What a write does."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


Charge: TypeAlias = Mapping[str, "int | Mapping[str, Any]"]
"""What an object takes from quotas: resource name -> amount. Under "@" stands its class, which scoped quotas look at:
``{"scopes": ["NotTerminating", "BestEffort"], "priorityClass": "high", "volumeAttributesClass": ["gold"]}``. A charge without
a class counts in quotas without scopes only.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """The quota rows of one scope, as they shall be: ``quota/NAMESPACE/NAME`` (a ResourceQuota) or ``tenant/NAME``.

    ``hard``: resource -> the most that may be used; rows of other resources are removed, all of them where it is empty.
    What exists is counted, and may be more than the limit. ``matcher``: requirements on the class of a charge, all of
    which must hold: ``{"scope": "PriorityClass", "operator": "In", "values": ["high"]}``. PriorityClass and
    VolumeAttributesClass know In, NotIn, Exists and DoesNotExist, the other scopes Exists. Empty: every charge counts.
    """

    scope: str
    hard: Mapping[str, int] = field(default_factory=dict)
    matcher: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """One member of a batch.

    ``encoded`` is the new document (for DELETE: the last state to show to watchers; None keeps the stored one).
    ``expect_revision`` and ``expect_uid`` are preconditions; None asks for nothing. An UPDATE or DELETE of a missing
    key is NOT_FOUND.
    ``sealed`` says that the document must not be stored in the clear. ``charge`` is the quota charge vector
    (resource name -> integer amount), with its class under "@" (see ``Charge``).
    ``expires_in`` is seconds to live, or None.
    ``tenant`` is for Namespaces only: whose it is ("" for nobody's); None keeps the stored one. The tenant of everything
    else is its namespace's, looked up inside the commit.
    ``limits`` sets quota rows in the same transaction; None says nothing of them. The deletion of an object that set some
    removes them by itself.
    ``subresource`` and ``annotations`` are told to the audit.
    """

    op: Op
    key: Key
    uid: str
    encoded: Encoded | None
    storage_version: str = "v1"
    expect_revision: int | None = None
    expect_uid: str | None = None
    sealed: bool = False
    tenant: str | None = None
    charge: Charge = field(default_factory=dict)
    expires_in: int | None = None
    limits: Limits | None = None
    subresource: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Precondition:
    """A condition of a transaction on an object that it need not write. Exactly what is given must hold."""

    key: Key
    exists: bool | None = None
    revision: int | None = None
    uid: str | None = None


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """Compare-and-swap of a Git ref row in the same database transaction. ``old`` and ``new`` are hex object ids; "" for none.

    ``result`` is the JSON text that the push answered, kept with the ref's history.
    """

    repository: str
    """uid of the Repository object."""
    ref: str
    old: str
    new: str
    result: str = "{}"
    namespace: str = ""
    name: str = ""
    """Of the Repository, for the audit."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who writes, for the revision rows and the audit."""

    actor: str
    request_id: str = ""
    field_manager: str = ""
    source_commit: str = ""
    verb: str = ""
    """The API's verb (create, update, patch, apply, delete ...); "" for the plain one of each write."""
    groups: Sequence[str] = ()
    impersonator: str = ""
    """Who really asked, where ``actor`` is impersonated."""
    source_ip: str = ""
    user_agent: str = ""


class Exceeded(NamedTuple):
    """A quota that a write does not fit into. ``asked`` is what the write would add; amounts are as in the charge."""

    scope: str
    resource: str
    used: int
    asked: int
    hard: int


class Outcome(StrEnum):
    """What became of a member."""

    WRITTEN = "written"
    EXISTS = "exists"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    """The revision precondition did not hold."""
    UID_MISMATCH = "uid_mismatch"
    QUOTA = "quota"
    """``Verdict.exceeded`` tells which."""
    PRECONDITION = "precondition"
    """A Precondition or RefUpdate of the transaction did not hold; ``detail`` names it."""
    ABORTED = "aborted"
    """Fine by itself, but another member of its transaction was not."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``revision`` is the new one where WRITTEN; else the stored object's (0 for none)."""

    outcome: Outcome
    revision: int
    detail: str = ""

    @property
    def exceeded(self) -> Sequence[Exceeded]:
        """Every limit that does not hold what a QUOTA member asks for, ordered by (scope, resource)."""
        return [Exceeded(**each) for each in json.loads(self.detail)] if self.outcome is Outcome.QUOTA else ()


class Entry(Protocol):
    """An object in a cache. Immutable. ``data`` is its JSON with the revision in place."""

    @property
    def key(self) -> Key:
        """Its identity."""
        ...

    @property
    def uid(self) -> str:
        """metadata.uid."""
        ...

    @property
    def revision(self) -> int:
        """metadata.resourceVersion."""
        ...

    @property
    def data(self) -> bytes:
        """The whole document."""
        ...

    @property
    def labels(self) -> Mapping[str, str]:
        """metadata.labels, decoded at most once."""
        ...

    def document(self) -> dict[str, Any]:
        """A freshly decoded copy, for the caller to change."""
        ...


class EventType(StrEnum):
    """What happened to an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


class Change(Protocol):
    """One revision of one object. For DELETED, ``entry`` is the last state with the deletion's revision.
    ``previous`` is None for ADDED.
    """

    @property
    def type(self) -> EventType:
        """What happened."""
        ...

    @property
    def entry(self) -> Entry:
        """The object after it."""
        ...

    @property
    def previous(self) -> Entry | None:
        """The object before it."""
        ...

    @property
    def revision(self) -> int:
        """The revision that it made."""
        ...

    @property
    def last_of_commit(self) -> bool:
        """Whether a list, bookmark or continue token may name this revision."""
        ...

    def encoded(self, type_: EventType) -> bytes:
        """The watch event's JSON line for this change seen as ``type_`` (newline included); encoded once for all watchers."""
        ...


class Expired(Exception):
    """The asked revision is older than the history kept (HTTP 410)."""


class TooSlow(Exception):
    """The watcher did not keep up and was cut off."""


class OutcomeUnknown(Exception):
    """PostgreSQL could not be reached to learn whether a batch was committed; it was retried until the deadline (HTTP 504)."""


class Unavailable(Exception):
    """PostgreSQL cannot be reached and nothing was written (HTTP 503)."""


class Subscription(Protocol):
    """A watch on one cache. Iterate for batches of changes, in revision order, each change once. Raises TooSlow when
    it was cut off, Expired when the history it reads was compacted away or another epoch began, and Unavailable when
    old changes had to be read and PostgreSQL is away.
    """

    @property
    def revision(self) -> int:
        """The last revision that the subscriber has been given or may skip to (for bookmarks)."""
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[Change]]: ...

    def poll(self) -> Sequence[Change]:
        """What has arrived by now, without waiting; for one that is not iterated. Raises TooSlow and Expired as iteration
        does, Expired also where changes must be read that are not in memory any more.
        """
        ...

    def close(self) -> None:
        """Stop; idempotent."""
        ...


class Cache(Protocol):
    """All current objects of one resource, and its recent changes."""

    @property
    def revision(self) -> int:
        """Every commit up to here is applied."""
        ...

    def get(self, namespace: str, name: str) -> Entry | None:
        """The object as of ``revision``."""
        ...

    def entries(self, namespace: str | None = None) -> Sequence[Entry]:
        """Objects ordered by (namespace, name); of one namespace, or of all where None. A snapshot that later
        commits do not change.
        """
        ...

    async def wait(self, revision: int) -> None:
        """Return once ``revision`` is applied. Raises Unavailable."""
        ...

    def subscribe(self, since: int) -> Subscription:
        """Every change after ``since``, without gap or repetition. Raises Expired where the history does not reach back."""
        ...


class Store(Protocol):
    """The one store of one cluster, as one process sees it."""

    async def commit(
        self,
        writes: Sequence[Write],
        origin: Origin,
        *,
        atomic: bool = False,
        preconditions: Sequence[Precondition] = (),
        refs: Sequence[RefUpdate] = (),
    ) -> Sequence[Verdict]:
        """Write a batch; one verdict per member, in order. When it returns, this process's caches have applied what was written.

        ``atomic``: all or none (then preconditions and refs are checked too); where there is no write at all, one
        verdict for the transaction itself. Raises OutcomeUnknown or Unavailable.
        """
        ...

    async def cache(self, resource: ResourceKey) -> Cache:
        """The cache of a resource, filled on first use and kept from then on."""
        ...

    async def latest(self) -> int:
        """The newest revision in PostgreSQL, read after this call began (one probe serves all callers that wait for
        the same one).
        """
        ...

    async def list_at(
        self,
        resource: ResourceKey,
        revision: int,
        *,
        namespace: str | None = None,
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> Sequence[Entry]:
        """Objects as they were at ``revision``, ordered by (namespace, name), those after ``after`` only. Raises Expired."""
        ...

    async def ref(self, repository: str, ref: str) -> str:
        """The object id that a Git ref row holds, or "" where there is none."""
        ...

    async def refs(self, repository: str) -> Mapping[str, str]:
        """All ref rows of a repository."""
        ...


@dataclass(frozen=True, slots=True)
class SealContext:
    """What a ciphertext is bound to: its associated data. The cluster is added by the sealer."""

    group: str
    resource: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DataKey:
    """A wrapped data key. The current one of a namespace is the first of its highest generation."""

    namespace: str
    key_id: str
    generation: int
    wrapped: bytes


class KeyStore(Protocol):
    """Where wrapped data keys are kept (the store implements it, the sealer uses it)."""

    async def data_keys(self, namespace: str) -> Sequence[tuple[str, bytes]]:
        """(key id, wrapped key) of a namespace, newest first."""
        ...

    async def add_data_key(self, namespace: str, key_id: str, wrapped: bytes, *, generation: int = 1) -> None:
        """Keep a new wrapped key; where another process added one first, both are kept and the earliest of the
        newest generation is used by all. A rotation gives a higher ``generation``.
        """
        ...

    async def page(self, after: DataKey | None = None, limit: int = 500) -> Sequence[DataKey]:
        """Keys of all namespaces in the order of (namespace, key id), those after ``after``."""
        ...


class Sealer(Protocol):
    """Encrypts and decrypts documents of secret kinds. Raises ``cryptography.exceptions.InvalidTag`` for what was
    moved or changed.
    """

    async def seal(self, plaintext: bytes, context: SealContext) -> bytes:
        """The ciphertext; it names its key."""
        ...

    async def unseal(self, sealed: bytes, context: SealContext) -> bytes:
        """The plaintext."""
        ...
