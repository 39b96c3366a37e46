"""What the API asks of its policies. ``moorage_tenants`` implements these; ``moorage.server`` wires them and refuses
to start without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from moorage.resources.kind import Document, FieldError, Kind
from moorage.store.contracts import Precondition, RefUpdate


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. Never empty: no identity is a refusal (401), not an anonymous user."""

    name: str
    groups: frozenset[str] = frozenset()
    uid: str = ""
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Authenticator(Protocol):
    """Turns credentials into an identity."""

    async def authenticate(self, authorization: str) -> Identity | None:
        """Identity behind an ``Authorization`` header value (``Bearer ...``; ``Basic ...`` with the token as
        password for Git); None: refuse with 401.
        """
        ...


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is asked: one request, or one object of a transaction or push. ``verb`` is Kubernetes' (get, list, watch,
    create, update, patch, delete, deletecollection).

    ``path`` is set for non-resource requests only. ``field_selector`` holds the exact-match requirements of a list or watch.
    ``document`` is the object of a write where it is known (a namespace being created, say).
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


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason`` is shown to the user where it is a refusal."""

    allowed: bool
    reason: str = ""


class Authorizer(Protocol):
    """The one ``authorise()`` for API, Git, UI and CLI. Deny by default."""

    async def authorise(self, attributes: Attributes) -> Decision:
        """Whether this may be done."""
        ...


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """A write on its way in. ``document`` is None for deletes."""

    identity: Identity
    operation: str
    kind: Kind
    subresource: str
    namespace: str
    name: str
    document: Document | None
    old: Document | None
    dry_run: bool


class Admission(Protocol):
    """Changes and checks writes beyond the kind's own rules."""

    async def mutate(self, request: AdmissionRequest) -> None:
        """Change ``request.document`` in place."""
        ...

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """What forbids the write; empty lets it pass."""
        ...


class Charger(Protocol):
    """Computes the quota charge of an object, before the write."""

    def charge(self, kind: Kind, document: Document) -> Mapping[str, int]:
        """Resource name -> integer amount (pods, cpu in millicores, memory in bytes, count/KIND...)."""
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


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What became of an operation. ``action``: created, configured, unchanged, deleted, or failed (then ``error`` is
    a Status).
    """

    operation: Operation
    action: str
    revision: int = 0
    document: Document | None = None
    error: Document | None = None


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
