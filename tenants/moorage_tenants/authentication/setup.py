"""Puts the sources together: what the composition root asks for, in one object."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from fastapi import APIRouter

from moorage.api.contracts import Admission, Auditor, Authorizer, Companions, Identity
from moorage.store.store import PostgresStore
from moorage_tenants.authentication.accounts.admission import AccountAdmission
from moorage_tenants.authentication.accounts.furniture import AccountFurniture
from moorage_tenants.authentication.accounts.keys import SigningKeys
from moorage_tenants.authentication.accounts.legacy import TokenSecrets
from moorage_tenants.authentication.accounts.requests import TokenRequests
from moorage_tenants.authentication.accounts.tokens import AccountTokens
from moorage_tenants.authentication.chain import Authentication, GitAuthentication
from moorage_tenants.authentication.configuration import AuthenticationConfig
from moorage_tenants.authentication.endpoints.answering import Door
from moorage_tenants.authentication.endpoints.nodes import NodeCredentials
from moorage_tenants.authentication.endpoints.published import Published
from moorage_tenants.authentication.endpoints.tokens import TokenEndpoints
from moorage_tenants.authentication.oidc.issuers import Issuers
from moorage_tenants.authentication.reloading import Reloading
from moorage_tenants.authentication.reviews import TokenReviews
from moorage_tenants.authentication.stored import StoredTokens

MOUNT_TOKENS = True
ISSUER = "https://kubernetes.default.svc.cluster.local"
LONGEST = 365 * 86_400
"""Seconds that a ServiceAccount token may live, at most."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``secret`` gives 32 bytes that only this cluster's servers know; ``address`` is ``HOST:PORT`` where this API is reached;
    ``config_file`` is followed where there is one.
    """

    bootstrap: Mapping[str, Identity]
    secret: Callable[[], Awaitable[bytes]]
    ca_sha256: str
    ca_pem: str
    address: str
    config: AuthenticationConfig = field(default_factory=AuthenticationConfig)
    config_file: Path | None = None
    issuer: str = ISSUER


class Sources(AbstractAsyncContextManager["Sources"]):
    """All of authentication for one server. Enter it to keep keys, uses and configuration up to date; leave it to stop."""

    def __init__(self, settings: Settings, store: PostgresStore) -> None:
        self._settings = settings
        audiences: Sequence[str] = (settings.issuer,)
        self.stored = StoredTokens(store.tokens)
        self.keys = SigningKeys(store.signing_keys, settings.secret, longest=LONGEST)
        self.accounts = AccountTokens(store, self.keys, settings.issuer, audiences)
        self.issuers = Issuers(settings.config.issuers, audiences)
        self.authenticator = Authentication(
            stored=self.stored,
            bootstrap=settings.bootstrap,
            signed=(self.accounts, self.issuers),
            audiences=audiences,
            anonymous=settings.config.anonymous,
        )
        self.for_git = GitAuthentication(self.authenticator)
        reviews, requests = TokenReviews(self.authenticator, audiences), TokenRequests(self.accounts, LONGEST)
        self.handlers = {
            ("authentication.k8s.io", "tokenreviews", "", "create"): reviews.create,
            ("", "serviceaccounts", "token", "create"): requests.create,
        }
        """For ``ApiConfig.handlers``."""
        self.admissions: Sequence[Admission] = (
            AccountAdmission(mount=MOUNT_TOKENS),
            TokenSecrets(self.accounts, settings.ca_pem),
        )
        self.companions: Sequence[Companions] = (AccountFurniture(settings.ca_pem),)
        self._tasks: list[asyncio.Task[None]] = []

    def router(self, authorizer: Authorizer, auditor: Auditor) -> APIRouter:
        """The endpoints of our own; see ``prefixes`` for where they are."""
        door = Door(self.authenticator, authorizer, auditor)
        router = APIRouter()
        router.include_router(TokenEndpoints(self.stored, door, self._settings.ca_sha256).router())
        router.include_router(NodeCredentials(self.stored, door).router())
        router.include_router(Published(self.accounts, self.issuers, door, self._settings.address).router())
        return router

    async def __aenter__(self) -> Sources:
        """Start what goes on in the background."""
        works = [self.keys.run(), self.stored.run()]
        if self._settings.config_file is not None:
            works.append(Reloading(self._settings.config_file, self.issuers, self.authenticator).run())
        self._tasks = [asyncio.create_task(work, name="authentication") for work in works]
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop it, and write down last uses."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.stored.note_uses()
        await self.issuers.close()


PREFIXES = (
    "/apis/moorage.io/v1/tokens",
    "/apis/moorage.io/v1/nodecredentials",
    "/.well-known",
    "/openid/v1",
)
"""Where ``Sources.router`` answers."""
