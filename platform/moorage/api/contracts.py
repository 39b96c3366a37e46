"""What the API asks of its policies. ``moorage_tenants`` implements these; ``moorage.server`` wires them and refuses
to start without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from moorage.resources.kind import Document, FieldError, Kind
from moorage.store.contracts import Charge, Entry, Limits, Precondition, RefUpdate


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. Never empty: no identity is a refusal (401), not an anonymous user."""

    name: str
    groups: frozenset[str] = frozenset()
    uid: str = ""
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)
    impersonator: str = ""
    """Who really asks, where this identity is impersonated; for the audit."""


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request came from; for the audit."""

    source_ip: str = ""
    user_agent: str = ""


class View(Protocol):
    """The objects as a write sees them: the caches, or a transaction's own earlier operations on top of them."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Entry | None:
        """An object, or None."""
        ...

    async def entries(self, kind: Kind, namespace: str | None) -> Sequence[Entry]:
        """The objects of one namespace, or of all where None."""
        ...


class Authenticator(Protocol):
    """Turns credentials into an identity."""

    async def authenticate(self, authorization: str, certificate: bytes | None = None) -> Identity | None:
        """Identity behind an ``Authorization`` header value (``Bearer ...``; ``Basic ...`` with the token as
        password for Git), or behind a client certificate (DER) that the TLS layer has verified; None: refuse with 401.
        """
        ...


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is asked: one request, or one object of a transaction or push. ``verb`` is Kubernetes' (get, list, watch,
    create, update, patch, delete, deletecollection).

    ``path`` is set for non-resource requests only. ``field_selector`` holds the exact-match requirements of a list or watch.
    ``document`` is the object of a write where it is known (a namespace being created, say). ``view`` is what a write
    sees: where it is given, it knows of objects that the caches do not have yet (a transaction's own).
    """

    identity: Identity
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    field_selector: Mapping[str, str] = field(default_factory=dict)
    document: Document | None = None
    view: View | None = None


class Visible(Protocol):
    """Which objects of a collection may be shown to somebody who may not list it whole."""

    @property
    def stamp(self) -> int:
        """Changes whenever what is visible may have changed."""
        ...

    def __call__(self, entry: Entry) -> bool:
        """Whether an object, or an old state of one, may be shown: by the rights of now."""
        ...


class Standing(Protocol):
    """A right that something which lasts (a watch, a followed log, exec) was allowed by."""

    @property
    def stamp(self) -> int | None:
        """Changes whenever the right may have gone; None: it may at any time."""
        ...

    async def holds(self) -> bool:
        """Whether it is still there. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason`` is shown to the user where it is a refusal. ``visible`` comes with the refusal of a list or watch whose
    answer may be narrowed instead: who does not know of it refuses. ``standing`` comes with the permission of what lasts; None
    where nobody can take it away.
    """

    allowed: bool
    reason: str = ""
    visible: Visible | None = None
    standing: Standing | None = None


class Authorizer(Protocol):
    """The one ``authorise()`` for API, Git, UI and CLI. Deny by default."""

    async def authorise(self, attributes: Attributes) -> Decision:
        """Whether this may be done."""
        ...


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody may do, as rules in the form of a role's. ``incomplete`` says why some are not listed, "" for nothing."""

    resources: Sequence[Document]
    paths: Sequence[Document]
    incomplete: str = ""


class Reviewer(Protocol):
    """Answers questions about rights (``kubectl auth can-i``)."""

    async def explain(self, attributes: Attributes) -> Decision:
        """As ``authorise``, with a reason also for what is allowed."""
        ...

    async def rights(self, identity: Identity, namespace: str) -> Rights:
        """All that ``identity`` may do in ``namespace``."""
        ...


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """A write on its way in. ``document`` is None for deletes; ``view`` is what the write sees beside it.

    ``warnings`` may be appended to: each is shown to the user (kubectl prints them). ``annotations`` may be added to: they
    are written into the audit's row of the write.
    """

    identity: Identity
    operation: str
    kind: Kind
    subresource: str
    namespace: str
    name: str
    document: Document | None
    old: Document | None
    dry_run: bool
    view: View
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)


class Admission(Protocol):
    """Changes and checks writes beyond the kind's own rules."""

    async def mutate(self, request: AdmissionRequest) -> None:
        """Change ``request.document`` in place."""
        ...

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """What forbids the write; empty lets it pass."""
        ...


@dataclass(frozen=True, slots=True)
class Companion:
    """A write that belongs to another one and is committed with it, all or none: an address that is taken with its
    Service, the Secret that a SealedSecret holds. ``verb``: create (fails the whole where the object exists, then all
    is planned again), replace (create or update to ``document``; labels, data and all), delete (where it is there).
    It is written by the platform: whoever may do the first write needs no right for it.
    """

    verb: str
    kind: Kind
    namespace: str
    name: str
    document: Document | None = None


class Companions(Protocol):
    """Says what is written together with an object."""

    async def companions(self, request: AdmissionRequest, gone: bool) -> Sequence[Companion]:
        """Asked for every write, after it was found valid; ``request.document`` is the object as it will be stored (None for
        a delete). ``gone``: the object will not be there any more (a delete that waits for finalizers is an update).
        Raises ApiError to refuse the write.
        """
        ...


class Charger(Protocol):
    """Computes what quotas know of an object, before the write."""

    def charge(self, kind: Kind, document: Document) -> Charge:
        """Resource name -> integer amount (pods, cpu in millicores, memory in bytes, count/KIND...), and its class."""
        ...

    def limits(self, kind: Kind, document: Document, old: Document | None) -> Limits | None:
        """The quota rows that this write sets (a ResourceQuota's, a Tenant's); None where it changes none."""
        ...

    def tenant(self, kind: Kind, document: Document) -> str | None:
        """Whose this Namespace is ("" for nobody's); None for every other kind."""
        ...


class Auditor(Protocol):
    """Writes down who did what. Must never raise."""

    def record(self, attributes: Attributes, decision: Decision, outcome: Mapping[str, Any]) -> None:
        """One request; ``outcome`` holds ``code`` and what else is known. No document contents."""
        ...


@dataclass(frozen=True, slots=True)
class Operation:
    """One member of a transaction or batch.

    ``apply``: server-side apply of ``document``; ``create``/``update``: ``document`` whole; ``patch``: ``patch`` of
    ``patch_type`` on the named
    object; ``delete``: the named object. ``subresource`` is "" , "status", "scale" or (create) "binding".
    ``origin`` is shown in messages about this operation (``deploy.yaml:12``).
    """

    verb: str
    kind: Kind
    namespace: str
    name: str
    document: Document | None = None
    subresource: str = ""
    patch: Any = None
    patch_type: str = ""
    field_manager: str = ""
    force: bool = False
    resource_version: str = ""
    uid: str = ""
    grace_seconds: int | None = None
    propagation: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class TransactionRequest:
    """Many operations, all or none (``atomic``) or each alone. ``refs`` are for the Git host only."""

    operations: Sequence[Operation]
    atomic: bool = True
    preconditions: Sequence[Precondition] = ()
    refs: Sequence[RefUpdate] = ()
    dry_run: bool = False
    field_manager: str = ""
    source_commit: str = ""
    request_id: str = ""
    client: Client = Client()


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What became of an operation. ``action``: created, configured, unchanged, deleted, or failed (then ``error`` is
    a Status). ``data`` is the object's bytes, b"" where it failed.
    """

    operation: Operation
    action: str
    revision: int = 0
    name: str = ""
    uid: str = ""
    data: bytes = b""
    error: Document | None = None

    @property
    def document(self) -> Document | None:
        """The object, decoded anew: most who ask for a batch do not look at it."""
        return orjson.loads(self.data) if self.data else None


@dataclass(frozen=True, slots=True)
class TransactionResult:
    """``revision`` is the commit's last. An atomic transaction with a failed member wrote nothing: ``committed`` is False."""

    committed: bool
    revision: int
    results: Sequence[OperationResult]
    error: Document | None = None
    """For an atomic transaction that failed for another reason than a member (precondition, ref, size): a Status."""


class Transactor(Protocol):
    """The transaction primitive, as the HTTP endpoint and the Git host use it."""

    async def transact(self, identity: Identity, request: TransactionRequest) -> TransactionResult:
        """Authorise, default, admit, validate, charge and write. Refusals are results, not exceptions."""
        ...
