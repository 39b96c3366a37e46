"""The one way in: a header or a certificate becomes an identity, or nobody.

The form of a credential alone decides which source is asked, and only that one: a token that its own source refuses is not
offered to another, and a request that carries a token is never taken for its certificate's owner.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from moorage.api.contracts import Identity
from moorage_tenants.authentication import certificates, jwt
from moorage_tenants.authentication.header import LONGEST, credentials
from moorage_tenants.authentication.scopes import for_git
from moorage_tenants.authentication.text import digest
from moorage_tenants.authentication.verified import SignedTokens, Verified

CACHED = 10_000
"""Verified tokens that are remembered, each by its hash."""

ANONYMOUS = Identity("system:anonymous", frozenset({"system:unauthenticated"}))


class StoredTokens(Protocol):
    """A source of opaque tokens."""

    async def identify(self, sha256: str) -> Identity | None:
        """Who has the token of this hash. Raises ``Unavailable`` where it takes PostgreSQL to know."""
        ...


class Authentication:
    """Implements ``moorage.api.contracts.Authenticator`` over all sources. ``audiences`` is who this API is."""

    def __init__(
        self,
        *,
        stored: StoredTokens,
        bootstrap: Mapping[str, Identity] | None = None,
        signed: Sequence[SignedTokens] = (),
        audiences: Sequence[str] = (),
        anonymous: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bootstrap = dict(bootstrap or {})
        self._stored = stored
        self._signed = tuple(signed)
        self._audiences = tuple(audiences)
        self._anonymous = ANONYMOUS if anonymous else None
        self._clock = clock
        self._verified: OrderedDict[str, tuple[SignedTokens, Verified]] = OrderedDict()
        self._certificates = certificates.Certificates(clock)

    def configure(self, *, anonymous: bool) -> None:
        """Take over a changed configuration: whatever was verified under the old one is verified again."""
        self._anonymous = ANONYMOUS if anonymous else None
        self._verified.clear()

    async def authenticate(self, authorization: str, certificate: bytes | None = None) -> Identity | None:
        """Identity behind a header value or a client certificate, or None. Raises ``Unavailable``."""
        if not authorization:
            return self._certificates.identity(certificate) if certificate is not None else self._anonymous
        token = credentials(authorization)
        return None if token is None else await self.identify(token)

    async def identify(self, token: str) -> Identity | None:
        """Identity behind a token for this API."""
        sha256 = digest(token)
        known = self._bootstrap.get(sha256)
        if known is not None:
            return known
        remembered = self._verified.get(sha256)
        if remembered is not None:
            source, verified = remembered
            if self._clock() < verified.until and await source.alive(verified):
                return verified.identity
            self._verified.pop(sha256, None)
        if not jwt.looks_like(token):
            return await self._stored.identify(sha256)
        found = await self._verify(token, ())
        if found is None:
            return None
        self._verified[sha256] = found
        while len(self._verified) > CACHED:
            self._verified.popitem(last=False)
        return found[1].identity

    async def review(self, token: str, audiences: Sequence[str]) -> tuple[Identity, tuple[str, ...]] | None:
        """Who has ``token``, and which of ``audiences`` it is for (TokenReview). Only signed tokens of our own can be for
        others than this API.
        """
        if len(token) > LONGEST:
            return None
        if jwt.looks_like(token) and digest(token) not in self._bootstrap:
            found = await self._verify(token, audiences)
            if found is None:
                return None
            meant = tuple(each for each in audiences if each in found[1].audiences)
            return (found[1].identity, meant) if meant else None
        meant = tuple(each for each in audiences if each in self._audiences)
        identity = await self.identify(token) if meant else None
        return None if identity is None else (identity, meant)

    async def _verify(self, token: str, audiences: Sequence[str]) -> tuple[SignedTokens, Verified] | None:
        read = jwt.read(token)
        if read is None:
            return None
        for source in self._signed:
            if source.knows(read.issuer):
                verified = await source.verify(read, audiences)
                if verified is None or not await source.alive(verified):
                    return None
                return source, verified
        return None


class GitAuthentication:
    """The same for the Git host, where scopes of tokens mean what they say about Git."""

    def __init__(self, authenticator: Authentication) -> None:
        self._authenticator = authenticator

    async def authenticate(self, authorization: str, certificate: bytes | None = None) -> Identity | None:
        """Identity for Git; None also for a token that is for something else."""
        identity = await self._authenticator.authenticate(authorization, certificate)
        return None if identity is None else for_git(identity)
