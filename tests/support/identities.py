"""Simple policies for tests of the API: tokens by name, rights by table. The real ones are ``moorage_tenants``'."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moorage.api.contracts import AdmissionRequest, Attributes, Decision, Identity
from moorage.resources.kind import Document, FieldError, Kind
from moorage.store.contracts import Charge, Limits

MASTERS = "system:masters"
ADMIN = Identity("admin", frozenset((MASTERS, "system:authenticated")))
NOBODY = Identity("nobody", frozenset(("system:authenticated",)))


@dataclass
class TestAuthenticator:
    """``Bearer NAME-token``; by default there are admin (may everything) and nobody (may nothing)."""

    __test__ = False
    identities: dict[str, Identity] = field(default_factory=lambda: {"admin-token": ADMIN, "nobody-token": NOBODY})

    async def authenticate(self, authorization: str, certificate: bytes | None = None) -> Identity | None:
        """The identity behind a header, or None."""
        scheme, _, token = authorization.partition(" ")
        return self.identities.get(token) if scheme == "Bearer" else None


@dataclass
class TestAuthorizer:
    """Masters may everything; others what one of ``rules`` allows. ``asked`` keeps what was refused."""

    __test__ = False
    rules: list[Callable[[Attributes], bool]] = field(default_factory=list)
    refused: list[Attributes] = field(default_factory=list)

    async def authorise(self, attributes: Attributes) -> Decision:
        """Deny by default."""
        if MASTERS in attributes.identity.groups or any(rule(attributes) for rule in self.rules):
            return Decision(True)
        self.refused.append(attributes)
        user = attributes.identity.name
        where = attributes.path or attributes.resource
        return Decision(False, f'User "{user}" cannot {attributes.verb} resource "{where}"')


class FreeCharger:
    """Nothing costs anything."""

    def charge(self, kind: Kind, document: Document) -> Charge:
        """No charge."""
        return {}

    def limits(self, kind: Kind, document: Document, old: Document | None) -> Limits | None:
        """No quota rows."""
        return None

    def tenant(self, kind: Kind, document: Document) -> str | None:
        """Nobody's."""
        return None


@dataclass
class RecordingAuditor:
    """Keeps what it is told."""

    records: list[tuple[Attributes, Decision, Mapping[str, Any]]] = field(default_factory=list)

    def record(self, attributes: Attributes, decision: Decision, outcome: Mapping[str, Any]) -> None:
        """Keep one record."""
        self.records.append((attributes, decision, outcome))


@dataclass
class TestAdmission:
    """An admission made of two functions."""

    __test__ = False
    mutation: Callable[[AdmissionRequest], None] = lambda _request: None
    validation: Callable[[AdmissionRequest], Sequence[FieldError]] = lambda _request: ()

    async def mutate(self, request: AdmissionRequest) -> None:
        """Change the document in place."""
        self.mutation(request)

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """What forbids the write."""
        return self.validation(request)
